"""A rehearsal with a snapshot reports the same failures as a real node."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from airis.cluster.finding import State
from airis.cluster.kubectl import KubeObject
from airis.cluster.readiness import pod_finding
from airis.render import manifest
from tests.cluster.images.recipes import BUSYBOX
from tests.cluster.rehearsed import rehearsed, snapshot_of
from tests.cluster.target import Target
from tests.unit.drawing import draw

PAUSED = {"replicas": 0}
ROWS: Mapping[str, Mapping[str, Any]] = {
    "no-secret": {"sessionKeyFrom": {"name": "session", "key": "key"}},
    "no-claim": {"storage": {"existingClaim": "data"}},
    "no-class": {"storage": {"storageClass": "fast"}},
    "shared": {"storage": {"accessMode": "ReadWriteMany"}},
    "balanced": {"service": {"type": "LoadBalancer"}},
}
"""Settings of a WebUI that does not come up or is not reachable, by the suffix of its namespace."""

Stories = Mapping[str, Sequence[KubeObject]]


def drawn(namespace: str, webui: Mapping[str, Any]) -> list[dict[str, Any]]:
    # Containers need not run for long: missing objects show earlier
    rendering = draw(namespace=namespace, webui={"image": BUSYBOX, **webui}, ollama=PAUSED)
    return [manifest.manifest(each, show_secrets=True) for each in manifest.in_order(rendering.objects)]


def within(seconds: float, said: Callable[[], str], words: str) -> str:
    """The text as soon as it contains the words. Raises AssertionError with the last text after the time limit."""
    deadline = time.monotonic() + seconds
    while words not in (text := said()):
        assert time.monotonic() < deadline, text
        time.sleep(0.5)
    return text


def test_a_rehearsal_reports_what_fails_on_a_node(
    cluster: Target, namespace: str, request: pytest.FixtureRequest
) -> None:
    stacks: Stories = {f"{namespace}-{row}": drawn(f"{namespace}-{row}", webui) for row, webui in ROWS.items()}
    spaces = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in stacks]
    request.addfinalizer(lambda: cluster.kubectl.delete(spaces, wait=False))
    cluster.images.load(BUSYBOX)
    snapshot = snapshot_of(cluster, *stacks)
    cluster.kubectl.apply([body for objects in stacks.values() for body in objects])

    def pods(row: str) -> str:
        found = cluster.within(f"{namespace}-{row}").get("pods", "--selector=app=airis")
        return "; ".join(pod_finding(each).reason for each in found)

    def events(row: str) -> str:
        return "; ".join(each["message"] for each in cluster.within(f"{namespace}-{row}").get("events"))

    shown = {
        "no-secret": within(120, lambda: pods("no-secret"), 'secret "session" not found'),
        "no-claim": within(60, lambda: pods("no-claim"), 'persistentvolumeclaim "data" not found'),
        "no-class": within(60, lambda: events("no-class"), 'storageclass.storage.k8s.io "fast" not found'),
        "shared": within(60, lambda: events("shared"), "access mode"),
    }
    assert "failed to provision volume" in shown["shared"]
    (service,) = cluster.within(f"{namespace}-balanced").get("service", "airis-service")
    assert service["status"] == {"loadBalancer": {}}

    verdicts = rehearsed(stacks, snapshot, cluster)

    def said(row: str, kind: str) -> str:
        found = [
            each
            for each in verdicts[f"{namespace}-{row}"].findings
            if each.kind == kind and each.name.startswith("airis-") and each.state is State.PENDING
        ]
        return "; ".join(each.reason for each in found)

    assert 'CreateContainerConfigError: secret "session" not found' in said("no-secret", "Pod")
    assert 'persistentvolumeclaim "data" not found' in said("no-claim", "Pod")
    assert 'storageclass.storage.k8s.io "fast" not found' in said("no-class", "PersistentVolumeClaim")
    assert "failed to provision volume" in said("shared", "PersistentVolumeClaim")
    assert "this cluster has no controller for LoadBalancer Services" in said("balanced", "Service")
