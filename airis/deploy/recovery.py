"""What a run that was cut off leaves behind, found and put right before the next one.

Pulumi notes each operation before it begins. Killed in the middle, it leaves the note: whether the object was made is for
somebody to find out. `pulumi refresh` only forgets such notes, and the next `up` then fails, because the object is there.
Nor is there a note of an object that the API server made, and was gone before it could say so.
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
"""What there is of an object in the cluster."""

_MANAGER = "pulumi-kubernetes"
"""Under this name, and a suffix, the provider writes. Source: pulumi/pulumi-kubernetes, provider/pkg/provider/util.go."""

_CLOCKS = timedelta(seconds=30)
"""How far the clocks of this machine and of the API server may be apart."""

_BY_HAND = "`pulumi stack export` shows the state, and `pulumi stack import` takes one that you have put right"


@dataclass(frozen=True)
class Pending:
    """An operation of which nobody knows whether it took place."""

    doing: str
    """`creating`, `updating`, `deleting`, `reading` or `importing`."""
    resource: Mapping[str, Any]
    """The resource as the state has it."""

    @property
    def identity(self) -> Identity | None:
        """Of the object, if it is one of Kubernetes."""
        return _resource_identity(self.resource)

    def __str__(self) -> str:
        named = self.identity
        name = f"{named[1]}/{named[3]}" if named else str(self.resource["urn"]).rpartition("::")[2]
        return f"{self.doing} {name}"


def pending(state: Mapping[str, Any]) -> list[Pending]:
    """The operations that the last run did not finish, as an exported state has them."""
    found = (state.get("deployment") or {}).get("pending_operations") or []
    return [Pending(each["type"], each["resource"]) for each in found]


def repaired(state: Mapping[str, Any], live: Live) -> tuple[dict[str, Any], list[Pending]]:
    """The state without unfinished operations, and what was found to have been made.

    An object that was being created and that Pulumi has made becomes a resource, as it would have; one that is not there,
    or that somebody else has made, is forgotten. Updates and deletions need a refresh, and nothing else.
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
    """The resource as the state holds one that was made; a refresh then reads the rest."""
    inputs = each.resource["inputs"]
    namespace, name = live["metadata"].get("namespace"), live["metadata"]["name"]
    manager = {"__fieldManager": _MANAGER, "__initialApiVersion": inputs["apiVersion"]}
    return {
        **each.resource,
        "id": f"{namespace}/{name}" if namespace else name,
        "outputs": {**inputs, "__inputs": inputs, **manager},
    }


def strangers(state: Mapping[str, Any], wanted: Sequence[KubeObject], live: Live) -> dict[Identity, KubeObject]:
    """The wanted objects that exist, and that the state does not know: Pulumi would refuse to make them."""
    known = {_resource_identity(each) for each in (state.get("deployment") or {}).get("resources") or []}
    found = {each: live(each) for body in wanted if (each := _identity(body)) not in known}
    return {identity: body for identity, body in found.items() if body is not None}


def untold(state: Mapping[str, Any], wanted: Sequence[KubeObject], since: datetime, live: Live) -> list[Identity]:
    """The objects that runs since then have made without hearing of it: Pulumi would now refuse to make them.

    None, if there is also one that is not from those runs: what other programs or other stacks have made is not taken. Nor is
    what is inside of a namespace that the state does not know: a run makes nothing there before it has heard of the namespace.
    """
    there = strangers(state, wanted, live)
    unheard = {name for _, kind, _, name in there if kind == "Namespace"}
    if any(namespace in unheard for _, _, namespace, _ in there):
        return []
    return list(there) if all(_is_ours(each) and _made(each) >= since - _CLOCKS for each in there.values()) else []


def _made(live: KubeObject) -> datetime:
    return datetime.fromisoformat(live["metadata"]["creationTimestamp"])


