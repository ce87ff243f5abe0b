"""Pods that do not start are reported with reason and remedy; pods that are merely starting are not."""

from typing import Any

import pytest

from airis.deploy.watch import SETTLING_SECONDS, Watch, stuck, troubles

pytestmark = pytest.mark.timeout(60)


def pod(name: str = "ollama-0", **status: Any) -> dict[str, Any]:
    return {
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "airis", "labels": {"controller-revision-hash": "old"}},
        "spec": {} if "conditions" in status else {"nodeName": "gpu-0"},
        "status": {"phase": "Pending", **status},
    }


def unschedulable(message: str) -> dict[str, Any]:
    return pod(conditions=[{"type": "PodScheduled", "status": "False", "message": message}])


def waiting(reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": message}}
    return pod(containerStatuses=[{"name": "ollama", "state": state, **more}])


def ended(code: int, reason: str = "Error") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason}}


def event(reason: str, message: str, about: str = "Pod/ollama-0", at: str = "2026-01-01T00:00:10Z") -> dict[str, Any]:
    kind, _, name = about.partition("/")
    return {
        "kind": "Event",
        "metadata": {"name": f"{name}.1"},
        "type": "Warning",
        "reason": reason,
        "message": message,
        "lastTimestamp": at,
        "involvedObject": {"kind": kind, "name": name},
    }


@pytest.mark.parametrize(
    ("body", "reason", "remedy"),
    [
        (unschedulable("0/2 nodes are available: 2 Insufficient nvidia.com/gpu."), "Insufficient", "airis:ollama.gpu.count"),
        (unschedulable("0/2 nodes are available: 2 Insufficient memory."), "Insufficient memory", "resources.requests"),
        (unschedulable("0/2 nodes are available: 2 node(s) had untolerated taint(s)."), "taint", "tolerations"),
        (unschedulable("2 node(s) didn't match Pod's node affinity/selector."), "affinity", "--show-labels"),
        (unschedulable("pod has unbound immediate PersistentVolumeClaims."), "unbound", "storageClass"),
        (waiting("ImagePullBackOff", "Back-off pulling image"), "ImagePullBackOff", "airis:imagePullSecrets"),
        (waiting("ErrImagePull", "manifest unknown"), "manifest unknown", "does not exist"),
        (waiting("InvalidImageName"), "InvalidImageName", "its name"),
        (waiting("CreateContainerConfigError", 'secret "keys" not found'), "keys", "a missing Secret"),
        (waiting("CrashLoopBackOff", lastState=ended(1)), "exit code 1", "kubectl logs ollama-0 --container=ollama --previous"),
        (waiting("CrashLoopBackOff", lastState=ended(137, "OOMKilled")), "OOMKilled", "resources.limits.memory"),
        (pod(containerStatuses=[{"name": "ollama", "state": ended(2)}]), "exit code 2", "--previous"),
        (
            pod(containerStatuses=[{"name": "ollama", "state": {"running": {}}, "lastState": ended(137)}]),
            "exit code 137",
            "--previous",
        ),
        (pod(initContainerStatuses=[{"name": "pull", "state": ended(1)}]), "exit code 1", "--container=pull"),
    ],
)  # fmt: skip
def test_a_pod_that_does_not_start_is_reported_with_a_remedy(body: dict[str, Any], reason: str, remedy: str) -> None:
    (found,) = troubles([body])
    assert found.what == "Pod/ollama-0"
    assert reason in found.reason
    assert remedy in found.remedy


@pytest.mark.parametrize(
    "body",
    [
        pod(),
        waiting("ContainerCreating"),
        waiting("PodInitializing"),
        pod(containerStatuses=[{"name": "ollama", "state": {"running": {}}, "ready": False}]),
        pod(initContainerStatuses=[{"name": "pull", "state": ended(0, "Completed")}]),
        pod(phase="Succeeded", containerStatuses=[{"name": "result", "state": ended(0, "Completed")}]),
        {**unschedulable("x"), "metadata": {"name": "ollama-0", "deletionTimestamp": "now"}},
        {**waiting("CrashLoopBackOff"), "status": {"conditions": [{"type": "Ready", "status": "True"}]}},
    ],
)
def test_a_starting_pod_is_not_reported(body: dict[str, Any]) -> None:
    assert list(troubles([body])) == []


