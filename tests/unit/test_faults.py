"""Pods that are stuck terminating because their node is unreachable."""

import time
from typing import Any

import pytest

from airis.cluster.finding import State
from airis.cluster.readiness import pod_finding
from airis.deploy.watch import troubles

pytestmark = pytest.mark.timeout(60)


def ending(seconds: float, **metadata: Any) -> dict[str, Any]:
    """A terminating pod whose grace period ends that many seconds from now."""
    due = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
    return {
        "kind": "Pod",
        "metadata": {"name": "ollama-0", "namespace": "airis", "deletionTimestamp": due, **metadata},
        "spec": {"nodeName": "gpu-0"},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]},
    }


def test_a_pod_stuck_terminating_is_reported() -> None:
    (found,) = troubles([ending(-60)])

    assert found.what == "Pod/ollama-0"
    assert "stuck terminating since " in found.reason
    assert "node gpu-0 may be unreachable" in found.reason
    assert "`kubectl delete node`" in found.remedy
    assert not found.settling


@pytest.mark.parametrize("seconds", [30, 0])
def test_a_pod_that_terminates_in_time_is_not_reported(seconds: float) -> None:
    assert list(troubles([ending(seconds)])) == []


def test_the_verdict_says_what_it_waits_for() -> None:
    finding = pod_finding(ending(-60))

    assert (finding.state, finding.node) == (State.PENDING, "gpu-0")
    assert finding.reason == "the pod is terminating, and its node has not confirmed its end"
