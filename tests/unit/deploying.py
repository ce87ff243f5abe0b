"""A fake Pulumi, a fake kubectl and a kubeconfig, for the tests of the commands that deploy."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from airis.deploy import destroy
from airis.deploy import up as commands
from airis.deploy.engine import Engine
from airis.rehearse.deploy_or_rehearse import deploy_or_rehearse

KUBECONFIG = """
contexts: [{name: home, context: {cluster: home, user: me}}, {name: work, context: {cluster: work, user: me}}]
clusters:
- {name: home, cluster: {server: "https://home.example.com:6443"}}
- {name: work, cluster: {server: "https://work.example.com"}}
current-context: home
"""


UID = "3b0a1f52-3df2-4ab6-8ae4-3a3b0a3c2f10"


SYSTEM = f'*kube-system*) echo \'{{"kind":"Namespace","metadata":{{"uid":"{UID}"}}}}\' ;;'
"""A fake kubectl's answer with the cluster's UID."""


Script = Callable[[str, str], Path]


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    """Puts a program on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=":")

    def write(name: str, text: str) -> Path:
        program = folder / name
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
        return program

    return write


AWAIT_READY = commands._await_ready


EVERY_COMMAND: list[Callable[[], int]] = [
    lambda: deploy_or_rehearse("test", yes=True),
    lambda: commands.preview("test"),
    lambda: commands.refresh("test", yes=True),
    lambda: destroy.destroy("test", yes=True),
]


class FakeEngine:
    """A fake Pulumi that records the operations."""

    def __init__(self, asked: list[str], changes: Mapping[str, int]) -> None:
        self.asked = asked
        self.changes = changes
        self.stack = None

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def do(**_: object) -> Any:
            self.asked.append(name)
            if name == "failing_since":
                return None
            if name == "export_state":
                return {"version": 3, "deployment": {}}
            return self.changes

        return do


@pytest.fixture
def asked(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: Script) -> list[str]:
    """A kubeconfig, a cluster with a UID, and a fake Pulumi; returns the operations so far."""
    record: list[str] = []
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(KUBECONFIG)
    script("kubectl", f'case "$*" in {SYSTEM} esac')
    monkeypatch.setattr(commands, "_await_ready", lambda *_: None)
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    monkeypatch.setattr(Engine, "open", lambda *_, **__: FakeEngine(record, {"create": 1}))
    monkeypatch.chdir(project)
    return record


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("PULUMI_HOME", str(home))
    for name in ("PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    return home


def write(project: Path, config: str) -> None:
    (project / "Pulumi.test.yaml").write_text(f"config: {config}\n")


def answer(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

        def readline(self) -> str:
            return text

    monkeypatch.setattr(sys, "stdin", Terminal())
