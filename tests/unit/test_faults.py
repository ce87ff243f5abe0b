"""What is said of pods whose node is gone."""

import time
from typing import Any

import pytest

from airis.cluster.finding import State
from airis.cluster.readiness import pod_finding
from airis.deploy.watch import troubles

pytestmark = pytest.mark.timeout(60)


def ending(seconds: float, **metadata: Any) -> dict[str, Any]:
    """A pod that is to have ended by then: so many seconds from now."""
    due = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
    return {
        "kind": "Pod",
        "metadata": {"name": "ollama-0", "namespace": "airis", "deletionTimestamp": due, **metadata},
        "spec": {"nodeName": "gpu-0"},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]},
    }


def test_a_pod_that_should_have_ended_long_ago_is_told() -> None:
    (found,) = troubles([ending(-60)])

    assert found.what == "Pod/ollama-0"
    assert "it should have ended at " in found.reason
    assert "its node gpu-0 has not said that it has" in found.reason
    assert "`kubectl delete node` it" in found.remedy
    assert not found.settling


@pytest.mark.parametrize("seconds", [30, 0])
def test_a_pod_that_ends_in_time_is_not(seconds: float) -> None:
    assert list(troubles([ending(seconds)])) == []


def test_the_verdict_says_what_it_waits_for() -> None:
    finding = pod_finding(ending(-60))

    assert (finding.state, finding.node) == (State.PENDING, "gpu-0")
    assert finding.reason == "the pod is terminating, and its node has not confirmed its end"
