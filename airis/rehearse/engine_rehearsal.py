"""A rehearsal with the Pulumi engine: the same program and the same temporary cluster, deployed by Pulumi.

The stack's cluster, its state and its secrets, which only their owner can decrypt, are replaced.
"""

import re
import secrets
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pulumi.automation import ConfigMap, ConfigValue, PulumiCommand

from airis.deploy.engine import Engine
from airis.deploy.pulumi_cli import MINIMUM_CLI, provider_is_there
from airis.stack_file.stacks import PROJECT_FILE, StackFile
from airis.stack_file.yaml_writer import dump
from airis.terminal.errors import AirisError
from settings.reading.yaml_file import read_yaml
from settings.types.secrets import UNREADABLE

_ELSEWHERE = ("kubernetes:cluster", "kubernetes:clusterIdentifier", "kubernetes:context", "kubernetes:kubeconfig")
_PINS = ("uid", "context", "server")
_LEAST_SECONDS = 30
_ERROR = re.compile(r"^\s*error: (?P<words>.+(?:\n {6,}.+)*)", re.MULTILINE)
_REFUSED = re.compile(r"^ {2}kubernetes:\S+ \((?P<name>[^)]+)\):\n\s+error: (?P<words>.+)$", re.MULTILINE)


def is_available() -> bool:
    """Whether Pulumi is on PATH and its Kubernetes provider is installed: a rehearsal downloads nothing."""
    try:
        PulumiCommand(version=MINIMUM_CLI)
    except Exception:  # the Automation API raises bare exceptions
        return False
    return provider_is_there({})


class Applying:
    """Pulumi, running in a thread while the rehearsal observes the cluster."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._error: AirisError | None = None
        self._thread = threading.Thread(target=self._up, name="engine", daemon=True)
        self._thread.start()

    def _up(self) -> None:
        try:
            self._engine.up()
        except AirisError as error:
            self._error = error
        except KeyboardInterrupt:  # stopped, because the cluster settled
            pass

    @property
    def running(self) -> bool:
        """Whether it still runs."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Ends it gracefully, if it still runs."""
        while self._thread.is_alive():
            self._engine.command.stop()
            self._thread.join(10)

    def refusal(self, name: str) -> str:
        """Why Pulumi did not create the resource with that name, in Pulumi's words."""
        text = "\n".join((self._engine.command.last.stdout, self._engine.command.last.stderr))
        words = {found["name"]: found["words"] for found in _REFUSED.finditer(text)}
        first = _ERROR.search(text)
        return words.get(name) or (first["words"] if first else "Pulumi did not create it")


@contextmanager
def applied(stack: StackFile, kubeconfig: Path, seconds: float) -> Iterator[Applying]:
    """Deploys the stack, with a temporary state, to the cluster of `kubeconfig` while the block runs."""
    with tempfile.TemporaryDirectory(prefix="airis-") as name:
        folder = Path(name)
        copy = copied(stack, folder, seconds)
        environment = {
            "KUBECONFIG": str(kubeconfig),
            "PULUMI_BACKEND_URL": (folder / ".backend").as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": secrets.token_urlsafe(16),
        }
        (folder / ".backend").mkdir()
        engine = Engine.open(copy, environment=environment, config=secret_config(stack), tell=lambda line: None)
        applying = Applying(engine)
        try:
            yield applying
        finally:
            applying.stop()


def copied(stack: StackFile, folder: Path, seconds: float) -> StackFile:
    """The project in another folder, as links, with a stack file without a cluster and without secrets."""
    root = stack.path.parent
    for each in root.iterdir():
        if not each.name.startswith((".", "Pulumi.")) or each.name == PROJECT_FILE:
            (folder / each.name).symlink_to(each)
    (folder / ".venv").symlink_to(sys.prefix)
    document = read_yaml(stack.path)
    config = {key: _without_secrets(value) for key, value in document["config"].items() if key not in _ELSEWHERE}
    config = {key: value for key, value in config.items() if value is not _SECRET}
    cluster = next((key for key in config if key in ("cluster", "airis:cluster")), "airis:cluster")
    kept = {key: value for key, value in (config.get(cluster) or {}).items() if key not in _PINS}
    config[cluster] = {**kept, "readySeconds": max(int(seconds), _LEAST_SECONDS)}
    path = folder / stack.path.name
    path.write_text(dump({"config": config}), encoding="utf-8")
    return StackFile(stack.name, path, stack.config, stack.secret_keys)


def secret_config(stack: StackFile) -> ConfigMap:
    """Placeholders for encrypted values, which must be secret as well: the program requires that."""
    document = read_yaml(stack.path)
    paths = [
        path
        for key, value in document["config"].items()
        if key not in _ELSEWHERE
        for path in _secret_paths(value, key if ":" in key else f"airis:{key}")
    ]
    return {path: ConfigValue(UNREADABLE, secret=True) for path in paths}


_SECRET = object()


def _without_secrets(value: Any) -> Any:
    if isinstance(value, Mapping):
        if set(value) == {"secure"}:
            return _SECRET
        inner = {key: _without_secrets(each) for key, each in value.items()}
        return {key: each for key, each in inner.items() if each is not _SECRET}
    return value


def _secret_paths(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        if set(value) == {"secure"}:
            yield path
            return
        for key, inner in value.items():
            yield from _secret_paths(inner, f"{path}.{key}" if str(key).isidentifier() else f'{path}["{key}"]')