def test_events_report_what_is_in_no_pod_status() -> None:
    quota = event("FailedCreate", 'pods "x" is forbidden: exceeded quota: small', "ReplicaSet/airis-1")
    (found,) = troubles([quota], "2026-01-01T00:00:00Z")
    assert found.what == "ReplicaSet/airis-1"
    assert "quota" in found.remedy


def test_old_and_unrelated_events_are_ignored() -> None:
    objects = [
        event("FailedMount", "x", at="2026-01-01T00:00:10Z"),
        {**event("FailedMount", "x", at="2026-01-01T00:00:30Z"), "type": "Normal"},
        event("Unhealthy", "Readiness probe failed", at="2026-01-01T00:00:30Z"),
        pod(),
    ]
    assert list(troubles(objects, "2026-01-01T00:00:20Z")) == []
    assert list(troubles([event("FailedMount", "x")])) == []  # its pod is gone


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_each_problem_is_reported_once_and_when_it_is_resolved() -> None:
    told: list[str] = []
    clock = Clock()
    watch = Watch(told.append, clock)
    watch.look([unschedulable("2 Insufficient cpu.")])
    assert told == []  # it may resolve itself
    clock.now = SETTLING_SECONDS
    watch.look([unschedulable("2 Insufficient cpu.")])
    assert len(told) == 1
    watch.look([unschedulable("1 Insufficient cpu, 1 node(s) were unschedulable.")])  # the same, with other numbers
    assert len(told) == 1
    assert watch.lasting == ["Pod/ollama-0"]
    watch.look([pod()])
    assert told[1:] == ["Pod/ollama-0: resolved."]
    assert watch.lasting == []


def test_alternating_reasons_are_reported_once() -> None:
    told: list[str] = []
    watch = Watch(told.append, Clock())
    for _ in range(3):
        watch.look([waiting("ErrImagePull", "manifest unknown")])
        watch.look([waiting("ImagePullBackOff", "Back-off pulling image")])
    assert len(told) == 2
    watch.look([pod()])
    watch.look([waiting("ErrImagePull", "manifest unknown")])
    assert len(told) == 4  # that it was resolved, and that it is back


def test_a_short_problem_is_never_reported() -> None:
    told: list[str] = []
    watch = Watch(told.append, Clock())
    watch.look([unschedulable("pod has unbound immediate PersistentVolumeClaims.")])
    watch.look([pod()])
    assert told == []


def test_a_crash_is_reported_immediately() -> None:
    told: list[str] = []
    Watch(told.append, Clock()).look([waiting("CrashLoopBackOff", lastState=ended(1))])
    assert len(told) == 1


def stateful_set(revision: str, generation: int = 2) -> dict[str, Any]:
    return {
        "kind": "StatefulSet",
        "metadata": {"name": "ollama", "uid": "1", "generation": generation},
        "status": {"updateRevision": revision, "observedGeneration": 2},
    }


@pytest.mark.parametrize(
    ("owner", "lasting", "expected"),
    [
        (stateful_set("new"), ["Pod/ollama-0"], ["ollama-0"]),
        (stateful_set("new"), [], []),
        (stateful_set("old"), ["Pod/ollama-0"], []),
        (stateful_set("new", generation=3), ["Pod/ollama-0"], []),  # the controller has not seen the change yet
    ],
    ids=["old and stuck", "old and starting", "newest", "unseen"],
)
def test_only_a_broken_pod_of_an_older_template_is_replaced(
    owner: dict[str, Any], lasting: list[str], expected: list[str]
) -> None:
    body = unschedulable("2 Insufficient nvidia.com/gpu.")
    body["metadata"]["ownerReferences"] = [{"uid": "1"}]
    assert list(stuck([owner, body], lasting)) == expected
