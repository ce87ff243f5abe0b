"""Fixtures: a copy of the project to write stack files into, the command, and what the program registers."""

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from textwrap import dedent
from typing import Any

import hypothesis
import pulumi.runtime.resource
import pytest
import typer.main
from pulumi.runtime.proto.source_pb2 import StackTrace

from airis.cli import main as cli
from airis.render import program
from tests.unit.drawing import ROOT

# The typed Kubernetes modules are a million objects, and every collection of garbage looks through them
gc.set_threshold(200_000, 20, 20)

# The same command line for every test that runs the command: Typer builds it anew for each call, which takes 8 ms
typer.main.get_command = cache(typer.main.get_command)

# Where in the program each resource is made interests the engine alone, and takes a tenth of a render
pulumi.runtime.resource._get_stack_trace = StackTrace

# A shell has what it starts in the background ignore Ctrl-C, and that is handed down to every program that a test interrupts
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples in every run, and no failure because a machine was busy
hypothesis.settings.register_profile("airis", deadline=None, derandomize=True)
hypothesis.settings.load_profile("airis")

Command = Callable[..., tuple[int, str, str]]
Refuse = Callable[[str], str]
Airis = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the program and the committed stacks, free to write other stack files into."""
    for file in (ROOT / "__main__.py", *ROOT.glob("Pulumi*.yaml")):
        (tmp_path / file.name).symlink_to(file)
    return tmp_path


@pytest.fixture
def no_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which no cluster is configured."""
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    monkeypatch.setattr("airis.cluster.connection._SERVICE_ACCOUNT", tmp_path / "no-token")


@pytest.fixture
def registrations(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every request to register a resource, in order, as the engine would receive it; the stack itself left out."""
    requests: list[Any] = []

    class Listener(program._Recorder):
        def RegisterResource(self, request: Any) -> Any:
            if request.type != "pulumi:pulumi:Stack":
                requests.append(request)
            return super().RegisterResource(request)

    monkeypatch.setattr(program, "_Recorder", Listener)
    return requests


@pytest.fixture
def command(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs the `airis` command in the project's copy and in this process; returns exit code, stdout and stderr."""

    def run(*args: str) -> tuple[int, str, str]:
        monkeypatch.chdir(project)
        monkeypatch.setattr(sys, "argv", ["airis", *args])
        code = cli._run()  # what `main` hands to the shell; `main` itself ends the process
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def refuse(project: Path, registrations: list[Any], command: Command) -> Refuse:
    """Renders a stack with this configuration, and returns what `airis` says about it.

    Asserts what holds for every refusal: exit code 1, nothing on stdout, no traceback, nothing registered.
    """

    def run(config: str) -> str:
        text = "config:\n" + "".join(f"  {line}\n" for line in dedent(config).strip().splitlines())
        (project / "Pulumi.test.yaml").write_text(text, encoding="utf-8")
        code, out, err = command("render", "--stack", "test")
        assert code == 1
        assert out == ""
        assert "Traceback" not in err
        assert registrations == []
        assert err.startswith("error: Pulumi.test.yaml")
        return err.removeprefix("error: ").rstrip("\n")

    return run


@pytest.fixture
def airis(project: Path) -> Airis:
    """Runs the `airis` command in the project's copy, in a process of its own."""

    def run(*args: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "airis.cli.main", *args],
            cwd=project,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )

    return run
