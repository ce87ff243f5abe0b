"""Which cluster `pulumi up` would deploy to, as far as files tell; and kubectl on it, with the user's own credentials."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airis.cluster import kubeconfig
from airis.cluster.kubeconfig import Kubeconfig
from airis.cluster.kubectl import LISTED, call, listed
from airis.cluster.programs.binaries import cached
from airis.stack_file.stacks import StackFile
from airis.terminal.errors import AirisError, EnvironmentProblem

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


@dataclass(frozen=True)
class Address:
    """Where the configuration leads, as far as files can tell; the cluster itself has not been asked."""

    words: str
    """A few words for people."""
    context: str | None = None
    """Name of the kubeconfig's context."""
    server: str | None = None
    """URL of the API server."""

    def __str__(self) -> str:
        return self.words


@dataclass(frozen=True)
class Cluster:
    """One namespace of one cluster. `options` are kubectl's own, such as `--context`."""

    binary: Path
    namespace: str
    options: Sequence[str] = ()

    def run(self, *args: str, stdin: str | None = None, timeout: float = 60.0) -> str:
        """Runs one command and returns its stdout. Raises KubectlError with kubectl's own words when it fails."""
        what = f"kubectl {' '.join(args[:2])}"
        # Ctrl-C is for airis, which tidies up with further commands
        return call(self.command(*args), what, stdin=stdin, timeout=timeout, own_session=True)

    def get(self, *args: str) -> list[dict[str, Any]]:
        """The objects that `kubectl get <args>` finds; none is an empty list."""
        return listed(self.run("get", *args, *LISTED))

    def command(self, *args: str) -> list[str]:
        """The command line for it."""
        return [str(self.binary), *self.options, f"--namespace={self.namespace}", *args]


NOT_CONFIGURED = "no cluster is configured ($KUBECONFIG is not set, and ~/.kube/config leads to none)"
"""What commands say that need a cluster and have none."""

TO_CONFIGURE = "set $KUBECONFIG to the kubeconfig of your cluster: `kubectl get nodes` must work"
"""What helps then."""


def configured_cluster(stack: StackFile) -> Address | None:
    """The cluster that the stack would go to, or None where none is configured.

    Looks where the Kubernetes provider looks: the stack's `kubernetes:kubeconfig` and `kubernetes:context`, then
    $KUBECONFIG, ~/.kube/config, and the pod that this runs in. Whether the cluster answers is not asked.

    Raises EnvironmentProblem where a kubeconfig is named that leads nowhere: somebody wanted a cluster, and none is not
    what they meant. Raises AirisError where the stack names a context that no kubeconfig has.
    """
    if "kubernetes:kubeconfig" in stack.config:
        return _in_stack_file(stack)
    config = _from_environment()
    if config is not None:
        context = _context(stack, config)
        return Address(f"context {context} ({config.where})", context, config.server(context))
    if (wanted := stack.config.get("kubernetes:context")) is not None:
        raise AirisError(
            f"{stack.path.name}: kubernetes:context is {wanted!r}, which no kubeconfig has",
            "there is no kubeconfig: $KUBECONFIG is not set, and ~/.kube/config has no contexts",
        )
    return Address("the cluster that this pod runs in") if _SERVICE_ACCOUNT.exists() else None


