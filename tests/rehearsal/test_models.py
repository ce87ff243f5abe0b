"""Models on a real control plane: the Jobs are admitted, complete, and give way to others when the settings change."""

from typing import Any

import pytest

from airis.cluster.finding import State
from airis.rehearse.rehearsal import rehearse
from airis.rehearse.sandbox import Sandbox
from airis.rehearse.verdict import Verdict
from airis.render import manifest, program
from tests.unit.drawing import draw

pytestmark = pytest.mark.timeout(120)

OLLAMA: dict[str, Any] = {
    "models": ["llama3.2:1b", "nomic-embed-text"],
    "create": [
        {
            "name": "mario",
            "from": "gemma3:1b",
            "system": 'You are "Mario".\nBe brief.',
            "parameters": {"numCtx": 8192, "temperature": 0.2, "stop": ["</s>"]},
        }
    ],
    "preload": ["mario", "nomic-embed-text"],
    "preloadKeepAlive": -1,
    "absentModels": ["old:7b"],
    "server": {"parallel": 2, "maxLoadedModels": 2, "flashAttention": True, "kvCacheType": "q8_0", "cloud": False},
}


def wanted(rendering: program.Rendering) -> list[dict[str, Any]]:
    return [manifest.manifest(each) for each in manifest.in_order(rendering.objects)]


def rehearsed(sandbox: Sandbox, **settings: object) -> Verdict:
    return rehearse("test", wanted(draw(**settings)), sandbox.kubectl, timeout_seconds=60)


def jobs(verdict: Verdict) -> dict[str, State]:
    return {each.name: each.state for each in verdict.findings if each.kind == "Job"}


def test_everything_about_models_becomes_complete(clean_sandbox: Sandbox) -> None:
    verdict = rehearsed(clean_sandbox, ollama={"replicas": 2, **OLLAMA})

    assert verdict.ok, verdict
    assert list(jobs(verdict).values()) == [State.READY, State.READY]
    # what the API server keeps is what was asked for, in this order
    for each in clean_sandbox.kubectl.get("jobs", "--namespace=airis"):
        steps = each["spec"]["template"]["spec"]["initContainers"]
        assert [step["args"][0] for step in steps] == [
            "remove",
            "ensure",
            "ensure",
            "ensure",
            "create",
            "load",
            "load",
        ]


def test_a_second_apply_changes_no_job(clean_sandbox: Sandbox) -> None:
    assert rehearsed(clean_sandbox, ollama=OLLAMA).ok
    (before,) = clean_sandbox.kubectl.get("jobs", "--namespace=airis")

    assert rehearsed(clean_sandbox, ollama=OLLAMA).ok

    (after,) = clean_sandbox.kubectl.get("jobs", "--namespace=airis")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert (after["metadata"]["generation"], after["spec"]) == (before["metadata"]["generation"], before["spec"])


@pytest.mark.parametrize(
    "further",
    [
        {"labels": {"team": "a"}},
        {"podSecurity": "baseline"},
        {"registry": {"mirror": "registry.example.com/mirror"}},
    ],
    ids=str,
)
def test_what_changes_every_pod_is_no_obstacle(further: dict[str, Any], clean_sandbox: Sandbox) -> None:
    """A Job's template cannot be changed: another Job has to take its place."""
    before = jobs(rehearsed(clean_sandbox, ollama=OLLAMA))

    verdict = rehearsed(clean_sandbox, ollama=OLLAMA, **further)

    assert verdict.ok, verdict
    assert jobs(verdict).keys().isdisjoint(before)
