"""Applies a stack to the sandbox and waits for what becomes of it."""

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from airis import manifest, program
from airis.kubectl import Kubectl, KubectlError, KubeObject
from airis.progress import step
from airis.readiness import Live, key_of
from airis.sandbox import Sandbox, borrowed_sandbox, definitions_for, load_nodes
from airis.stacks import StackFile, read_stack
from airis.verdict import Finding, State, Verdict

POLL_SECONDS = 0.4
SETTLED_SECONDS = 8.0
"""When nothing has changed for this long, what is still pending stays so: the scheduler and the controllers answer
within a second, and a volume is provisioned within two."""

_DEFINED_SECONDS = 30.0

_OWN_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")


def rehearse_stack(
    name: str, nodes: Path | None, *, timeout_seconds: float, keep: bool = False, engine: bool = False
) -> Verdict:
    """Rehearses a stack of this project on the sandbox, which is started for it if it does not run already.

    `nodes` describes other nodes than the default ones. With `keep`, the objects and the sandbox stay for a look.
    With `engine`, Pulumi deploys the stack, if it is there; the objects are applied without it otherwise, and that is said.
    Raises AirisError for a bad stack or nodes file, before anything is started.
    """
    stack_file = read_stack(name)
    wanted = [manifest.manifest(each) for each in manifest.in_order(program.run(stack_file).objects)]
    node_objects = load_nodes(nodes)
    with ExitStack() as stack:
        if keep:
            sandbox = Sandbox()
            sandbox.up()
        else:
            sandbox = stack.enter_context(borrowed_sandbox())
        stack.enter_context(sandbox.hold())
        clean(sandbox.kubectl)
        sandbox.set_nodes(node_objects)
        with step(f"Rehearsing stack {name}", total=len(wanted)) as advance:
            verdict = rehearse(
                name,
                wanted,
                sandbox.kubectl,
                timeout_seconds=timeout_seconds,
                advance=advance,
                engine_for=stack_file if engine and _engine_is_available() else None,
            )
        if not keep:
            clean(sandbox.kubectl, wait=False)
    return verdict


def rehearse(
    name: str,
    wanted: Sequence[KubeObject],
    kubectl: Kubectl,
    *,
    timeout_seconds: float,
    advance: Callable[[float, str], None] = lambda done, detail: None,
    engine_for: StackFile | None = None,
) -> Verdict:
    """Applies the objects with server-side apply, and waits until all are ready or nothing changes any more.

    `advance` is told how many objects are where they should be. With `engine_for`, Pulumi makes the objects of that stack,
    which must be those that are wanted.
    """
    start = time.monotonic()
    define(definitions_for(wanted), kubectl)
    if engine_for is None:
        refusals = _apply(wanted, kubectl)
        findings = _settled(wanted, kubectl, start + timeout_seconds, advance, lambda: False)
    else:
        from airis.engine_rehearsal import applied  # noqa: PLC0415  (as heavy as it is rare)

        with applied(engine_for, kubectl.kubeconfig, timeout_seconds) as applying:
            findings = _settled(wanted, kubectl, start + timeout_seconds, advance, lambda: applying.running)
        refusals = {key_of(body): applying.refusal(key_of(body)[2]) for body in wanted}
    seconds = time.monotonic() - start
    return Verdict(name, tuple(_with_reasons(findings, refusals, kubectl)), seconds)


def _engine_is_available() -> bool:
    from airis.engine_rehearsal import is_available  # noqa: PLC0415  (as heavy as it is rare)

    if is_available():
        return True
    print("Pulumi and its Kubernetes provider are not there: the objects are applied without them.", file=sys.stderr)
    return False


