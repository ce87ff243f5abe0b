"""Why pods do not start, told while Pulumi waits for them, and not when it gives up.

Pulumi waits for a Deployment until its time is over, whatever its pods report (pulumi/pulumi-kubernetes, provider/pkg/await).
So the namespace is looked at beside it. Nothing here ends the update: an autoscaler may bring a node, a registry may come back.
"""

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from airis.cluster import image_pulls
from airis.cluster.finding import State
from airis.cluster.kubectl import KubeObject
from airis.cluster.readiness import pod_finding, subject_of
from airis.terminal.errors import AirisError

POLL_SECONDS = 1.5

SETTLING_SECONDS = 4.0
"""A new pod is unschedulable for a moment, until its claim is bound: what passes by itself is not told."""

_BROKEN = frozenset(
    {
        "CrashLoopBackOff",
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImageNeverPull",
        "ErrImagePull",
        "ImageInspectError",
        "ImagePullBackOff",
        "InvalidImageName",
        "RunContainerError",
    }
)
"""What a kubelet gives as the reason of a container that waits and will not run by waiting. A container that merely starts
has another one: ContainerCreating, PodInitializing. Source: Kubernetes, pkg/kubelet/images/types.go, kuberuntime."""

_OVERDUE_SECONDS = 10.0
"""How much later than announced a kubelet may say that a pod has ended."""

_EVENTS = frozenset(
    {"FailedCreate", "FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox", "ProvisioningFailed"}
)
"""Events that tell what no pod's status does."""

_REMEDIES = {
    r"Insufficient (nvidia|amd|gpu)[\w.]*\.(com|intel)": "no node has so many GPUs free: lower airis:ollama.gpu.count, or add "
    "a node",
    r"Insufficient (cpu|memory|ephemeral-storage)": "no node has so much free: lower the workload's resources.requests, or add "
    "a node",
    r"untolerated taint": "the nodes that would fit are tainted: give the workload tolerations, or take the taint away",
    r"node affinity|node selector": "no node has the labels asked for: `kubectl get nodes --show-labels` shows what there is",
    r"unbound|persistentvolumeclaim|storageclass|ProvisioningFailed": "a claim has no volume: `kubectl get pvc,storageclass`, "
    "then storage.storageClass",
    r"OOMKilled": "it needs more memory than it may have: raise resources.limits.memory",
    r"secret \"|configmap \"|CreateContainerConfigError": "what the pod refers to is missing: make that Secret or ConfigMap",
    r"exceeded quota": "the namespace's quota is used up: raise it, or lower resources.requests",
    r"should have ended": "`kubectl get nodes` shows whether the node answers; if its machine is gone for good, `kubectl "
    "delete node` it",
    r"exec format error": f"the image is not built for this node's architecture: {image_pulls.OTHER_ARCHITECTURE}",
    r"violates PodSecurity": "the namespace allows no such pod: airis:podSecurity",
}
"""What helps, by what the reason says; the first that fits counts. What is about images is in image_pulls.py."""

_PULL_FAILED = "Failed to pull image"
"""Begins the events of a pull that failed. Source: Kubernetes, pkg/kubelet/images/image_manager.go."""


@dataclass(frozen=True)
class Trouble:
    """Something that keeps a pod from starting."""

    what: str
    """The object: `Pod/ollama-0`."""
    reason: str
    """In the words of scheduler, kubelet or controller."""
    remedy: str
    settling: bool = False
    """Whether it may well pass by itself within seconds."""

    def __str__(self) -> str:
        return f"{self.what} does not start: {self.reason}\n  {self.remedy}"


class Namespace(Protocol):
    """Where the objects are asked for, by kubectl."""

    def get(self, *args: str) -> list[dict[str, Any]]:
        """The objects that `kubectl get <args>` finds."""

    def run(self, *args: str) -> str:
        """What kubectl prints."""


