"""The cluster that `pulumi up` would deploy to, according to files; and kubectl for it, with the user's credentials."""

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
    """The configured cluster, according to files; the cluster itself is not contacted."""

    words: str
    """A short description."""
    context: str | None = None
    """Name of the kubeconfig context."""
    server: str | None = None
    """URL of the API server."""

    def __str__(self) -> str:
        return self.words


@dataclass(frozen=True)
class Cluster:
    """One namespace of one cluster. `options` are kubectl's, such as `--context`."""

    binary: Path
    namespace: str
    options: Sequence[str] = ()

    def run(self, *args: str, stdin: str | None = None, timeout: float = 60.0) -> str:
        """Runs one command and returns its stdout. Raises KubectlError with kubectl's message if it fails."""
        what = f"kubectl {' '.join(args[:2])}"
        # Ctrl-C is for airis, which cleans up with further commands
        return call(self.command(*args), what, stdin=stdin, timeout=timeout, own_session=True)

    def get(self, *args: str) -> list[dict[str, Any]]:
        """The objects that `kubectl get <args>` finds; an empty list if there are none."""
        return listed(self.run("get", *args, *LISTED))

    def command(self, *args: str) -> list[str]:
        """The command line."""
        return [str(self.binary), *self.options, f"--namespace={self.namespace}", *args]


NOT_CONFIGURED = "no cluster is configured ($KUBECONFIG is not set, and ~/.kube/config has none)"
"""The error of commands that need a cluster."""

TO_CONFIGURE = "set $KUBECONFIG to the kubeconfig of your cluster: `kubectl get nodes` must work"
"""The fix for it."""


def configured_cluster(stack: StackFile) -> Address | None:
    """The cluster that the stack would be deployed to, or None if none is configured.

    Reads what the Kubernetes provider reads: the stack's `kubernetes:kubeconfig` and `kubernetes:context`, then $KUBECONFIG,
    ~/.kube/config, and the service account of the pod that this runs in. Does not contact the cluster.

    Raises EnvironmentProblem if a given kubeconfig is unusable, and AirisError if the stack names a missing context.
    """
    if "kubernetes:kubeconfig" in stack.config:
        return _in_stack_file(stack)
    config = _from_environment()
    if config is not None:
        context = _context(stack, config)
        return Address(f"context {context} ({config.where})", context, config.server(context))
    if (wanted := stack.config.get("kubernetes:context")) is not None:
        raise AirisError(
            f"{stack.path.name}: kubernetes:context is {wanted!r}, but no kubeconfig has that context",
            "there is no kubeconfig: $KUBECONFIG is not set, and ~/.kube/config has no contexts",
        )
    return Address("the cluster that this pod runs in") if _SERVICE_ACCOUNT.exists() else None


@contextmanager
def connected(stack: StackFile, namespace: str, kubeconfig: Path | None) -> Iterator[Cluster]:
    """The stack's cluster: that of `kubeconfig`, if given, otherwise the one that `pulumi up` deploys to.

    Raises EnvironmentProblem if none is configured, or kubectl is missing.
    """
    binary = kubectl_binary()
    context = stack.config.get("kubernetes:context")
    options = [f"--context={context}"] if context and kubeconfig is None else []
    own = stack.config.get("kubernetes:kubeconfig")
    if kubeconfig is not None:
        if not kubeconfig.is_file():
            raise AirisError(f"{kubeconfig}: there is no such file", "pass a kubeconfig with --kubeconfig")
        yield Cluster(binary, namespace, [f"--kubeconfig={kubeconfig}"])
        return
    if "kubernetes:kubeconfig" in stack.secret_keys:
        raise AirisError(
            f"{stack.path.name}: kubernetes:kubeconfig is encrypted, and only Pulumi can decrypt it",
            "pass a kubeconfig for the same cluster with --kubeconfig",
        )
    if configured_cluster(stack) is None:
        raise EnvironmentProblem(NOT_CONFIGURED, f"{TO_CONFIGURE}; or pass one with --kubeconfig")
    if own is None:
        yield Cluster(binary, namespace, options)
    elif not _is_text(own):
        yield Cluster(binary, namespace, [f"--kubeconfig={_path(stack, own)}", *options])
    else:
        with tempfile.NamedTemporaryFile("w", suffix=".kubeconfig") as file:  # readable only by its owner
            file.write(own)
            file.flush()
            yield Cluster(binary, namespace, [f"--kubeconfig={file.name}", *options])


def _in_stack_file(stack: StackFile) -> Address:
    """The cluster of `kubernetes:kubeconfig`, which is the text or the path of a kubeconfig."""
    words = "the kubeconfig in the stack file"
    own = stack.config["kubernetes:kubeconfig"]
    key = f"{stack.path.name}: kubernetes:kubeconfig"
    if "kubernetes:kubeconfig" in stack.secret_keys:
        return Address(words)
    try:
        config = kubeconfig.parse(own, key) if _is_text(own) else kubeconfig.read([_path(stack, own)])
        context = _context(stack, config)
    except EnvironmentProblem as error:
        if _is_text(own):  # the error is in the stack file
            raise AirisError(error.message, error.remedy) from None
        raise EnvironmentProblem(f"{key} names an unusable file: {error.message}", error.remedy) from None
    return Address(words, context, config.server(context))


def _context(stack: StackFile, config: Kubeconfig) -> str:
    """The context of the stack file, or otherwise the current one."""
    wanted = stack.config.get("kubernetes:context")
    if wanted is None:
        return config.current_context()
    if wanted not in config.contexts:
        raise AirisError(
            f"{stack.path.name}: kubernetes:context is {wanted!r}, but no kubeconfig has that context ({config.where})",
            f"the contexts are: {', '.join(sorted(config.contexts)) or 'none'}",
        )
    return wanted


def _is_text(own: str) -> bool:
    return "\n" in own or own.lstrip().startswith("{")


def _path(stack: StackFile, own: str) -> Path:
    return stack.path.parent / Path(own).expanduser()


def _from_environment() -> Kubeconfig | None:
    """The kubeconfig of $KUBECONFIG, or otherwise ~/.kube/config if that has a context.

    As with kubectl, some of several files in $KUBECONFIG may be missing. Raises EnvironmentProblem if all are missing, or if
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
            raise EnvironmentProblem(f"{named!r} does not name a file", "it must be a kubeconfig")
        config = kubeconfig.read(there or files)
        if not config.contexts:
            config.current_context()
    except EnvironmentProblem as error:
        raise EnvironmentProblem(
            f"$KUBECONFIG is unusable: {error.message}",
            f"set it to the kubeconfig of your cluster, or unset it to use ~/.kube/config; {error.remedy}",
        ) from None
    return config


def kubectl_binary() -> Path:
    """The kubectl on PATH, or otherwise the sandbox's. Raises EnvironmentProblem if there is neither."""
    if found := shutil.which("kubectl"):
        return Path(found)
    with suppress(AirisError, OSError):
        if (ours := cached().path("kubectl")).exists():
            return ours
    raise EnvironmentProblem("kubectl is missing", "install it, or run `airis sandbox build`, which includes one")
