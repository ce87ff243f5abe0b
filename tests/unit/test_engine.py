"""The engine: its output, its failures and its locks as errors, and the defaults of a stack. tests/engine runs a real one."""

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pulumi.automation import CommandResult
from pulumi.automation.errors import create_command_error

from airis.deploy import state_backend
from airis.deploy.engine import Engine, EngineFailed, EngineKilled, Locked
from airis.deploy.engine_output import Quiet
from airis.deploy.pulumi_cli import Command
from airis.stack_file import reference
from airis.stack_file.stacks import StackFile, read_stack, settings_of
from settings import load
from settings.stack import StackSettings
from tests.unit.deploying import (
    own_home,
)

__all__ = ["own_home"]  # fixtures

pytestmark = pytest.mark.timeout(60)


NOISE = """ +  kubernetes:core/v1:Secret airis create
    pulumi:pulumi:Stack airis-gpu running Traceback (most recent call last):
    pulumi:pulumi:Stack airis-gpu running   File "x.py", line 232, in <module>
 ~  kubernetes:apps/v1:Deployment airis update
    pulumi:pulumi:Stack airis-gpu running     loop.run()
    pulumi:pulumi:Stack airis-gpu running KeyboardInterrupt
    pulumi:pulumi:Stack airis-gpu running During handling of the above exception, another exception occurred:
    pulumi:pulumi:Stack airis-gpu running Traceback (most recent call last):
    pulumi:pulumi:Stack airis-gpu running KeyboardInterrupt
 +  pulumi:pulumi:Stack airis-gpu creating (1s) Traceback (most recent call last):
 +  pulumi:pulumi:Stack airis-gpu creating (1s)   File "x.py", line 232, in <module>
 +  pulumi:pulumi:Stack airis-gpu creating (2s) KeyboardInterrupt
Diagnostics:
  pulumi:pulumi:Stack (airis-gpu):
    error: preview failed

    Traceback (most recent call last):
      File "x.py", line 232, in <module>
        ^^^^^^
    KeyboardInterrupt

Resources:
    1 errored"""


def test_the_traceback_of_an_interrupted_program_is_dropped() -> None:
    told: list[str] = []
    quiet = Quiet(told.append)
    for line in NOISE.splitlines():
        quiet(line)
    quiet.close()
    assert [line for line in told if line] == [
        " +  kubernetes:core/v1:Secret airis create",
        " ~  kubernetes:apps/v1:Deployment airis update",
        "Diagnostics:",
        "  pulumi:pulumi:Stack (airis-gpu):",
        "    error: preview failed",
        "Resources:",
        "    1 errored",
    ]


def test_the_traceback_of_a_failing_program_is_printed() -> None:
    told: list[str] = []
    quiet = Quiet(told.append)
    lines = NOISE.replace("KeyboardInterrupt", "ValueError: x").splitlines()
    for line in lines:
        quiet(line)
    quiet.close()
    assert sorted(told) == sorted(lines)


class FakeStack:
    name = "test"

    def __init__(self, error: Exception) -> None:
        self.error = error

    def up(self, **_: object) -> None:
        raise self.error


def failing(result: CommandResult, *, interrupted: bool = False) -> Engine:
    command = Command.__new__(Command)
    command.last, command.interrupted = result, interrupted
    stack: Any = FakeStack(create_command_error(result))
    return Engine(stack, command)


def test_failing_runs_count_since_the_last_successful_change() -> None:
    """A refresh in between does not count. The newest runs come first."""

    def since(*runs: tuple[str, str]) -> datetime | None:
        entries = [
            SimpleNamespace(kind=kind, result=result, start_time=datetime(2026, 5, 1, 12, minute))
            for minute, (kind, result) in zip(range(50, 0, -10), runs, strict=False)
        ]
        command = Command.__new__(Command)
        stack: Any = SimpleNamespace(name="gpu", history=lambda **_: entries)
        return Engine(stack, command).failing_since()

    good, bad, read = ("update", "succeeded"), ("update", "failed"), ("refresh", "succeeded")
    assert since() is None
    assert since(good, bad) is None
    assert since(read, good, bad) is None
    assert since(bad, good) == datetime(2026, 5, 1, 12, 50, tzinfo=UTC)
    assert since(read, bad, read, bad, good) == datetime(2026, 5, 1, 12, 20, tzinfo=UTC)
    assert since(bad, ("destroy", "succeeded"), bad) == datetime(2026, 5, 1, 12, 50, tzinfo=UTC)
    assert since(("refresh", "failed"), good) is None


def lock_of(pid: int, host: str) -> str:
    return (
        "error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or delete the lock "
        f"file with `pulumi cancel`.\n  file:///x.json: created by me@{host} (pid {pid}) at 2026-01-02T03:04:05Z"
    )


def test_a_failure_refers_to_pulumis_output_and_does_not_repeat_it() -> None:
    with pytest.raises(EngineFailed) as failed:
        failing(CommandResult("secret words", "more", 255)).up()
    assert "words" not in str(failed.value)
    assert "see Pulumi's output above" in str(failed.value)
    assert failed.value.exit_code == 3


def test_a_field_conflict_has_a_remedy() -> None:
    with pytest.raises(EngineFailed, match="--force-conflicts"):
        failing(CommandResult("server-side apply field conflict detected", "", 255)).up()


def test_a_killed_run_is_not_a_failed_run() -> None:
    with pytest.raises(EngineKilled, match="SIGKILL"):
        failing(CommandResult("", "", -9)).up()


def test_an_interrupted_run_is_not_a_failed_run() -> None:
    with pytest.raises(KeyboardInterrupt):
        failing(CommandResult("", "", 255), interrupted=True).up()


def test_a_lock_names_its_holder_and_whether_its_process_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "here")
    ended = subprocess.Popen(["true"])
    ended.wait()
    for pid, host, dead in ((ended.pid, "here", True), (ended.pid, "there", False), (1, "here", False)):
        with pytest.raises(Locked) as locked:
            failing(CommandResult("", lock_of(pid, host), 255)).up()
        assert locked.value.dead is dead
        assert f"me@{host} (process {pid}) since 2026-01-02T03:04:05Z" in str(locked.value)
        assert "pulumi cancel" in str(locked.value)


def test_the_secrets_passphrase_is_never_printed(
    own_home: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    state_backend.backend(tmp_path)
    passphrase = (tmp_path / ".state" / "passphrase").read_text()
    said = capfd.readouterr()
    assert passphrase not in said.out + said.err


def test_a_stack_needs_only_a_stack_file_in_the_project(project: Path) -> None:
    stack: StackFile = read_stack("gpu", project)
    assert settings_of(stack).cluster.uid is None


def test_the_defaults_in_pulumi_yaml_change_no_setting() -> None:
    """The engine passes the project's defaults to the program as if the stack file set them."""
    given = {
        key: each["default"] if isinstance(each["default"], str) else json.dumps(each["default"])
        for key, each in reference.pulumi_config().items()
        if key.startswith("airis:")
    }
    assert len(given) > 10
    assert load(given, source="Pulumi.test.yaml") == StackSettings()
