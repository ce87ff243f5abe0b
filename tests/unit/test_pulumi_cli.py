"""The Pulumi CLI: it is found or installed, runs without a terminal, and stops cleanly."""

import importlib.metadata
import os
import signal
import threading
import time
from pathlib import Path

import pytest
from pulumi import automation

from airis.deploy import pulumi_cli
from airis.deploy.pulumi_cli import Command
from airis.terminal.errors import EnvironmentProblem
from tests.unit.deploying import (
    Script,
    own_home,
    script,
)

__all__ = ["own_home", "script"]  # fixtures

pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize(
    ("version", "reason"), [("v3.100.0", "3.100.0"), ("nonsense", "parse"), (None, "not found on PATH")]
)
def test_without_a_compatible_cli_and_network_the_manual_steps_are_printed(
    script: Script, monkeypatch: pytest.MonkeyPatch, version: str | None, reason: str, tmp_path: Path
) -> None:
    def offline(**_: object) -> Command:
        raise OSError("Name or service not known")

    monkeypatch.setattr(Command, "install", offline)
    if version is None:
        monkeypatch.setenv("PATH", str(tmp_path))
    else:
        script("pulumi", f"echo {version}")
    with pytest.raises(EnvironmentProblem, match="put `pulumi` on PATH") as told:
        pulumi_cli.find_or_install()
    assert reason in str(told.value)
    assert "3.260.0 or newer" in str(told.value)


def test_a_compatible_cli_is_used(script: Script) -> None:
    script("pulumi", "echo v3.999.0")
    assert pulumi_cli.find_or_install().command == "pulumi"


def test_an_installed_provider_is_not_downloaded(own_home: Path, script: Script) -> None:
    script("pulumi", '[ "$1" = version ] && echo v3.999.0 || exit 1')
    command = pulumi_cli.find_or_install()
    with pytest.raises(EnvironmentProblem, match="plugin install resource kubernetes v4") as told:
        pulumi_cli.ensure_provider(command, {})
    assert "--file" in str(told.value)
    version = importlib.metadata.version("pulumi-kubernetes")
    (own_home / "plugins" / f"resource-kubernetes-v{version}").mkdir(parents=True)
    assert pulumi_cli.ensure_provider(command, {}) == version


def running(script: Script, text: str) -> Command:
    script("pulumi", f'[ "$1" = version ] && echo v3.999.0 && exit\n{text}')
    return Command()


def test_the_output_of_the_cli_is_streamed(script: Script, tmp_path: Path) -> None:
    command = running(script, 'echo "$1"; echo trouble >&2; sleep 1; echo last')
    said: list[tuple[float, str]] = []
    start = time.monotonic()
    result = command.run(
        ["up"], str(tmp_path), {}, lambda line: said.append((time.monotonic() - start, line)), lambda line: None
    )
    assert [line for _, line in said] == ["--non-interactive", "last"]
    assert said[0][0] < 0.8 < said[1][0]
    assert (result.stderr, result.code) == ("trouble", 0)


def test_the_cli_gets_an_empty_stdin(script: Script, tmp_path: Path) -> None:
    assert running(script, "cat").run(["up"], str(tmp_path), {}).stdout == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_interrupts_the_cli_once(
    script: Script, tmp_path: Path, capfd: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    command = running(script, "trap 'echo ended well; exit 255' INT\necho started\nwhile :; do sleep 0.05; done")
    before = signal.getsignal(number)
    started = threading.Event()

    def interrupt() -> None:
        if started.wait(10):
            os.kill(os.getpid(), number)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(automation.CommandError):
        command.run(["up"], str(tmp_path), {}, lambda line: started.set())
    assert command.interrupted
    assert command.last.stdout == "started\nended well"
    assert "Pulumi finishes the operations in progress" in capfd.readouterr().err
    assert signal.getsignal(number) is before
