"""kubeconfig files, read like kubectl: several are merged, and the first entry with a name counts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airis.terminal.errors import EnvironmentProblem
from settings.reading.yaml_file import YamlError, kubectl_documents


@dataclass(frozen=True)
class Kubeconfig:
    """The contexts and clusters of a kubeconfig; credentials are not read."""

    where: str
    """The files, for messages."""
    contexts: Mapping[str, str]
    """Cluster names by context name."""
    servers: Mapping[str, str]
    """URLs of the API servers by cluster name."""
    current: str
    """`current-context`; empty if not set."""

    def current_context(self) -> str:
        """The current context. Raises EnvironmentProblem, naming the files and the fix, if there is none."""
        if self.current in self.contexts:
            return self.current
        if not self.contexts:
            raise EnvironmentProblem(
                f"{self.where}: this kubeconfig has no contexts",
                "the tool that created the cluster writes one; `kubectl config get-contexts` lists its contexts",
            )
        use = f"`kubectl config use-context NAME` sets it; the contexts are: {', '.join(sorted(self.contexts))}"
        if not self.current:
            raise EnvironmentProblem(f"{self.where}: this kubeconfig has no current-context", use)
        raise EnvironmentProblem(
            f"{self.where}: current-context is {self.current!r}, but there is no such context", use
        )

    def server(self, context: str) -> str | None:
        """The URL of the context's API server, if the kubeconfig has it."""
        return self.servers.get(self.contexts[context])


def read(files: Sequence[Path]) -> Kubeconfig:
    """Reads and merges kubeconfig files. Raises EnvironmentProblem, naming the file, for an invalid one."""
    return _merged([_parse(_text(file), str(file)) for file in files], ", ".join(map(str, files)))


def parse(text: str, where: str) -> Kubeconfig:
    """Parses the text of a kubeconfig; errors call it `where`. Raises EnvironmentProblem if it is invalid."""
    return _merged([_parse(text, where)], where)


def is_missing(file: Path) -> bool:
    """Whether nothing exists at that path."""
    try:
        file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:  # something may exist: reading it raises the error
        return False
    return False


def _text(file: Path) -> str:
    if is_missing(file):
        raise EnvironmentProblem(f"{file}: there is no such file", "it must be a kubeconfig")
    try:
        if not file.is_file():  # reading a pipe could block
            raise EnvironmentProblem(f"{file}: this is not a regular file", "it must be a kubeconfig")
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise EnvironmentProblem(f"{file}: this is not text", "it must be a kubeconfig, which is YAML") from None
    except OSError as error:
        raise EnvironmentProblem(
            f"{file}: this kubeconfig cannot be read: {error.strerror}", "it must be a kubeconfig that you may read"
        ) from None


def _parse(text: str, where: str) -> Kubeconfig:
    try:
        documents = kubectl_documents(text)
    except YamlError as error:
        # The parser's message may quote a credential
        raise EnvironmentProblem(
            f"{where}: this is not YAML{error.line}", "it must be a kubeconfig, which is YAML"
        ) from None
    config = documents[0] if documents and documents[0] is not None else {}
    if not isinstance(config, Mapping):
        raise _misshapen(where, f"contains a {_kind(config)}, not a mapping with contexts and clusters")
    current = config.get("current-context")
    if current is not None and not isinstance(current, str):
        raise _misshapen(where, f"has a {_kind(current)} as its current-context, not text")
    contexts = {name: str(each.get("cluster")) for name, each in _entries(config, "contexts", "context", where)}
    servers = {
        name: str(each["server"]) for name, each in _entries(config, "clusters", "cluster", where) if each.get("server")
    }
    return Kubeconfig(where, contexts, servers, current or "")


def _entries(config: Mapping[Any, Any], kind: str, inner: str, where: str) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """Name and content of each entry of a list such as `contexts`, in reverse order, so that the first of a name counts."""
    entries = config.get(kind)
    if entries is None:
        return []
    if not isinstance(entries, list):
        raise _misshapen(where, f"has a {_kind(entries)} as its {kind}, not a list")
    found = []
    for index, each in enumerate(entries):
        name = each.get("name") if isinstance(each, Mapping) else None
        if not isinstance(name, str) or not name:
            raise _misshapen(where, f"has an entry without a name: {kind}[{index}]")
        content = each.get(inner)
        if content is not None and not isinstance(content, Mapping):
            raise _misshapen(where, f"has a {_kind(content)} as the {inner} of {name!r}, not a mapping")
        found.append((name, content or {}))
    return reversed(found)


def _merged(configs: Sequence[Kubeconfig], where: str) -> Kubeconfig:
    contexts: dict[str, str] = {}
    servers: dict[str, str] = {}
    for each in configs:
        contexts = {**each.contexts, **contexts}
        servers = {**each.servers, **servers}
    return Kubeconfig(where, contexts, servers, next((each.current for each in configs if each.current), ""))


def _kind(value: object) -> str:
    names = {list: "list", Mapping: "mapping", str: "text", bool: "truth value"}
    return next((name for kind, name in names.items() if isinstance(value, kind)), "number")


def _misshapen(where: str, what: str) -> EnvironmentProblem:
    return EnvironmentProblem(f"{where}: this kubeconfig {what}", "`kubectl config view` must be able to read it")
