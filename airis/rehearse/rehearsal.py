"""Applies stacks to the sandbox, and waits until they are ready or no longer change."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from airis.cluster.finding import Finding, State
from airis.cluster.kubectl import Kubectl, KubectlError, KubeObject
from airis.cluster.readiness import Live, key_of, resource_of, subject_of
from airis.rehearse.sandbox import Sandbox, borrowed_sandbox, definitions_for, load_nodes
from airis.rehearse.sandbox.cluster_objects import clear, furnish, marked
from airis.rehearse.sandbox.control_plane import OWN_NAMESPACES
from airis.rehearse.snapshot import Snapshot, load_snapshot
from airis.rehearse.snapshot.controllers import Attendant
from airis.rehearse.snapshot.environment import Surroundings, of_snapshot, without_snapshot
from airis.rehearse.snapshot.findings import held_back
from airis.rehearse.verdict import Verdict
from airis.render.many import for_each
from airis.render.objects import manifests
from airis.stack_file.stacks import StackFile, read_stacks
from airis.terminal.errors import AirisError
from airis.terminal.progress import Advance, step

POLL_SECONDS = 0.4
_SLOWER = 0.25
"""The polling interval grows by this share of the time without a change: each poll takes a tenth of a second of CPU."""

SETTLED_SECONDS = 8.0
"""Without a change for this long, pending objects stay pending: scheduler and controllers react within a second, and a volume
is provisioned within two."""

_DEFINED_SECONDS = 30.0

_DELETED_SECONDS = 2.0
"""Additional time to delete each further namespace."""

_APPLYING = 4
"""The number of stacks applied concurrently: the API server is faster than one kubectl."""

_NOT_SERVED = "no matches for kind"
"""kubectl's error for an object whose kind the API server does not serve; such kinds cannot be listed either."""
_NO_LONGER_SERVED = "could not find the requested resource"
"""The API server's error if kubectl has cached the kind, shortly after its definition was deleted."""


def rehearse_stack(
    name: str,
    nodes: Path | None,
    *,
    timeout_seconds: float,
    cluster: Path | None = None,
    keep: bool = False,
    engine: bool = False,
    sandbox: Sandbox | None = None,
) -> Verdict:
    """Rehearses one stack of this project; see `rehearse_stacks`."""
    (verdict,) = rehearse_stacks(
        [name], nodes, timeout_seconds=timeout_seconds, cluster=cluster, keep=keep, engine=engine, sandbox=sandbox
    )
    return verdict


def rehearse_stacks(
    names: Sequence[str],
    nodes: Path | None,
    *,
    timeout_seconds: float,
    cluster: Path | None = None,
    keep: bool = False,
    engine: bool = False,
    sandbox: Sandbox | None = None,
) -> list[Verdict]:
    """Rehearses stacks of this project together in the sandbox, which is started if it does not run.

    `names` may contain patterns. `cluster` is a snapshot, whose objects the sandbox then has. `nodes` describes nodes that
    replace those of the snapshot, or the default ones. With `keep`, the objects and the sandbox are kept for inspection. With
    `engine`, Pulumi deploys the stack; if it is not installed, the objects are applied without it, after a message. `sandbox`
    is a running one, held by the caller, for several rehearsals in a row.

    Raises AirisError, before anything is started, for an invalid stack, nodes file or snapshot, for stacks that have an object
    in common, and for an engine that should deploy several stacks, or to a snapshot.
    """
    stacks = read_stacks(names)
    if engine and cluster is not None:
        raise AirisError(
            "--engine and --cluster are mutually exclusive: the engine only creates objects, and fails for existing ones",
            "rehearse with one of them",
        )
    if engine and len(stacks) > 1:
        raise AirisError("--engine deploys one stack at a time", "rehearse the stacks one by one, or without --engine")
    rendered = for_each(stacks, manifests, f"Rendering {len(stacks)} stacks")
    _refuse_common([each.name for each in stacks], rendered)
    snapshot = None if cluster is None else load_snapshot(cluster)
    known_nodes = snapshot.of_kind("Node") if snapshot is not None and snapshot.knows("nodes") else []
    node_objects = known_nodes if known_nodes and nodes is None else load_nodes(nodes)
    wanted = {each.name: objects for each, objects in zip(stacks, rendered, strict=True)}
    around = surroundings(wanted, snapshot)
    with ExitStack() as stack:
        if sandbox is None and keep:
            sandbox = Sandbox()
            sandbox.up()
        elif sandbox is None:
            sandbox = stack.enter_context(borrowed_sandbox())
        stack.enter_context(sandbox.hold())
        clean(sandbox.kubectl)
        sandbox.set_nodes(node_objects)
        label = f"stack {stacks[0].name}" if len(stacks) == 1 else f"{len(stacks)} stacks"
        with step(f"Rehearsing {label}", total=sum(map(len, rendered))) as advance:
            verdicts = rehearse_together(
                wanted,
                sandbox.kubectl,
                timeout_seconds=timeout_seconds,
                advance=advance,
                engine_for=stacks[0] if engine and _engine_is_available() else None,
                around=around,
            )
        if not keep:
            clean(sandbox.kubectl, wait=False)
    return verdicts


