"""Models as desired state: pulled from a private registry, made, loaded, removed; and one that does not exist."""

import re
from pathlib import Path
from typing import Any

import pytest
import requests

from airis.cluster.kubectl import KubeObject
from tests.cluster import registry
from tests.cluster.registry import Registry
from tests.cluster.stacks import Stack
from tests.cluster.target import Target

SYSTEM = "You answer questions about our printers.\nIf you do not know, say so."
PAUSED: dict[str, Any] = {"replicas": 0}
"""The WebUI has no part in this."""


@pytest.fixture
def models(cluster: Target, namespace: str, tmp_path: Path) -> Registry:
    """A registry in the namespace."""
    return registry.start(cluster, namespace, tmp_path)


def named(stack: Stack, path: str) -> set[str]:
    """The models that Ollama lists at `path`: `/api/tags` for all, `/api/ps` for those in memory."""
    answer = requests.get(stack.url("ollama-service") + path, timeout=10)
    answer.raise_for_status()
    return {str(each["name"]).removesuffix(":latest") for each in answer.json()["models"]}


def job(stack: Stack) -> KubeObject:
    (found,) = stack.cluster.get("jobs")
    return found


def said(stack: Stack, step: str) -> str:
    """What a step of the models' Job wrote: `ensure-0`."""
    name = f"job/{job(stack)['metadata']['name']}"
    containers = job(stack)["spec"]["template"]["spec"]["initContainers"]
    (container,) = [each["name"] for each in containers if each["name"].startswith(step)]
    return stack.cluster.run("logs", name, f"--container={container}")


def test_models_become_what_the_stack_says(cluster: Target, stack: Stack, models: Registry, namespace: str) -> None:
    tiny, embeddings, absent = map(models.model, ("tiny", "tiny-embeddings", "absent"))
    away = "registry.nowhere.svc.cluster.local:5000/library/tiny"
    helpdesk = {"name": "helpdesk", "from": tiny, "system": SYSTEM, "parameters": {"numCtx": 512}}
    everything = {"models": [tiny, embeddings], "create": [helpdesk], "preload": ["helpdesk", embeddings]}

    def up(**ollama: object) -> None:
        stack.up(webui=PAUSED, caBundle={"configMap": "authorities"}, ollama=ollama)

    stack.fill(models.authorities("authorities"))
    up(**everything)
    assert named(stack, "/api/tags") == {tiny, embeddings, "helpdesk"}
    assert named(stack, "/api/ps") == {embeddings, "helpdesk"}
    shown = requests.post(stack.url("ollama-service") + "/api/show", json={"model": "helpdesk"}, timeout=10).json()
    assert shown["system"] == SYSTEM
    assert shown["parameters"].split() == ["num_ctx", "512"]

    # nothing changes: the Job is not run again
    before = job(stack)["metadata"]["uid"]
    up(**everything)
    assert job(stack)["metadata"]["uid"] == before

    # what cannot be had: `up` fails, with the reason for each, and the others have their turn
    reasons = (
        rf"airis: ensure {absent} failed: pull model manifest: file does not exist",
        rf"airis: ensure {away} failed: pull model manifest: .*no such host",
    )
    with pytest.raises(AssertionError) as failed:
        up(models=[absent, away, tiny], create=[{**helpdesk, "name": "second"}], modelPullSeconds=60)
    said_then = str(failed.value)
    assert [each for each in reasons if not re.search(each, said_then)] == [], said_then
    assert named(stack, "/api/tags") == {tiny, embeddings, "helpdesk", "second"}

    # no registry is asked for what is there; what is to be absent is gone, and what nobody names any more stays
    registry.stop(cluster, namespace)
    up(models=[tiny], absentModels=["helpdesk", "never-there"])
    assert said(stack, "ensure-2").strip() == f"{tiny} already exists"
    assert named(stack, "/api/tags") == {tiny, embeddings, "second"}