def _resource_identity(resource: Mapping[str, Any]) -> Identity | None:
    """That of a resource as the state has it; None if it is no object of Kubernetes."""
    inputs = resource.get("inputs") or {}
    is_object = str(resource["type"]).startswith("kubernetes:") and isinstance(inputs.get("metadata"), Mapping)
    return _identity(inputs) if is_object else None


def _identity(body: Mapping[str, Any]) -> Identity:
    return body["apiVersion"], body["kind"], body["metadata"].get("namespace", ""), body["metadata"]["name"]


def recover(engine: Engine, cluster: Cluster | None, ask: Ask, wanted: Sequence[KubeObject] = ()) -> None:
    """Puts right what a run before left unfinished, if anything, and says what. Raises EngineFailed where the user says no.

    `wanted` is what is about to be made: of that, the engine takes over what a failed run made and did not hear of.
    """
    state = engine.export_state()
    unfinished = pending(state)
    if not unfinished:
        if since := engine.failing_since():
            _read_again(engine, cluster, ask, wanted, since)
        return
    _say(_unknown(unfinished))
    if not ask("Look what there is in the cluster, and put the state right?"):
        raise EngineFailed("nothing was changed", _BY_HAND)
    if cluster is None:
        raise EngineFailed("what became of it cannot be found out: kubectl does not reach the cluster", _BY_HAND)
    after, made = repaired(state, lambda each: _live(each, cluster))
    unlocked(engine, lambda: engine.import_state(after), ask)
    unlocked(engine, engine.refresh, ask)
    names = ", ".join(str(each).partition(" ")[2] for each in made) or "none of them"
    _say(f"The state is right again. Made already: {names}.")


def _read_again(
    engine: Engine, cluster: Cluster | None, ask: Ask, wanted: Sequence[KubeObject], since: datetime
) -> None:
    # An update that was interrupted while Pulumi waited is in the cluster, and the state holds what was before it: the next
    # run would see nothing to change
    _say("The last run did not end well: what there is in the cluster is read first.")
    unlocked(engine, engine.refresh, ask)
    _take_untold(engine, cluster, wanted, since)


def _take_untold(engine: Engine, cluster: Cluster | None, wanted: Sequence[KubeObject], since: datetime) -> None:
    if cluster is None:
        return
    if made := untold(engine.export_state(), wanted, since, lambda each: _live_if_known(each, cluster)):
        names = ", ".join(f"{kind}/{name}" for _, kind, _, name in made)
        _say(
            f"A failed run made {names}, and the API server was gone before it could say so: this run takes that over."
        )
        engine.allow_existing()


def tell_unfinished(engine: Engine, cluster: Cluster | None, wanted: Sequence[KubeObject]) -> bool:
    """Says what a run before left unfinished, and leaves it. Returns whether it is unknown what of `wanted` was made.

    Of that, the engine takes over what a failed run made and did not hear of.
    """
    if unfinished := pending(engine.export_state()):
        _say(f"{_unknown(unfinished)}\n`airis up` finds out.")
    elif since := engine.failing_since():
        _take_untold(engine, cluster, wanted, since)
    return bool(unfinished)


def _unknown(unfinished: Sequence[Pending]) -> str:
    listed = "\n".join(f"  {each}" for each in unfinished)
    return f"The last run was cut off, and left unknown what became of:\n{listed}"


def unlocked(engine: Engine, operation: Callable[[], T], ask: Ask) -> T:
    """Runs the operation; a lock that a killed process left is given back first. Raises Locked where somebody may hold it."""
    try:
        return operation()
    except Locked as locked:
        if not locked.dead:
            raise
        _say(f"{locked.message[:1].upper()}{locked.message[1:]}.")
        if not ask("Give it back (`pulumi cancel`), and go on?"):
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
    """Nothing as well where the cluster does not know the kind, or does not answer: Pulumi then says so in its own words."""
    with suppress(KubectlError):
        return _live(identity, cluster)
    return None


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
