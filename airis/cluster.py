"""Which cluster `pulumi up` would deploy to, as far as files tell; and kubectl on it, with the user's own credentials."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from airis.errors import AirisError, EnvironmentProblem
from airis.kubectl import LISTED, call, listed
from airis.sandbox.binaries import cached
from airis.stacks import StackFile

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


def configured_cluster(stack: StackFile) -> Address | None:
    """The cluster that the stack would go to, or None where none is configured.

    Looks where the Kubernetes provider looks: the stack's `kubernetes:kubeconfig` and `kubernetes:context`, then
    $KUBECONFIG, ~/.kube/config, and the pod that this runs in. Whether the cluster answers is not asked. Raises
    AirisError when the stack names a context that no kubeconfig has.
    """
    wanted = stack.config.get("kubernetes:context")
    own = stack.config.get("kubernetes:kubeconfig")
    if own is not None:
        return _in_stack_file(stack, own, wanted)
    files = [path for path in _kubeconfig_files() if path.is_file()]
    configs = [_read(path) for path in files]
    contexts = _named(configs, "contexts")
    if wanted is not None and wanted not in contexts:
        known = ", ".join(sorted(contexts)) or "none"
        raise AirisError(
            f"{stack.path.name}: kubernetes:context is {wanted!r}, which no kubeconfig has",
            f"the contexts are: {known}",
        )
    context = wanted or _current(configs)
    if context in contexts:
        where = ", ".join(map(str, files))
        return Address(f"context {context} ({where})", context, _server(configs, str(context)))
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
    elif "kubernetes:kubeconfig" in stack.secret_keys:
        raise AirisError(
            f"{stack.path.name}: kubernetes:kubeconfig is encrypted, and only Pulumi can decrypt it",
            "name the same cluster with --kubeconfig",
        )
    elif own is None:
        if configured_cluster(stack) is None:
            raise EnvironmentProblem(
                "no cluster is configured", "set $KUBECONFIG, or name a kubeconfig with --kubeconfig"
            )
        yield Cluster(binary, namespace, options)
    elif "\n" not in own:
        yield Cluster(binary, namespace, [f"--kubeconfig={stack.path.parent / Path(own).expanduser()}", *options])
    else:
        with tempfile.NamedTemporaryFile("w", suffix=".kubeconfig") as file:  # readable by its owner alone
            file.write(own)
            file.flush()
            yield Cluster(binary, namespace, [f"--kubeconfig={file.name}", *options])


def _in_stack_file(stack: StackFile, own: str, wanted: str | None) -> Address:
    """`kubernetes:kubeconfig` is a kubeconfig itself, or the path of one."""
    words = "the kubeconfig in the stack file"
    if "kubernetes:kubeconfig" in stack.secret_keys:
        return Address(words)
    config: dict[str, Any]
    if "\n" in own or own.lstrip().startswith("{"):
        try:
            config = yaml.safe_load(own)
        except yaml.YAMLError:
            config = {}
    else:
        config = _read(stack.path.parent / Path(own).expanduser())
    context = wanted or _current([config])
    return Address(words, context, _server([config], context) if context else None)


def _named(configs: Sequence[Mapping[str, Any]], kind: str) -> dict[str, Any]:
    """The entries of a kubeconfig's list by their names; of two with one name the first counts, as for kubectl."""
    found: dict[str, Any] = {}
    for config in configs:
        for each in config.get(kind) or []:
            found.setdefault(each["name"], each)
    return found


def _current(configs: Sequence[Mapping[str, Any]]) -> str | None:
    return next((str(config["current-context"]) for config in configs if config.get("current-context")), None)


def _server(configs: Sequence[Mapping[str, Any]], context: str) -> str | None:
    at = _named(configs, "contexts").get(context, {}).get("context") or {}
    server = (_named(configs, "clusters").get(str(at.get("cluster")), {}).get("cluster") or {}).get("server")
    return None if server is None else str(server)


def _kubeconfig_files() -> list[Path]:
    if value := os.environ.get("KUBECONFIG"):
        return [Path(part) for part in value.split(os.pathsep) if part]
    return [Path.home() / ".kube" / "config"]


def _read(path: Path) -> dict[str, Any]:
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise AirisError(f"{path}: this kubeconfig cannot be read: {type(error).__name__}") from None
    return config if isinstance(config, dict) else {}


def kubectl_binary() -> Path:
    """The kubectl on PATH, or else the sandbox's own. Raises EnvironmentProblem where there is neither."""
    if found := shutil.which("kubectl"):
        return Path(found)
    with suppress(AirisError, OSError):
        if (ours := cached().path("kubectl")).exists():
            return ours
    raise EnvironmentProblem("kubectl is missing", "install it, or `airis sandbox build`, which brings one along")