def troubles(objects: Iterable[KubeObject], since: str = "") -> Iterator[Trouble]:
    """What keeps pods from starting, by the pods themselves and by events later than `since` (RFC 3339, in UTC)."""
    objects = list(objects)
    living = {f"{each['kind']}/{each['metadata']['name']}" for each in objects if each["kind"] != "Event"}
    failed_pulls = dict(_failed_pulls(objects))
    told: set[str] = set()
    for pod in objects:
        if pod["kind"] == "Pod" and (
            found := _overdue(pod) if "deletionTimestamp" in pod["metadata"] else _of_pod(pod, failed_pulls)
        ):
            told.add(found.what)
            yield found
    for event in objects:
        if event["kind"] == "Event" and (found := _of_event(event, since)) and found.what not in told:
            if found.what.startswith("Pod/") and found.what not in living:
                continue
            told.add(found.what)
            yield found


def _failed_pulls(objects: Iterable[KubeObject]) -> Iterator[tuple[str, str]]:
    """Why pulls failed, by pod, the latest last. Before Kubernetes 1.32, the status of a pod that backs off does not say."""
    events = [each for each in objects if each["kind"] == "Event" and each.get("reason") == "Failed"]
    for event in sorted(events, key=_seen):
        if (message := str(event.get("message", ""))).startswith(_PULL_FAILED):
            yield subject_of(event)[2], message


def _of_pod(pod: KubeObject, failed_pulls: Mapping[str, str]) -> Trouble | None:
    finding = pod_finding(pod)
    what = f"Pod/{finding.name}"
    if finding.state is not State.PENDING:
        return None
    if not finding.node and finding.reason:  # only the scheduler gives a reason without a node
        return _trouble(what, finding.reason, settling=True)
    status = pod.get("status", {})
    for container in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
        waiting = container.get("state", {}).get("waiting", {}).get("reason", "")
        ended = container.get("state", {}).get("terminated") or container.get("lastState", {}).get("terminated") or {}
        if waiting in _BROKEN or ended.get("exitCode"):
            reasons = dict.fromkeys(filter(None, (waiting, str(ended.get("reason", "")), finding.reason)))
            if ended.get("exitCode"):
                reasons[f"exit code {ended['exitCode']}"] = None
            reason, name = ", ".join(reasons), str(container["name"])
            if waiting in image_pulls.REASONS:
                return _unpulled(pod, name, reason, failed_pulls.get(finding.name, ""))
            return _trouble(what, reason, container=name, ended=bool(ended))
    return None


def _unpulled(pod: KubeObject, container: str, reason: str, event: str) -> Trouble:
    remedy = image_pulls.remedy(reason, pod, container)
    if remedy == image_pulls.REMEDY and event:
        reason = f"{reason}: {event}"
        remedy = image_pulls.remedy(reason, pod, container)
    return Trouble(f"Pod/{pod['metadata']['name']}", " ".join(reason.split()), remedy)


def _overdue(pod: KubeObject) -> Trouble | None:
    """A pod that should have ended: its node is gone, and a StatefulSet does not replace it before it has."""
    due = str(pod["metadata"]["deletionTimestamp"])  # with the grace period in it
    if due[:19] >= time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() - _OVERDUE_SECONDS)):
        return None
    reason = f"it should have ended at {due}, and its node {pod['spec'].get('nodeName', '')} has not said that it has"
    return _trouble(f"Pod/{pod['metadata']['name']}", reason)


def _of_event(event: KubeObject, since: str) -> Trouble | None:
    if event.get("type") != "Warning" or event.get("reason") not in _EVENTS:
        return None
    if _seen(event) < since[:19]:
        return None
    kind, _, name = subject_of(event)
    return _trouble(f"{kind}/{name}", f"{event['reason']}: {event.get('message', '')}", settling=True)