def surroundings(stacks: Mapping[str, Sequence[KubeObject]], snapshot: Snapshot | None) -> Surroundings:
    """The environment of the stacks: the snapshot's, or everything that they refer to. Stacks are given by name."""
    return without_snapshot(stacks) if snapshot is None else of_snapshot(stacks, snapshot, datetime.now(UTC).date())


def rehearse(
    name: str,
    wanted: Sequence[KubeObject],
    kubectl: Kubectl,
    *,
    timeout_seconds: float,
    advance: Advance = lambda done, detail="": None,
    engine_for: StackFile | None = None,
    around: Surroundings | None = None,
) -> Verdict:
    """Rehearses the objects of one stack; see `rehearse_together`."""
    (verdict,) = rehearse_together(
        {name: wanted},
        kubectl,
        timeout_seconds=timeout_seconds,
        advance=advance,
        engine_for=engine_for,
        around=around,
    )
    return verdict


def rehearse_together(
    stacks: Mapping[str, Sequence[KubeObject]],
    kubectl: Kubectl,
    *,
    timeout_seconds: float,
    advance: Advance = lambda done, detail="": None,
    engine_for: StackFile | None = None,
    around: Surroundings | None = None,
) -> list[Verdict]:
    """Applies the objects with server-side apply, and waits until all are ready or nothing changes any more.

    Calls `advance` with the number of objects that are ready. With `engine_for`, Pulumi creates the objects of that stack,
    which must be the given ones. `around` is the stacks' environment in the cluster; without it, the sandbox is used as it is,
    and verdicts have no notes. Returns a verdict for each stack, in their order.
    """
    start = time.monotonic()
    wanted = [body for objects in stacks.values() for body in objects]
    around = around or Surroundings(definitions=tuple(definitions_for(wanted)))
    refused = furnish(around.objects, kubectl, replace_own=around.replaces)
    define([marked(each) for each in around.definitions], kubectl)
    attend = Attendant(around, kubectl)
    if engine_for is None:
        refusals = _apply(list(stacks.values()), kubectl, force_conflicts=around.replaces)
        served = [each for each in wanted if _NOT_SERVED not in refusals.get(key_of(each), "")]
        findings = _settled(wanted, served, kubectl, start + timeout_seconds, advance, attend=attend)
    else:
        from airis.rehearse.engine_rehearsal import applied  # noqa: PLC0415  (heavy and rarely used)

        with applied(engine_for, kubectl.kubeconfig, timeout_seconds) as applying:
            findings = _settled(
                wanted,
                wanted,
                kubectl,
                start + timeout_seconds,
                advance,
                applying=lambda: applying.running,
                attend=attend,
            )
        refusals = {key_of(body): applying.refusal(key_of(body)[2]) for body in wanted}
    seconds = time.monotonic() - start
    findings = held_back(_with_reasons(findings, refusals, kubectl), wanted, around.lacks)
    notes = (
        *around.notes,
        *(f"not rehearsed, because the sandbox rejects it: {each}" for each in refused),
    )
    return [
        Verdict(name, tuple(found), seconds, around.assumed.get(name, ()), notes)
        for name, found in _by_stack(stacks, findings).items()
    ]


def _by_stack(stacks: Mapping[str, Sequence[KubeObject]], findings: Sequence[Finding]) -> dict[str, list[Finding]]:
    """The findings by stack. A workload's pods follow it in the list, and are not objects of the stack."""
    owners = {key_of(body): name for name, objects in stacks.items() for body in objects}
    parts: dict[str, list[Finding]] = {name: [] for name in stacks}
    owner = ""
    for each in findings:
        owner = owners.get((each.kind, each.namespace, each.name), owner)
        parts[owner].append(each)
    return parts


def _refuse_common(names: Sequence[str], rendered: Sequence[Sequence[KubeObject]]) -> None:
    """Raises AirisError if two stacks have an object in common, which they would overwrite on one control plane."""
    makers: dict[tuple[str, str, str], str] = {}
    for name, objects in zip(names, rendered, strict=True):
        for body in objects:
            kind, namespace, called = key_of(body)
            other = makers.setdefault((kind, namespace, called), name)
            if other != name:
                raise AirisError(
                    f"stacks {other} and {name} both have {kind}/{called}" + (f" in {namespace}" if namespace else ""),
                    "rehearse them one by one, or set a different airis:namespace for each",
                )


def _engine_is_available() -> bool:
    from airis.rehearse.engine_rehearsal import is_available  # noqa: PLC0415  (heavy and rarely used)

    if is_available():
        return True
    print("Pulumi or its Kubernetes provider is not installed: applying the objects without them.", file=sys.stderr)
    return False


