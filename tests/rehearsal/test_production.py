"""The production example on a real control plane: all of it together comes up, spreads, and stays as it was written."""

import time
from typing import Any

import pytest

from airis.cluster.finding import State
from airis.rehearse.sandbox import Sandbox, load_nodes
from tests.rehearsal.test_stacks import committed, find, rehearsed
from tests.unit.drawing import ROOT

pytestmark = pytest.mark.timeout(180)

NODES = ROOT / "examples" / "nodes" / "production.yaml"
DEADLINE_SECONDS = 60.0


def webui_pods(sandbox: Sandbox) -> list[dict[str, Any]]:
    return sandbox.kubectl.get("pods", "--namespace=chat", "--selector=app=airis")


def generations(sandbox: Sandbox, objects: list[dict[str, Any]]) -> dict[str, int | None]:
    """How often each object's wishes have changed; the API server counts for those kinds that have wishes."""
    return {
        f"{each['kind']}/{each['metadata']['name']}": sandbox.kubectl.get(
            each["kind"], each["metadata"]["name"], "--namespace=chat"
        )[0]["metadata"].get("generation")
        for each in objects
    }


def test_the_example_comes_up_and_a_second_apply_asks_for_nothing_new(clean_sandbox: Sandbox) -> None:
    clean_sandbox.set_nodes(load_nodes(NODES))
    objects = committed("production")

    verdict = rehearsed(objects, clean_sandbox)

    assert verdict.ok, verdict
    assert {find(verdict, "Pod", f"ollama-{ordinal}").node for ordinal in range(2)} == {"gpu-0", "gpu-1"}
    assert find(verdict, "Pod", "airis-redis-0").node.startswith("zone-")
    assert find(verdict, "Job", "ollama-pull-1").state is State.READY
    # The autoscaler brings up the second pod, and both are kept apart
    deadline = time.monotonic() + DEADLINE_SECONDS
    while len(webui_pods(clean_sandbox)) < 2 and time.monotonic() < deadline:
        time.sleep(1)
    nodes = {each["spec"].get("nodeName") for each in webui_pods(clean_sandbox)}
    assert len(nodes) == len(webui_pods(clean_sandbox)) == 2
    assert all(node is None or node.startswith("zone-") for node in nodes)

    before = generations(clean_sandbox, objects)
    assert rehearsed(objects, clean_sandbox).ok
    assert generations(clean_sandbox, objects) == before
