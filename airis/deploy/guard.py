"""Which cluster a command is about to change, and whether the stack is pinned to another one."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from airis.cluster.connection import NOT_CONFIGURED, TO_CONFIGURE, Address, Cluster, configured_cluster, connected
from airis.cluster.kubectl import KubectlError
from airis.stack_file.stacks import StackFile, settings_of
from airis.terminal.errors import AirisError, EnvironmentProblem
from settings.platform.cluster import ClusterSettings
from settings.stack import StackSettings

_TIMEOUT_SECONDS = 15.0


@dataclass(frozen=True)
class Target:
    """The cluster and the namespace that a command changes."""

    address: Address
    uid: str | None
    """UID of the namespace `kube-system`; None if it could not be read."""
    namespace: str

    def __str__(self) -> str:
        server = f", server {self.address.server}" if self.address.server else ""
        return f"{self.address}{server}, namespace {self.namespace}"


def target_of(stack: StackFile) -> Target:
    """The configured cluster, compared with the stack's pin.

    Raises AirisError with the names of both if the stack is pinned to another cluster. Raises EnvironmentProblem if no cluster
    is configured, the cluster does not answer, or its UID cannot be read although the stack is pinned to one.
    """
    address = configured_cluster(stack)
    if address is None:
        raise EnvironmentProblem(NOT_CONFIGURED, TO_CONFIGURE)
    settings = settings_of(stack)
    return check(stack, settings, address)


def check(stack: StackFile, settings: StackSettings, address: Address) -> Target:
    """Compares the stack's pin (airis:cluster) with the configured cluster."""
    compare_address(stack, settings.cluster, address)
    uid = _uid(stack, settings.cluster)
    compare_uid(stack, settings.cluster, uid)
    return Target(address, uid, settings.namespace)


def compare_address(stack: StackFile, pinned: ClusterSettings, address: Address) -> None:
    """Raises AirisError if the stack is pinned to another context or server. Sends no request."""
    _compare(stack, "context", pinned.context, address.context, "`kubectl config use-context`, or another kubeconfig")
    if pinned.server is not None and _plain(pinned.server) != _plain(address.server or ""):
        _refuse(stack, "server", pinned.server, address.server, "another kubeconfig or context")


def compare_uid(stack: StackFile, pinned: ClusterSettings, uid: str | None) -> None:
    """Raises AirisError if the stack is pinned to another cluster UID. Sends no request."""
    _compare(stack, "uid", pinned.uid, uid, "another kubeconfig or context")


def refuse_another(stack: StackFile) -> None:
    """Raises AirisError if the stack is pinned to another cluster. Sends no request if the stack is not pinned."""
    pinned = settings_of(stack).cluster
    if pinned.uid is not None or pinned.context is not None or pinned.server is not None:
        target_of(stack)


def announce(target: Target, stack: StackFile, doing: str) -> None:
    """Prints the target cluster on stderr, before anything is asked or changed."""
    print(f"{doing} stack {stack.name}: {target}.", file=sys.stderr, flush=True)
    if target.uid is not None and settings_of(stack).cluster.uid is None:
        pin = f"pulumi config set --stack {stack.name} --path airis:cluster.uid {target.uid}"
        print(f"This stack is not pinned to a cluster. To pin it: `{pin}`", file=sys.stderr, flush=True)


@contextmanager
def kubectl(stack: StackFile, namespace: str) -> Iterator[Cluster | None]:
    """The cluster that Pulumi deploys to, through kubectl and the user's credentials. If that fails: a note, and None."""
    with ExitStack() as opened:
        cluster = None
        try:
            cluster = opened.enter_context(connected(stack, namespace, None))
        except AirisError as error:
            print(f"note: cannot observe the cluster with kubectl: {error.message}", file=sys.stderr, flush=True)
        yield cluster


def _uid(stack: StackFile, pinned: ClusterSettings) -> str | None:
    try:
        with connected(stack, "kube-system", None) as cluster:
            (system,) = cluster.get("namespace", "kube-system", f"--request-timeout={_TIMEOUT_SECONDS:.0f}s")
        return str(system["metadata"]["uid"])
    except (AirisError, ValueError) as error:
        if isinstance(error, KubectlError) and "orbidden" not in error.message:
            # Pulumi's own preview would skip what it cannot check, and report success
            raise EnvironmentProblem(
                f"the cluster does not answer: {error.message}",
                "nothing was changed; `kubectl get namespaces` must work",
            ) from None
        if pinned.uid is None:  # the UID is not needed
            return None
        message = error.message if isinstance(error, AirisError) else "there is no namespace kube-system"
        raise EnvironmentProblem(
            f"{stack.path.name} is pinned to the cluster {pinned.uid} (airis:cluster.uid), and the UID of the configured "
            f"cluster cannot be read: {message}",
            "nothing was changed; `kubectl get namespace kube-system` must work",
        ) from None


def _plain(url: str) -> tuple[str, str, int | None, str]:
    """A URL in normal form: lower case, explicit port, no trailing slash."""
    parts = urlsplit(url)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, parts.hostname or "", port, parts.path.rstrip("/")


def _compare(stack: StackFile, key: str, pinned: str | None, given: str | None, remedy: str) -> None:
    if pinned is not None and pinned != given:
        _refuse(stack, key, pinned, given, remedy)


def _refuse(stack: StackFile, key: str, pinned: str, given: str | None, remedy: str) -> None:
    raise AirisError(
        f"{stack.path.name} is pinned to another cluster: airis:cluster.{key} is {pinned}, and the configured cluster has "
        f"{given or 'none'}. Nothing was changed.",
        f"select the stack's cluster ({remedy}), or use another stack for this cluster",
    )
