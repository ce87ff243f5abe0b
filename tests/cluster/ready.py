"""Waits for objects to be ready, and fails as soon as a pod has a reason why it cannot become ready."""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from airis.cluster.finding import Finding
from airis.cluster.kubectl import Kubectl, KubectlError, KubeObject
from airis.cluster.readiness import Live, key_of, pod_finding, resource_of

HOPELESS = (
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ImagePullBackOff",
    "InvalidImageName",
    "RunContainerError",
)
"""Reasons of a waiting container that are permanent on a cluster on which all images are loaded."""

CRASHES = 3
"""How often a container may end before that counts as a failure: some servers end once, before their dependencies are ready."""

FAILED_TRIES = 2
"""How many pods of a Job may fail before that counts as a failure: the delays before the next ones increase."""

UNSCHEDULABLE_SECONDS = 60.0
"""How long a pod may be unschedulable: in that time, claims are bound, and the previous story's pods end."""

_POLL_SECONDS = 0.5
_LOG_LINES = 20


def wait_ready(kubectl: Kubectl, wanted: Sequence[KubeObject], seconds: float = 300) -> None:
    """Returns when all objects are ready according to `airis.cluster.readiness`.

    Raises AssertionError with the pods' reasons, and the last lines of their logs, as soon as one of their pods cannot
    start, a Job has failed, or the time limit is exceeded.
    """
    namespaces = {each["metadata"].get("namespace", "") for each in wanted}
    kinds = ",".join(sorted({"Pod", *(resource_of(each) for each in wanted)}))
    begun = time.monotonic()
    while True:
        live = [each for each in kubectl.get(kinds, "--all-namespaces") if _concerns(each, namespaces)]
        pending = [each for each in _findings(live, wanted) if not each.ok]
        if not pending:
            return
        now = time.monotonic() - begun
        reasons = [reason for each in live for reason in hopeless(each, patient=now < UNSCHEDULABLE_SECONDS)]
        if now > seconds or reasons:
            raise AssertionError(
                "\n".join(
                    [
                        f"not ready after {now:.0f} s:",
                        *map(str, pending),
                        *reasons,
                        *_logs(kubectl, live),
                        *_events(kubectl, namespaces),
                    ]
                )
            )
        time.sleep(_POLL_SECONDS)


def _findings(live: Sequence[KubeObject], wanted: Sequence[KubeObject]) -> Iterator[Finding]:
    """`airis` creates no pods itself, and treats an admitted pod as ready."""
    yield from Live(live).findings(wanted)
    pods = {key_of(each) for each in wanted if each["kind"] == "Pod"}
    yield from [pod_finding(each) for each in live if key_of(each) in pods]


def hopeless(live: KubeObject, *, patient: bool = False) -> Iterator[str]:
    """Why this pod or Job cannot become ready, if so. With `patient`, an unschedulable pod is not yet a failure."""
    name, status = f"{live['kind']}/{live['metadata']['name']}", live.get("status", {})
    conditions = {each["type"]: each for each in status.get("conditions", [])}
    if live["kind"] == "Job" and conditions.get("Failed", {}).get("status") == "True":
        yield f"{name}: {conditions['Failed'].get('message')}"
    elif live["kind"] == "Job" and status.get("failed", 0) >= FAILED_TRIES and "completionTime" not in status:
        yield f"{name}: {status['failed']} of its pods have failed"
    if live["kind"] != "Pod" or "deletionTimestamp" in live["metadata"]:
        return
    scheduled = conditions.get("PodScheduled", {})
    if not patient and scheduled.get("reason") == "Unschedulable":
        yield f"{name}: {scheduled.get('message')}"
    for each in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
        waiting = each.get("state", {}).get("waiting", {})
        if waiting.get("reason") in HOPELESS:
            yield f"{name}: {each['name']}: {waiting['reason']}: {waiting.get('message')}"
        if each.get("restartCount", 0) >= CRASHES and not each.get("ready"):
            yield f"{name}: {each['name']} has ended {each['restartCount']} times"


def _concerns(live: KubeObject, namespaces: set[str]) -> bool:
    return live["kind"] != "Pod" or live["metadata"]["namespace"] in namespaces


def _logs(kubectl: Kubectl, live: Sequence[KubeObject]) -> Iterator[str]:
    for pod in live:
        for each in _unready(pod):
            where = [
                f"--namespace={pod['metadata']['namespace']}",
                pod["metadata"]["name"],
                f"--container={each['name']}",
            ]
            previous = ["--previous"] if each.get("restartCount") and "waiting" in each["state"] else []
            with suppress(KubectlError):
                yield f"--- {pod['metadata']['name']} {each['name']}"
                yield kubectl.run("logs", *where, *previous, f"--tail={_LOG_LINES}").strip()


def _unready(pod: KubeObject) -> list[dict[str, Any]]:
    status = pod.get("status", {})
    return [
        each
        for each in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
        if pod["kind"] == "Pod"
        and not each.get("ready")
        and each.get("state", {}).get("terminated", {}).get("exitCode") != 0
    ]


def _events(kubectl: Kubectl, namespaces: set[str]) -> Iterator[str]:
    with suppress(KubectlError):
        for event in kubectl.get("events", "--all-namespaces", "--sort-by=.metadata.creationTimestamp")[-50:]:
            about = event["involvedObject"]
            if event["type"] == "Warning" and about.get("namespace", "") in namespaces:
                yield f"{about['kind']}/{about['name']}: {event['reason']}: {event['message']}"
