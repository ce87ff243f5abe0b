"""The program's warnings: printed once per run of the command, and as rarely as possible with plain Pulumi."""

import os
from typing import Any
from unittest import mock

import pulumi
import pytest

from airis.deploy import engine
from airis.render import program
from airis.terminal.warnings import TOLD
from components import warn
from tests.unit.conftest import Command
from tests.unit.drawing import stack_of

pytestmark = pytest.mark.timeout(60)

WARNING = "warning: airis:webui.image: a/b:main has a mutable tag: pin a release or a digest\n"


def test_a_warning_is_printed_once_per_command(capsys: pytest.CaptureFixture[str]) -> None:
    TOLD.clear()  # as a command does at its start
    stack = stack_of(webui={"image": "a/b:main"})
    for _ in range(3):
        program.run(stack)
    program.run(stack_of(webui={"image": "a/b:main", "replicas": 0}))
    assert capsys.readouterr().err == WARNING


def test_the_next_command_warns_again(command: Command, project: Any) -> None:
    (project / "Pulumi.test.yaml").write_text("config: {airis:webui: {image: 'a/b:main'}}\n")
    for _ in range(2):
        _, out, err = command("render", "--stack", "test")
        assert err.count(WARNING) == 1
        assert "has a mutable tag" not in out


def test_the_engine_does_not_repeat_warnings_that_airis_has_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[tuple[str, object]] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda text, resource: logged.append((text, resource)))
    monkeypatch.setattr(warn, "get_root_resource", lambda: "the stack")
    assert warn.TOLD_VARIABLE not in os.environ

    warn.warn(["one", "two"])
    assert logged == [("one", "the stack"), ("two", "the stack")]

    monkeypatch.setenv(warn.TOLD_VARIABLE, "true")
    warn.warn(["three"])
    assert len(logged) == 2


def test_the_engine_runs_the_program_without_its_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = mock.Mock()
    monkeypatch.setattr("pulumi.automation.create_or_select_stack", opened)
    monkeypatch.setattr(engine, "find_or_install", lambda: None)
    monkeypatch.setattr(engine, "ensure_provider", lambda *_: None)
    engine.Engine.open(stack_of(), environment={})
    assert opened.call_args.kwargs["opts"].env_vars[warn.TOLD_VARIABLE] == "true"