def _seen(event: KubeObject) -> str:
    """When the event was last seen: RFC 3339, to the second."""
    series: Mapping[str, Any] = event.get("series") or {}
    return str(series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime") or "")[:19]


def _trouble(what: str, reason: str, *, settling: bool = False, container: str = "", ended: bool = False) -> Trouble:
    remedy = next((words for pattern, words in _REMEDIES.items() if re.search(pattern, reason, re.IGNORECASE)), "")
    if not remedy:
        name = what.partition("/")[2]
        remedy = (
            f"`kubectl logs {name} --container={container} --previous` shows its last words"
            if ended
            else f"`kubectl describe {what.lower().replace('/', ' ', 1)}` shows more"
        )
    return Trouble(what, " ".join(reason.split()), remedy, settling)


class Watch:
    """Tells each trouble once, when it has lasted long enough, and when it is over."""

    def __init__(self, tell: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self.tell = tell
        self._clock = clock
        self._first_seen: dict[str, float] = {}
        self._told: dict[str, set[str]] = {}

    @property
    def lasting(self) -> list[str]:
        """The objects whose trouble has been told, and is not over."""
        return sorted(self._told)

    def look(self, objects: Sequence[KubeObject], since: str = "") -> None:
        """Takes one look at the namespace."""
        now = self._clock()
        found = {each.what: each for each in troubles(objects, since)}
        for what in [each for each in self._first_seen if each not in found]:
            del self._first_seen[what]
            if self._told.pop(what, None) is not None:
                self.tell(f"{what}: that is over.")
        for what, trouble in found.items():
            first = self._first_seen.setdefault(what, now)
            # The numbers in the reason change (restarts, free nodes), and kubelets alternate between the failure of a pull and
            # the wait for the next: it is told anew only with a remedy that is new
            told = self._told.get(what, set())
            if trouble.remedy in told or (trouble.settling and now - first < SETTLING_SECONDS):
                continue
            self._told[what] = {*told, trouble.remedy}
            self.tell(str(trouble))


def stuck(objects: Iterable[KubeObject], lasting: Sequence[str]) -> Iterator[str]:
    """The names of pods that a StatefulSet will not replace by itself: of an older template, and in lasting trouble.

    The controller waits for such a pod to become ready before it takes the next step, and that pod never will
    (Kubernetes, "StatefulSets: forced rollback").
    """
    objects = list(objects)
    newest = {
        each["metadata"]["uid"]: each.get("status", {}).get("updateRevision")
        for each in objects
        if each["kind"] == "StatefulSet"
        and each.get("status", {}).get("observedGeneration", 0) >= each["metadata"]["generation"]
    }
    for pod in objects:
        name, metadata = pod["metadata"]["name"], pod["metadata"]
        if pod["kind"] != "Pod" or "deletionTimestamp" in metadata or f"Pod/{name}" not in lasting:
            continue
        for owner in metadata.get("ownerReferences", []):
            revision = newest.get(owner["uid"])
            if revision and metadata.get("labels", {}).get("controller-revision-hash") != revision:
                yield name


def _replace_stuck(namespace: Namespace, objects: Sequence[KubeObject], watch: "Watch") -> None:
    for name in stuck(objects, watch.lasting):
        watch.tell(f"Pod/{name} is of an older template, and its StatefulSet waits for it in vain: it is replaced now.")
        namespace.run("delete", "pod", name, "--wait=false")


Look = Callable[[Namespace, Sequence[KubeObject]], None]
"""What else is made of the objects in the namespace."""


@contextmanager
def watching(namespace: Namespace | None, tell: Callable[[str], None], *looks: Look) -> Iterator[Watch]:
    """Watches the namespace while the block runs. That it cannot be looked at is nothing to fail for."""
    watch = Watch(tell)
    if namespace is None:
        yield watch
        return
    done = threading.Event()
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())

    def run() -> None:
        while not done.wait(POLL_SECONDS):
            with suppress(AirisError):
                objects = namespace.get("pods,events,statefulsets")
                if not done.is_set():
                    watch.look(objects, since)
                    _replace_stuck(namespace, objects, watch)
                    for look in looks:
                        look(namespace, objects)

    thread = threading.Thread(target=run, name="watch", daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        done.set()
        thread.join(POLL_SECONDS)
