"""Every command that reads the stack warns of settings below the measured needs of an application."""

from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import yaml

from airis.terminal.errors import AirisError
from settings import load
from tests.unit.conftest import Command
from tests.unit.diffs import committed_project
from tests.unit.drawing import ROOT, stack_of

pytestmark = pytest.mark.timeout(60)

DATA = yaml.safe_load((ROOT / "settings" / "pods" / "measured.yaml").read_text(encoding="utf-8"))
ELSEWHERE = {"connections": {"embeddings": {"engine": "ollama", "model": "m"}}}


def said(**settings: object) -> list[str]:
    return [
        each
        for each in load(stack_of(**settings).config, source="x").warnings()
        if " took " in each or " used " in each
    ]


def startup(seconds: int) -> dict[str, Any]:
    return {"probes": {"startup": {"periodSeconds": 1, "failureThreshold": seconds}}}


def limits(**amounts: str | None) -> dict[str, Any]:
    return {"resources": {"requests": {"cpu": None, "memory": None}, "limits": amounts}}


def test_every_figure_has_its_source() -> None:
    assert DATA.keys() == {"webui", "ollama"}
    for known in DATA.values():
        for row in (*known["start"], *known["rest"]):
            assert row["source"]


@pytest.mark.parametrize(
    ("webui", "figure"),
    [
        (startup(5), "15 to 40 s with a CPU limit of 1"),
        (startup(39), "15 to 40 s"),
        (startup(40), None),
        (startup(39) | limits(cpu=None), "15 to 40 s"),
        (startup(39) | limits(cpu="4"), "15 to 40 s"),
        (startup(64) | limits(cpu="300m"), "65 s with a CPU limit of 300m"),
        (startup(64) | limits(cpu="100m"), "65 s"),
        (startup(64) | limits(cpu="500m"), None),  # not measured
        (startup(65) | limits(cpu="300m"), None),
        ({}, None),
    ],
    ids=str,
)
def test_a_startup_probe_shorter_than_the_measured_start_is_warned_of(
    webui: dict[str, Any], figure: str | None
) -> None:
    told = said(webui=webui)
    assert len(told) == (figure is not None)
    assert all(each.startswith("airis:webui.probes.startup: ") and str(figure) in each for each in told)


@pytest.mark.parametrize(
    ("webui", "figure"),
    [
        (limits(memory="256Mi"), "777Mi with a local embedding model"),
        (limits(memory="776Mi"), "777Mi"),
        (limits(memory="777Mi"), None),
        (limits(memory="777Mi") | ELSEWHERE, None),
        (limits(memory="256Mi") | ELSEWHERE, "308M with embeddings of a server"),
        (limits(memory=None), None),
    ],
    ids=str,
)
def test_a_memory_limit_below_the_measured_idle_memory_is_warned_of(webui: dict[str, Any], figure: str | None) -> None:
    told = said(webui=webui)
    assert len(told) == (figure is not None)
    assert all(each.startswith("airis:webui.resources.limits.memory: ") and str(figure) in each for each in told)


def test_ollama_has_the_same_warnings() -> None:
    (start,) = said(ollama=startup(4))
    assert start.startswith("airis:ollama.probes.startup: 4 s ")
    (rest,) = said(ollama=limits(memory="6Mi"))
    assert rest.startswith("airis:ollama.resources.limits.memory: 6Mi, ")
    assert said(ollama=startup(5)) == []
    assert said(ollama={"enabled": False, **startup(3)}) == []


@pytest.mark.parametrize("name", ["check", "rehearse", "diff", "render"])
def test_every_command_prints_the_warnings(
    name: str, project: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "Pulumi.test.yaml").write_text("config: {}\n", encoding="utf-8")
    committed_project(project)
    probes = "probes: {startup: {failureThreshold: 1, periodSeconds: 5}}"
    memory = "resources: {requests: {memory: 256Mi}, limits: {memory: 256Mi}}"
    (project / "Pulumi.test.yaml").write_text(f"config: {{airis:webui: {{{probes}, {memory}}}}}\n", encoding="utf-8")
    monkeypatch.setattr(
        "airis.rehearse.rehearsal.borrowed_sandbox", mock.Mock(side_effect=AirisError("no control plane"))
    )

    _, out, err = command(name, "--stack", "test")

    for key in ("probes.startup: 5 s", "resources.limits.memory: 256Mi"):
        assert err.count(f"warning: airis:webui.{key}") == 1
        assert key not in out
