"""Recovers the state after an interrupted run, before the next one.

Pulumi records each operation in the state as pending before it begins. If it is killed, the operation stays pending, and it is
unknown whether the object was created. `pulumi refresh` only drops pending operations, and the next `up` then fails because the
object exists. An object is in no record at all if the API server created it, but failed before it could answer.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from airis.cluster.connection import Cluster
from airis.cluster.kubectl import KubectlError, KubeObject
from airis.deploy.engine import Engine, EngineFailed, Locked

T = TypeVar("T")
Ask = Callable[[str], bool]

Identity = tuple[str, str, str, str]
"""apiVersion, kind, namespace (or nothing) and name of an object."""
Live = Callable[[Identity], KubeObject | None]
"""Returns the live object of an identity; None if it does not exist."""

_MANAGER = "pulumi-kubernetes"
"""Prefix of the provider's field managers. Source: pulumi/pulumi-kubernetes, provider/pkg/provider/util.go."""

_CLOCKS = timedelta(seconds=30)
"""The largest accepted clock skew between this machine and the API server."""

_BY_HAND = "`pulumi stack export` prints the state, and `pulumi stack import` imports a corrected one"


@dataclass(frozen=True)
class Pending:
    """A pending operation: it is unknown whether it took place."""

    doing: str
    """`creating`, `updating`, `deleting`, `reading` or `importing`."""
    resource: Mapping[str, Any]
    """The resource as the state has it."""

    @property
    def identity(self) -> Identity | None:
        """The identity of the object; None if it is not a Kubernetes object."""
        return _resource_identity(self.resource)

    def __str__(self) -> str:
        named = self.identity
        name = f"{named[1]}/{named[3]}" if named else str(self.resource["urn"]).rpartition("::")[2]
        return f"{self.doing} {name}"


def pending(state: Mapping[str, Any]) -> list[Pending]:
    """The pending operations in an exported state."""
    found = (state.get("deployment") or {}).get("pending_operations") or []
    return [Pending(each["type"], each["resource"]) for each in found]


def repaired(state: Mapping[str, Any], live: Live) -> tuple[dict[str, Any], list[Pending]]:
    """The state without pending operations, and the operations whose objects exist.

    An object that Pulumi was creating becomes a resource if it exists and Pulumi created it. Otherwise the operation is
    dropped. Pending updates and deletions only need a refresh.
    """
    deployment = dict(state["deployment"])
    resources = list(deployment.get("resources") or [])
    known = {each["urn"] for each in resources}
    made = []
    for each in pending(state):
        if each.doing != "creating" or each.resource["urn"] in known:
            continue
        found = live(each.identity) if each.identity else None
        if found is not None and _is_ours(found):
            resources.append(_resource(each, found))
            made.append(each)
    return {**state, "deployment": {**deployment, "resources": resources, "pending_operations": []}}, made


def _is_ours(live: KubeObject) -> bool:
    managers = [str(each.get("manager", "")) for each in live["metadata"].get("managedFields") or []]
    return any(each.startswith(_MANAGER) for each in managers)


def _resource(each: Pending, live: KubeObject) -> dict[str, Any]:
    """The resource as the state records a created one. A refresh then reads the rest."""
    inputs = each.resource["inputs"]
    namespace, name = live["metadata"].get("namespace"), live["metadata"]["name"]
    manager = {"__fieldManager": _MANAGER, "__initialApiVersion": inputs["apiVersion"]}
    return {
        **each.resource,
        "id": f"{namespace}/{name}" if namespace else name,
        "outputs": {**inputs, "__inputs": inputs, **manager},
    }


def strangers(state: Mapping[str, Any], wanted: Sequence[KubeObject], live: Live) -> dict[Identity, KubeObject]:
    """The wanted objects that exist, but are not in the state: Pulumi would refuse to create them."""
    known = {_resource_identity(each) for each in (state.get("deployment") or {}).get("resources") or []}
    found = {each: live(each) for body in wanted if (each := _identity(body)) not in known}
    return {identity: body for identity, body in found.items() if body is not None}


def untold(state: Mapping[str, Any], wanted: Sequence[KubeObject], since: datetime, live: Live) -> list[Identity]:
    """The objects that runs since then created without receiving the API server's answer: Pulumi would refuse to create them.

    Empty if any existing object is not from those runs, because objects of other programs or stacks are not taken over. Also
    empty if an object is in a namespace that is not in the state: a run creates nothing there before the namespace is recorded.
    """
    there = strangers(state, wanted, live)
    unheard = {name for _, kind, _, name in there if kind == "Namespace"}
    if any(namespace in unheard for _, _, namespace, _ in there):
        return []
    return list(there) if all(_is_ours(each) and _made(each) >= since - _CLOCKS for each in there.values()) else []


