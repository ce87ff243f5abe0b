"""The findings of `airis doctor --probe` for a stack on the cluster."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from airis.cluster.kubectl import KubeObject
from airis.doctor.checks import CHECKS, Finding, State
from airis.doctor.probe import LABEL, probe
from airis.doctor.probe_results import Probed
from tests.cluster.stacks import Stack
from tests.unit.doctors import observed, wanted

_MOST_SECONDS = 120


def probed(stack: Stack, settings: Mapping[str, Any]) -> dict[str, Finding]:
    """The findings with these settings, deployed or not, by their subject, and `network-policies`.

    Asserts that no Service routes to the probe pods, no controller adopts them, and none is left.
    """
    seen = observed(wanted(namespace=stack.namespace, **settings))
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(lambda: probe(stack.cluster, seen))
        met = 0
        while not running.done():
            pods = stack.cluster.get("pods", f"--selector={LABEL}")
            met += len(pods)
            assert [each for each in pods if each["metadata"].get("ownerReferences")] == []
            assert _led_to(stack, {str(each["metadata"]["name"]) for each in pods}) == []
        found: Probed = running.result(_MOST_SECONDS)
    assert met
    assert stack.cluster.get("pods", f"--selector={LABEL}") == []
    seen = replace(seen, probed=found)
    (policies,) = CHECKS["network-policies"].findings(seen)
    reached = CHECKS["reach"].findings(seen)
    return {"network-policies": policies} | {each.what.partition(" at ")[0]: each for each in reached}


def _led_to(stack: Stack, pods: set[str]) -> list[KubeObject]:
    """The pods among these that are endpoints of a Service."""
    return [
        endpoint
        for each in stack.cluster.get("endpointslices")
        for endpoint in each.get("endpoints") or []
        if (endpoint.get("targetRef") or {}).get("name") in pods and endpoint["conditions"].get("ready")
    ]


def problems(found: Mapping[str, Finding]) -> dict[str, str]:
    """The problems, by subject."""
    return {name: each.what for name, each in found.items() if each.state is State.PROBLEM}