@contextmanager
def connected(stack: StackFile, namespace: str, kubeconfig: Path | None) -> Iterator[Cluster]:
    """The cluster that the stack is on: `kubeconfig`, if given, or else the one that `pulumi up` goes to.

    Raises EnvironmentProblem where none is configured or kubectl is missing.
    """
    binary = kubectl_binary()
    context = stack.config.get("kubernetes:context")
    options = [f"--context={context}"] if context and kubeconfig is None else []
    own = stack.config.get("kubernetes:kubeconfig")
    if kubeconfig is not None:
        if not kubeconfig.is_file():
            raise AirisError(f"{kubeconfig}: there is no such file", "--kubeconfig names a kubeconfig")
        yield Cluster(binary, namespace, [f"--kubeconfig={kubeconfig}"])
        return
    if "kubernetes:kubeconfig" in stack.secret_keys:
        raise AirisError(
            f"{stack.path.name}: kubernetes:kubeconfig is encrypted, and only Pulumi can decrypt it",
            "name the same cluster with --kubeconfig",
        )
    if configured_cluster(stack) is None:
        raise EnvironmentProblem(NOT_CONFIGURED, f"{TO_CONFIGURE}; or name a kubeconfig with --kubeconfig")
    if own is None:
        yield Cluster(binary, namespace, options)
    elif not _is_text(own):
        yield Cluster(binary, namespace, [f"--kubeconfig={_path(stack, own)}", *options])
    else:
        with tempfile.NamedTemporaryFile("w", suffix=".kubeconfig") as file:  # readable by its owner alone
            file.write(own)
            file.flush()
            yield Cluster(binary, namespace, [f"--kubeconfig={file.name}", *options])


def _in_stack_file(stack: StackFile) -> Address:
    """`kubernetes:kubeconfig` is a kubeconfig itself, or the path of one."""
    words = "the kubeconfig in the stack file"
    own = stack.config["kubernetes:kubeconfig"]
    key = f"{stack.path.name}: kubernetes:kubeconfig"
    if "kubernetes:kubeconfig" in stack.secret_keys:
        return Address(words)
    try:
        config = kubeconfig.parse(own, key) if _is_text(own) else kubeconfig.read([_path(stack, own)])
        context = _context(stack, config)
    except EnvironmentProblem as error:
        if _is_text(own):  # it is the stack file that is wrong
            raise AirisError(error.message, error.remedy) from None
        raise EnvironmentProblem(f"{key} names a file that cannot be used: {error.message}", error.remedy) from None
    return Address(words, context, config.server(context))


def _context(stack: StackFile, config: Kubeconfig) -> str:
    """The context of the stack file, or else the current one."""
    wanted = stack.config.get("kubernetes:context")
    if wanted is None:
        return config.current_context()
    if wanted not in config.contexts:
        raise AirisError(
            f"{stack.path.name}: kubernetes:context is {wanted!r}, which no kubeconfig has ({config.where})",
            f"the contexts are: {', '.join(sorted(config.contexts)) or 'none'}",
        )
    return wanted


def _is_text(own: str) -> bool:
    return "\n" in own or own.lstrip().startswith("{")


def _path(stack: StackFile, own: str) -> Path:
    return stack.path.parent / Path(own).expanduser()


def _from_environment() -> Kubeconfig | None:
    """The kubeconfig of $KUBECONFIG, or else of ~/.kube/config if that has a context.

    As for kubectl, some of several files in $KUBECONFIG may be missing. Raises EnvironmentProblem where all are, and where
    they have no contexts.
    """
    if not (named := os.environ.get("KUBECONFIG")):
        home = Path.home() / ".kube" / "config"
        config = kubeconfig.read([] if kubeconfig.is_missing(home) else [home])
        return config if config.contexts or config.current else None
    files = [Path(part) for part in named.split(os.pathsep) if part]
    there = [file for file in files if not kubeconfig.is_missing(file)]
    try:
        if not files:
            raise EnvironmentProblem(f"{named!r} names no file", "it must be a kubeconfig")
        config = kubeconfig.read(there or files)
        if not config.contexts:
            config.current_context()
    except EnvironmentProblem as error:
        raise EnvironmentProblem(
            f"$KUBECONFIG leads to no cluster: {error.message}",
            f"set it to the kubeconfig of your cluster, or unset it to use ~/.kube/config; {error.remedy}",
        ) from None
    return config


def kubectl_binary() -> Path:
    """The kubectl on PATH, or else the sandbox's own. Raises EnvironmentProblem where there is neither."""
    if found := shutil.which("kubectl"):
        return Path(found)
    with suppress(AirisError, OSError):
        if (ours := cached().path("kubectl")).exists():
            return ours
    raise EnvironmentProblem("kubectl is missing", "install it, or `airis sandbox build`, which brings one along")
