"""The state of live objects: admitted, bound, scheduled or ready, or the reason why not. Sends no requests.

Based on the conditions that the controllers report (Kubernetes, "Pod lifecycle", "Deployments: complete").
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airis.cluster.finding import Finding, State
from airis.cluster.kubectl import KubeObject


def key_of(body: KubeObject) -> tuple[str, str, str]:
    """Identifies an object: kind, namespace ("" for cluster-scoped ones) and name."""
    return body["kind"], body["metadata"].get("namespace", ""), body["metadata"]["name"]


def resource_of(body: KubeObject) -> str:
    """The kind for kubectl: `Deployment.apps`, or `Service` in the core group."""
    return f"{body['kind']}.{group_of(body)}".rstrip(".")


def group_of(body: KubeObject) -> str:
    """The API group; empty for the core group."""
    return str(body["apiVersion"]).rpartition("/")[0]


def version_of(body: KubeObject) -> str:
    """The API version, without the group."""
    return str(body["apiVersion"]).rpartition("/")[2]


def subject_of(event: KubeObject) -> tuple[str, str, str]:
    """The object of an event: kind, namespace and name, each "" if missing."""
    about = event["involvedObject"]
    return about.get("kind", ""), about.get("namespace", ""), about.get("name", "")


class Live:
    """The live objects at one moment."""

    def __init__(self, objects: Iterable[KubeObject]) -> None:
        self._objects = {key_of(each): each for each in objects}
        self._pods = [each for (kind, _, _), each in self._objects.items() if kind == "Pod"]
        self._mounted = {
            (each["metadata"].get("namespace"), volume["persistentVolumeClaim"]["claimName"])
            for each in self._pods
            for volume in each["spec"].get("volumes") or []
            if "persistentVolumeClaim" in volume
        }

    def findings(self, wanted: Sequence[KubeObject]) -> list[Finding]:
        """One finding for each wanted object, each workload followed by one for each of its pods."""
        found: list[Finding] = []
        for body in wanted:
            kind, namespace, name = key_of(body)
            live = self._objects.get((kind, namespace, name))
            if live is None:
                found.append(Finding(kind, name, namespace, State.REFUSED))
                continue
            state = self._state(live)
            found.append(Finding(kind, name, namespace, state, reason=_reason(live) if state is State.PENDING else ""))
            if kind in _WORKLOADS:
                pods = self._selected(live, live["spec"]["selector"]["matchLabels"])
                if kind == "Job" and state is State.READY:  # ignore attempts that failed before
                    pods = [pod for pod in pods if pod.get("status", {}).get("phase") != "Failed"]
                found += [pod_finding(pod) for pod in sorted(pods, key=lambda pod: str(pod["metadata"]["name"]))]
        return found

    def _state(self, live: KubeObject) -> State:
        spec, status = live.get("spec", {}), live.get("status", {})
        match live["kind"]:
            case "PersistentVolumeClaim":
                return State.BOUND if status.get("phase") == "Bound" else self._unbound(live)
            case "Deployment" | "StatefulSet":
                return _ready(_rolled_out(live))
            case "Job":
                return _ready(condition(live, "Complete").get("status") == "True")
            case "Namespace":
                return _ready(status.get("phase") == "Active")
            case "Service" if spec.get("selector"):
                pods = self._selected(live, spec["selector"])
                return State.ADMITTED if not pods else _ready(any(map(is_ready, pods)))
        return State.ADMITTED

    def _unbound(self, claim: KubeObject) -> State:
        """Pending, unless no pod mounts the claim and its class waits for the first consumer: that is complete."""
        found = self._objects.get(("StorageClass", "", claim["spec"].get("storageClassName", "")), {})
        waits = found.get("volumeBindingMode") == "WaitForFirstConsumer"
        mounted = (claim["metadata"].get("namespace"), claim["metadata"]["name"]) in self._mounted
        return State.ADMITTED if waits and not mounted else State.PENDING

    def _selected(self, live: KubeObject, labels: Mapping[str, str]) -> list[KubeObject]:
        return [
            pod
            for pod in self._pods
            if pod["metadata"].get("namespace") == live["metadata"].get("namespace")
            and labels.items() <= pod["metadata"].get("labels", {}).items()
        ]


_WORKLOADS = ("Deployment", "StatefulSet", "Job")


def _ready(ready: bool) -> State:
    return State.READY if ready else State.PENDING


def _rolled_out(live: KubeObject) -> bool:
    """Every replica runs the newest template and is ready."""
    status, replicas = live.get("status", {}), live["spec"]["replicas"]
    return bool(
        status.get("observedGeneration", 0) >= live["metadata"]["generation"]
        and status.get("readyReplicas", 0) == status.get("replicas", 0) == replicas
        and status.get("updatedReplicas", 0) == replicas
    )


def condition(body: KubeObject, kind: str) -> Mapping[str, Any]:
    """A condition of the object's status; empty if there is none."""
    conditions = (body.get("status") or {}).get("conditions") or []
    return next((each for each in conditions if each["type"] == kind), {})


def is_ready(body: KubeObject) -> bool:
    """Whether a pod or a node has the condition Ready."""
    return bool(condition(body, "Ready").get("status") == "True")


def _reason(live: KubeObject) -> str:
    """The reason in the controller's words."""
    failure = condition(live, "ReplicaFailure") or condition(live, "Failed")
    return str(failure.get("message", ""))


def _scheduling_reason(scheduled: Mapping[str, Any]) -> str:
    """The scheduler's message without its part on preemption, which is about other pods."""
    message = str(scheduled.get("message", ""))
    return message.partition(" no new claims to deallocate")[0].partition(" preemption:")[0]


def pod_finding(pod: KubeObject) -> Finding:
    """The state of a pod, and the reason if it is not ready."""
    name, namespace = pod["metadata"]["name"], pod["metadata"].get("namespace", "")
    node = pod["spec"].get("nodeName", "")
    scheduled = condition(pod, "PodScheduled")
    if is_ready(pod) or pod.get("status", {}).get("phase") == "Succeeded":
        return Finding("Pod", name, namespace, State.READY, node)
    if scheduled.get("status") == "False":
        return Finding("Pod", name, namespace, State.PENDING, reason=_scheduling_reason(scheduled))
    status = pod.get("status", {})
    containers = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    found = [text for each in containers if (text := _trouble(each))]
    if "deletionTimestamp" in pod["metadata"]:
        found = ["the pod is terminating, and its node has not confirmed its end"]
    return Finding("Pod", name, namespace, State.PENDING, node, "; ".join(found))


def _trouble(container: Mapping[str, Any]) -> str:
    """Why a container does not run: its last message if it failed, or what it waits for; empty if it runs."""
    state = container.get("state", {})
    stopped = state.get("terminated") or container.get("lastState", {}).get("terminated") or {}
    if stopped.get("exitCode"):
        last = str(stopped.get("message", "")).strip().rpartition("\n")[2]
        return f"{container['name']}: {last or stopped.get('reason', 'failed')}"
    waiting = state.get("waiting", {})
    return str(waiting.get("message") or waiting.get("reason", ""))
