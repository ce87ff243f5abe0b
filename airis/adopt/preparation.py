"""Prepares the cluster for the first `up`. Every step is confirmed by the user, tried in a dry run first, and repeatable."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from airis.adopt.changes import Change
from airis.adopt.cluster import get, label, patch, problem
from airis.adopt.discovery import Found, Workload, release_of
from airis.adopt.handover import handed_over, managers, operations
from airis.cluster.connection import Cluster
from airis.cluster.kubectl import KubectlError, KubeObject
from airis.cluster.readiness import is_ready, resource_of
from airis.terminal.errors import AirisError
from airis.terminal.progress import step
from components.takeover import FIELD_MANAGER

_KEEP = {"helm.sh/resource-policy": "keep"}
_GONE_SECONDS = 180.0
_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Preparation:
    """The steps that are left to do."""

    stop: tuple[Workload, ...]
    """Workloads to scale to 0: those that would run in addition to the stack's, and those with a stuck pod."""
    hand_over: tuple[Change, ...]
    """Objects whose fields to hand over."""
    keep: tuple[KubeObject, ...]
    """Claims of a Helm release without the annotation that keeps them."""
    reasons: tuple[str, ...] = field(default=())
    """The description of each step, one line each."""

    @property
    def is_empty(self) -> bool:
        """Whether no step is left."""
        return not (self.stop or self.hand_over or self.keep)


def preparation(found: Found, changes: Sequence[Change]) -> Preparation:
    """The steps before the first `up`."""
    beside = [each for each in found.beside if each.replicas]
    stuck = [each for each in found.workloads if each.in_place and each.replicas and _waits_for_ever(found, each)]
    over = [each for each in changes if each.in_place and each.live is not None and handed_over(each.live, each.wanted)]
    claims = [
        claim
        for each in found.beside
        for claim in each.claims
        if release_of(claim) and not _KEEP.items() <= (claim["metadata"].get("annotations") or {}).items()
    ]
    reasons = [f"scale {label(each.body)} to 0: {_why_to_stop(each)}" for each in beside]
    reasons += [
        f"scale {label(each.body)} to 0: its pod is not ready, and its controller would wait for the pod forever; "
        "the first `airis up` scales it up again"
        for each in stuck
    ]
    reasons += [
        f"hand over the fields of {label(each.live)} from {', '.join(managers(each.live))}: only their owner changes"
        for each in over
        if each.live is not None
    ]
    reasons += [
        f"annotate {label(each)} with helm.sh/resource-policy: keep, so that `helm upgrade` does not delete it"
        for each in claims
    ]
    return Preparation((*beside, *stuck), tuple(over), tuple(claims), tuple(reasons))


def prepare(cluster: Cluster, plan: Preparation, wanted: Sequence[KubeObject]) -> None:
    """Executes the steps, after a server-side dry run of all of them.

    Raises AirisError with the completed steps if a step fails; the same command continues from there.
    """
    done: list[str] = []
    try:
        for change in plan.hand_over:
            _hand_over(cluster, change, dry_run=True)
        for workload in plan.stop:
            _scale(cluster, workload.body, "--dry-run=server")
        for claim in plan.keep:
            _annotate(cluster, claim, dry_run=True)
        for workload in plan.stop:
            _scale(cluster, workload.body)
            done.append(f"{label(workload.body)} scaled to 0")
        if plan.stop:
            _await_gone(cluster, plan.stop)
        for change in plan.hand_over:
            _hand_over(cluster, change)
            done.append(f"{label(change.wanted)} handed over")
        for claim in plan.keep:
            _annotate(cluster, claim)
            done.append(f"{label(claim)} annotated")
        check(cluster, wanted)
    except KubectlError as error:
        raise problem(error, done) from None


def check(cluster: Cluster, wanted: Sequence[KubeObject]) -> None:
    """Server-side dry run of what the first `up` applies, with the same field manager and without force. Leaves out Secrets.

    Raises AirisError if another field manager owns a field that would change, and KubectlError for any other error.
    """
    objects = [each for each in wanted if each["kind"] != "Secret"]
    options = ["--server-side", "--dry-run=server", f"--field-manager={FIELD_MANAGER}", "--filename=-"]
    try:
        cluster.run("apply", *options, stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    except KubectlError as error:
        if "conflict" in error.message:
            raise AirisError(
                f"another field manager owns fields that the stack would change: {error.message}",
                "stop the program that sets them, or set the same value in the stack file, and run this again",
            ) from None
        if "nvalid" in error.message:
            raise AirisError(
                f"the API server rejects the stack's update of existing objects: {error.message}"
            ) from None
        raise


def _why_to_stop(workload: Workload) -> str:
    names = [each["metadata"]["name"] for each in workload.claims]
    if not names:
        return "the stack's pods replace its pods"
    return f"its pods use the claim {', '.join(names)}, which only the stack's pods may use"


def _waits_for_ever(found: Found, workload: Workload) -> bool:
    """A StatefulSet replaces no pod while one is not ready. Source: Kubernetes, "StatefulSets", forced rollback."""
    if workload.body["kind"] != "StatefulSet":
        return False
    return any(not is_ready(each) for each in found.pods_of(workload))


def _hand_over(cluster: Cluster, change: Change, *, dry_run: bool = False) -> None:
    live = change.live
    if not dry_run:  # scaling has changed its resourceVersion
        live = next(iter(get(cluster, resource_of(change.wanted), change.wanted["metadata"]["name"])), None)
    fields = None if live is None else handed_over(live, change.wanted)
    if live is not None and fields is not None:
        patch(cluster, live, operations(fields), dry_run=dry_run)


def _scale(cluster: Cluster, body: KubeObject, *options: str) -> None:
    cluster.run("scale", resource_of(body), body["metadata"]["name"], "--replicas=0", *options)


def _annotate(cluster: Cluster, claim: KubeObject, *, dry_run: bool = False) -> None:
    pairs = [f"{key}={value}" for key, value in _KEEP.items()]
    options = ["--dry-run=server"] if dry_run else []
    cluster.run("annotate", resource_of(claim), claim["metadata"]["name"], *pairs, "--overwrite", *options)


def _await_gone(cluster: Cluster, stopped: Sequence[Workload]) -> None:
    """Waits until their pods are gone, and nothing writes to the volumes any more."""
    selectors = {
        label(each.body): ",".join(
            f"{key}={value}" for key, value in each.body["spec"]["selector"]["matchLabels"].items()
        )
        for each in stopped
    }
    deadline = time.monotonic() + _GONE_SECONDS
    with step("Waiting for their pods to terminate"):
        while left := [name for name, selector in selectors.items() if cluster.get("pods", f"--selector={selector}")]:
            if time.monotonic() > deadline:
                raise KubectlError(f"the pods of {', '.join(left)} do not terminate within {_GONE_SECONDS:.0f} s")
            time.sleep(_POLL_SECONDS)