def _settled(
    wanted: Sequence[KubeObject],
    kubectl: Kubectl,
    deadline: float,
    advance: Callable[[float, str], None],
    applying: Callable[[], bool],
) -> list[Finding]:
    """What became of the objects when all are ready, or nothing has changed for a while, or the time is over."""
    kinds = ",".join(sorted({"Pod", *(_resource(body) for body in wanted)}))
    findings: list[Finding] = []
    changed = time.monotonic()
    while True:
        now = Live(kubectl.get(kinds, "--all-namespaces")).findings(wanted)
        if now != findings:
            findings, changed = now, time.monotonic()
        advance(sum(each.ok for each in findings), _first_pending(findings))
        settled = time.monotonic() - changed >= SETTLED_SECONDS
        pending = applying() or any(each.state is State.PENDING for each in findings)
        begun = any(each.state is not State.REFUSED for each in findings)
        if not pending or (settled and (begun or not applying())) or time.monotonic() >= deadline:
            return findings
        time.sleep(POLL_SECONDS)


def define(definitions: Sequence[KubeObject], kubectl: Kubectl) -> None:
    """Makes kinds known that a bare API server lacks, and waits until it serves them.

    Raises KubectlError when it does not within half a minute.
    """
    kubectl.apply(definitions)
    deadline = time.monotonic() + _DEFINED_SECONDS
    for each in definitions:
        while True:
            # `kubectl wait` fails on a definition that has no conditions yet, so ask for what is needed itself
            try:
                kubectl.get(each["metadata"]["name"], "--all-namespaces")
                break
            except KubectlError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(POLL_SECONDS)


def clean(kubectl: Kubectl, *, wait: bool = True) -> None:
    """Removes every namespace that is not the cluster's own, and with it what an earlier rehearsal left behind."""
    namespaces = [each for each in kubectl.get("namespaces") if each["metadata"]["name"] not in _OWN_NAMESPACES]
    if namespaces:
        # No container runs, so there is nothing to end gracefully; left to the namespace, it takes three times as long
        kinds = "deployments,statefulsets,jobs,pods,persistentvolumeclaims"
        kubectl.run("delete", kinds, "--all", "--all-namespaces", "--wait=false", "--grace-period=0", "--force")
        kubectl.delete(namespaces, wait=wait)


def _apply(wanted: Sequence[KubeObject], kubectl: Kubectl) -> dict[tuple[str, str, str], str]:
    """Applies everything; returns the API server's words for each object that it refused."""
    try:
        kubectl.apply(wanted)
    except KubectlError:
        # kubectl's errors do not always say which object they are about; asked one by one, they do
        refusals = {}
        for body in wanted:
            try:
                kubectl.apply([body])
            except KubectlError as error:
                refusals[key_of(body)] = error.message.partition(": ")[2]
        return refusals
    return {}


def _resource(body: KubeObject) -> str:
    """The kind as kubectl looks it up: `Deployment.apps`, and `Service` in the core group."""
    group = body["apiVersion"].partition("/")[0] if "/" in body["apiVersion"] else ""
    return f"{body['kind']}.{group}".rstrip(".")


def _first_pending(findings: Sequence[Finding]) -> str:
    return next((f"waiting for {each.kind}/{each.name}" for each in findings if not each.ok), "")


def _with_reasons(
    findings: Sequence[Finding], refusals: dict[tuple[str, str, str], str], kubectl: Kubectl
) -> list[Finding]:
    """Adds what the API server said to refused objects, and the last warning event to pending ones without a reason."""
    silent = [each for each in findings if not each.ok and not each.reason]
    warnings: dict[tuple[str, str, str], str] = {}
    if any(each.state is State.PENDING for each in silent):
        events = kubectl.get("events", "--all-namespaces", "--sort-by=.metadata.creationTimestamp")
        warnings = {
            (about["kind"], about.get("namespace", ""), about["name"]): event["message"]
            for event in events
            if event["type"] == "Warning" or event["reason"] in ("FailedBinding", "WaitForFirstConsumer")
            for about in [event["involvedObject"]]
        }
    return [
        each
        if each.ok or each.reason
        else replace(each, reason=(refusals | warnings).get((each.kind, each.namespace, each.name), ""))
        for each in findings
    ]
