"""Reports why pods do not start while Pulumi still waits for them, and not only when it gives up.

Pulumi waits for a Deployment until its timeout, whatever its pods report (pulumi/pulumi-kubernetes, provider/pkg/await). So
this module observes the namespace in parallel. It never aborts the update: an autoscaler may add a node, or a registry may
recover.
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
"""A new pod is unschedulable for a moment, until its claim is bound: problems shorter than this are not reported."""

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
"""The kubelet's waiting reasons of a container that cannot start. A container that is merely starting has another reason:
ContainerCreating, PodInitializing. Source: Kubernetes, pkg/kubelet/images/types.go, kuberuntime."""

_OVERDUE_SECONDS = 10.0
"""How long after the end of its grace period a pod may still be terminating."""

_EVENTS = frozenset(
    {"FailedCreate", "FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox", "ProvisioningFailed"}
)
"""Events with reasons that are in no pod's status."""

_REMEDIES = {
    r"Insufficient (nvidia|amd|gpu)[\w.]*\.(com|intel)": "no node has that many free GPUs: lower airis:ollama.gpu.count, or "
    "add a node",
    r"Insufficient (cpu|memory|ephemeral-storage)": "no node has enough free resources: lower the workload's "
    "resources.requests, or add a node",
    r"untolerated taint": "the matching nodes are tainted: add tolerations to the workload, or remove the taint",
    r"node affinity|node selector": "no node has the required labels: `kubectl get nodes --show-labels` lists the labels",
    r"unbound|persistentvolumeclaim|storageclass|ProvisioningFailed": "a claim has no volume: check `kubectl get "
    "pvc,storageclass`, then set storage.storageClass",
    r"OOMKilled": "it exceeded its memory limit: raise resources.limits.memory",
    r"secret \"|configmap \"|CreateContainerConfigError": "the pod refers to a missing Secret or ConfigMap: create it",
    r"exceeded quota": "the namespace's quota is exhausted: raise it, or lower resources.requests",
    r"stuck terminating": "check the node with `kubectl get nodes`; if its machine is permanently gone, remove it with "
    "`kubectl delete node`",
    r"exec format error": f"the image is not built for this node's architecture: {image_pulls.OTHER_ARCHITECTURE}",
    r"violates PodSecurity": "the namespace's Pod Security level forbids this pod: set airis:podSecurity",
}
"""Remedies by a pattern in the reason; the first match counts. Remedies for image pulls are in image_pulls.py."""

_PULL_FAILED = "Failed to pull image"
"""Prefix of the events of a failed pull. Source: Kubernetes, pkg/kubelet/images/image_manager.go."""


@dataclass(frozen=True)
class Trouble:
    """Something that keeps a pod from starting."""

    what: str
    """The object: `Pod/ollama-0`."""
    reason: str
    """The message of the scheduler, the kubelet or a controller."""
    remedy: str
    settling: bool = False
    """Whether it may resolve itself within seconds."""

    def __str__(self) -> str:
        return f"{self.what} does not start: {self.reason}\n  {self.remedy}"


class Namespace(Protocol):
    """Access to the objects of a namespace through kubectl."""

    def get(self, *args: str) -> list[dict[str, Any]]:
        """The objects that `kubectl get <args>` finds."""

    def run(self, *args: str) -> str:
        """What kubectl prints."""


def troubles(objects: Iterable[KubeObject], since: str = "") -> Iterator[Trouble]:
    """What keeps pods from starting, from the pods' status and from events after `since` (RFC 3339, in UTC)."""
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
    """Pods with the error of their failed pulls, the latest last. Before Kubernetes 1.32, the status in back-off lacks it."""
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
    """A pod that is stuck terminating because its node is unreachable: a StatefulSet waits for its deletion."""
    due = str(pod["metadata"]["deletionTimestamp"])  # with the grace period in it
    if due[:19] >= time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() - _OVERDUE_SECONDS)):
        return None
    reason = f"stuck terminating since {due}: node {pod['spec'].get('nodeName', '')} may be unreachable"
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
            f"see its last output: `kubectl logs {name} --container={container} --previous`"
            if ended
            else f"see `kubectl describe {what.lower().replace('/', ' ', 1)}`"
        )
    return Trouble(what, " ".join(reason.split()), remedy, settling)


class Watch:
    """Reports each problem once, after it has lasted long enough, and reports when it is resolved."""

    def __init__(self, tell: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self.tell = tell
        self._clock = clock
        self._first_seen: dict[str, float] = {}
        self._told: dict[str, set[str]] = {}

    @property
    def lasting(self) -> list[str]:
        """The objects whose problem has been reported and is not resolved."""
        return sorted(self._told)

    def look(self, objects: Sequence[KubeObject], since: str = "") -> None:
        """Observes the namespace once."""
        now = self._clock()
        found = {each.what: each for each in troubles(objects, since)}
        for what in [each for each in self._first_seen if each not in found]:
            del self._first_seen[what]
            if self._told.pop(what, None) is not None:
                self.tell(f"{what}: resolved.")
        for what, trouble in found.items():
            first = self._first_seen.setdefault(what, now)
            # The numbers in the reason change (restarts, free nodes), and kubelets alternate between a failed pull and its
            # back-off: report it again only with a new remedy
            told = self._told.get(what, set())
            if trouble.remedy in told or (trouble.settling and now - first < SETTLING_SECONDS):
                continue
            self._told[what] = {*told, trouble.remedy}
            self.tell(str(trouble))


def stuck(objects: Iterable[KubeObject], lasting: Sequence[str]) -> Iterator[str]:
    """The names of broken pods of an older template, which a StatefulSet does not replace automatically.

    The controller waits for such a pod to become ready before it continues the rollout, and the pod never becomes ready
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
        watch.tell(
            f"Pod/{name} is broken and of an older template, and its StatefulSet waits for it: deleting the pod."
        )
        namespace.run("delete", "pod", name, "--wait=false")


Look = Callable[[Namespace, Sequence[KubeObject]], None]
"""Another observer of the namespace's objects."""


@contextmanager
def watching(namespace: Namespace | None, tell: Callable[[str], None], *looks: Look) -> Iterator[Watch]:
    """Watches the namespace while the block runs. Errors while observing are ignored."""
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