def _settled(
    wanted: Sequence[KubeObject],
    served: Sequence[KubeObject],
    kubectl: Kubectl,
    deadline: float,
    advance: Advance,
    *,
    applying: Callable[[], bool] = lambda: False,
    attend: Callable[[Sequence[KubeObject]], bool],
) -> list[Finding]:
    """Polls until all objects are ready, nothing has changed for a while, or the deadline; returns the findings.

    `served` are the objects of kinds that the API server serves. Each poll calls `attend` with all live objects; it returns
    whether it changed something.
    """
    own = ("Namespace", "PersistentVolumeClaim", "Pod", "StorageClass.storage.k8s.io")
    kinds = ",".join(sorted({*own, *(resource_of(body) for body in served)}))
    findings: list[Finding] = []
    changed = time.monotonic()
    while True:
        live = kubectl.get(kinds, "--all-namespaces")
        busy = attend(live)
        now = Live(live).findings(wanted)
        if busy or now != findings:
            findings, changed = now, time.monotonic()
        advance(sum(each.ok for each in findings), _first_pending(findings))
        unchanged = time.monotonic() - changed
        settled = unchanged >= SETTLED_SECONDS
        pending = applying() or any(each.state is State.PENDING for each in findings)
        begun = any(each.state is not State.REFUSED for each in findings)
        if not pending or (settled and (begun or not applying())) or time.monotonic() >= deadline:
            return findings
        time.sleep(POLL_SECONDS + _SLOWER * unchanged)


def define(definitions: Sequence[KubeObject], kubectl: Kubectl) -> None:
    """Applies CustomResourceDefinitions, and waits until the API server serves their kinds.

    Raises KubectlError if it does not within half a minute.
    """
    kubectl.apply(definitions)
    deadline = time.monotonic() + _DEFINED_SECONDS
    for each in definitions:
        while True:
            # `kubectl wait` fails for a definition without conditions, so list the kind instead
            try:
                kubectl.get(each["metadata"]["name"], "--all-namespaces")
                break
            except KubectlError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(POLL_SECONDS)


def clean(kubectl: Kubectl, *, wait: bool = True) -> None:
    """Deletes every namespace that is not built in, and whatever else an earlier rehearsal left behind."""
    clear(kubectl, policies=True)
    namespaces = [each for each in kubectl.get("namespaces") if each["metadata"]["name"] not in OWN_NAMESPACES]
    if namespaces:
        # No container runs, so force deletion; the namespace controller alone takes three times as long
        kinds = "deployments,statefulsets,jobs,pods,persistentvolumeclaims"
        kubectl.run("delete", kinds, "--all", "--all-namespaces", "--wait=false", "--grace-period=0", "--force")
        kubectl.delete(namespaces, wait=wait, timeout=60 + _DELETED_SECONDS * len(namespaces))
    clear(kubectl, wait=wait)


def _apply(
    stacks: Sequence[Sequence[KubeObject]], kubectl: Kubectl, *, force_conflicts: bool
) -> dict[tuple[str, str, str], str]:
    """Applies everything; returns the API server's message for each object that it rejected."""
    refusals: dict[tuple[str, str, str], str] = {}
    with ThreadPoolExecutor(_APPLYING) as pool:  # kubectl sends one object after the other
        for found in pool.map(partial(_apply_stack, kubectl=kubectl, force_conflicts=force_conflicts), stacks):
            refusals |= found
    return refusals


def _apply_stack(
    wanted: Sequence[KubeObject], kubectl: Kubectl, *, force_conflicts: bool
) -> dict[tuple[str, str, str], str]:
    try:
        kubectl.apply(wanted, force_conflicts=force_conflicts)
    except KubectlError:
        # If the API server is down, nothing was rejected: that is an error
        kubectl.run("get", "--raw", "/readyz")
        # kubectl's errors do not always name the object: apply one by one
        refusals = {}
        for body in wanted:
            try:
                kubectl.apply([body], force_conflicts=force_conflicts)
            except KubectlError as error:
                reason = error.message.partition(": ")[2]
                if _NO_LONGER_SERVED in reason:
                    reason = f'{_NOT_SERVED} "{body["kind"]}" in version "{body["apiVersion"]}"'
                refusals[key_of(body)] = reason
        return refusals
    return {}


def _first_pending(findings: Sequence[Finding]) -> str:
    return next((f"waiting for {each.kind}/{each.name}" for each in findings if not each.ok), "")


def _with_reasons(
    findings: Sequence[Finding], refusals: dict[tuple[str, str, str], str], kubectl: Kubectl
) -> list[Finding]:
    """Adds the API server's message to rejected objects, and the last warning event to pending ones without a reason."""
    silent = [each for each in findings if not each.ok and not each.reason]
    warnings: dict[tuple[str, str, str], str] = {}
    if any(each.state is State.PENDING for each in silent):
        events = kubectl.get("events", "--all-namespaces", "--sort-by=.metadata.creationTimestamp")
        warnings = {
            subject_of(event): event["message"]
            for event in events
            if event["type"] == "Warning" or event["reason"] in ("FailedBinding", "WaitForFirstConsumer")
        }
    return [
        each
        if each.ok or each.reason
        else replace(each, reason=(refusals | warnings).get((each.kind, each.namespace, each.name), ""))
        for each in findings
    ]