def _made(live: KubeObject) -> datetime:
    return datetime.fromisoformat(live["metadata"]["creationTimestamp"])


def _resource_identity(resource: Mapping[str, Any]) -> Identity | None:
    """The identity of a resource in the state; None if it is not a Kubernetes object."""
    inputs = resource.get("inputs") or {}
    is_object = str(resource["type"]).startswith("kubernetes:") and isinstance(inputs.get("metadata"), Mapping)
    return _identity(inputs) if is_object else None


def _identity(body: Mapping[str, Any]) -> Identity:
    return body["apiVersion"], body["kind"], body["metadata"].get("namespace", ""), body["metadata"]["name"]


def recover(engine: Engine, cluster: Cluster | None, ask: Ask, wanted: Sequence[KubeObject] = ()) -> None:
    """Recovers from an interrupted earlier run, if any, and reports what it did. Raises EngineFailed if the user declines.

    `wanted` are the objects to deploy. The engine takes over those that a failed run created without getting an answer.
    """
    state = engine.export_state()
    unfinished = pending(state)
    if not unfinished:
        if since := engine.failing_since():
            _read_again(engine, cluster, ask, wanted, since)
        return
    _say(_unknown(unfinished))
    if not ask("Look up these objects in the cluster, and correct the state?"):
        raise EngineFailed("nothing was changed", _BY_HAND)
    if cluster is None:
        raise EngineFailed("the outcome cannot be looked up: kubectl does not reach the cluster", _BY_HAND)
    after, made = repaired(state, lambda each: _live(each, cluster))
    unlocked(engine, lambda: engine.import_state(after), ask)
    unlocked(engine, engine.refresh, ask)
    names = ", ".join(str(each).partition(" ")[2] for each in made) or "none"
    _say(f"The state is correct again. Already created: {names}.")


def _read_again(
    engine: Engine, cluster: Cluster | None, ask: Ask, wanted: Sequence[KubeObject], since: datetime
) -> None:
    # An update that was interrupted while Pulumi waited is in the cluster, but the state has the values from before it: the
    # next run would find nothing to change
    _say("The last run failed: refreshing the state from the cluster first.")
    unlocked(engine, engine.refresh, ask)
    _take_untold(engine, cluster, wanted, since)


def _take_untold(engine: Engine, cluster: Cluster | None, wanted: Sequence[KubeObject], since: datetime) -> None:
    if cluster is None:
        return
    if made := untold(engine.export_state(), wanted, since, lambda each: _live_if_known(each, cluster)):
        names = ", ".join(f"{kind}/{name}" for _, kind, _, name in made)
        _say(f"A failed run created {names}, but got no answer from the API server: this run takes over these objects.")
        engine.allow_existing()


def tell_unfinished(engine: Engine, cluster: Cluster | None, wanted: Sequence[KubeObject]) -> bool:
    """Reports what an earlier run left unfinished, and changes nothing. Returns whether there are pending operations.

    The engine takes over those of `wanted` that a failed run created without getting an answer.
    """
    if unfinished := pending(engine.export_state()):
        _say(f"{_unknown(unfinished)}\n`airis up` resolves this.")
    elif since := engine.failing_since():
        _take_untold(engine, cluster, wanted, since)
    return bool(unfinished)


def _unknown(unfinished: Sequence[Pending]) -> str:
    listed = "\n".join(f"  {each}" for each in unfinished)
    return f"The last run was interrupted. The outcome of these operations is unknown:\n{listed}"


def unlocked(engine: Engine, operation: Callable[[], T], ask: Ask) -> T:
    """Runs the operation, after releasing the lock of a killed process. Raises Locked if the lock may still be in use."""
    try:
        return operation()
    except Locked as locked:
        if not locked.dead:
            raise
        _say(f"{locked.message[:1].upper()}{locked.message[1:]}.")
        if not ask("Release the lock (`pulumi cancel`), and continue?"):
            raise
    engine.cancel()
    return operation()


def _live(identity: Identity, cluster: Cluster) -> KubeObject | None:
    api_version, kind, namespace, name = identity
    group, _, version = api_version.rpartition("/")
    resource = f"{kind}.{version}.{group}" if group else kind
    options = ["--show-managed-fields", *([f"--namespace={namespace}"] if namespace else [])]
    return next(iter(cluster.get(resource, name, *options)), None)


def _live_if_known(identity: Identity, cluster: Cluster) -> KubeObject | None:
    """None also if the cluster does not know the kind, or does not answer: Pulumi then reports the error."""
    with suppress(KubectlError):
        return _live(identity, cluster)
    return None


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
