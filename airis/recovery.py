"""What a run that was cut off leaves behind, found and put right before the next one.

Pulumi notes each operation before it begins. Killed in the middle, it leaves the note: whether the object was made is for
somebody to find out. `pulumi refresh` only forgets such notes, and the next `up` then fails, because the object is there.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from airis.cluster import Cluster
from airis.engine import Engine, EngineFailed, Locked
from airis.kubectl import KubeObject

T = TypeVar("T")
Ask = Callable[[str], bool]

_MANAGER = "pulumi-kubernetes"
"""Under this name, and a suffix, the provider writes. Source: pulumi/pulumi-kubernetes, provider/pkg/provider/util.go."""


_BY_HAND = "`pulumi stack export` shows the state, and `pulumi stack import` takes one that you have put right"


@dataclass(frozen=True)
class Pending:
    """An operation of which nobody knows whether it took place."""

    doing: str
    """`creating`, `updating`, `deleting`, `reading` or `importing`."""
    resource: Mapping[str, Any]
    """The resource as the state has it."""

    @property
    def identity(self) -> tuple[str, str, str, str] | None:
        """apiVersion, kind, namespace and name, if it is an object of Kubernetes."""
        inputs = self.resource.get("inputs") or {}
        metadata = inputs.get("metadata")
        if not str(self.resource["type"]).startswith("kubernetes:") or not isinstance(metadata, Mapping):
            return None
        return inputs["apiVersion"], inputs["kind"], metadata.get("namespace", ""), metadata["name"]

    def __str__(self) -> str:
        named = self.identity
        name = f"{named[1]}/{named[3]}" if named else str(self.resource["urn"]).rpartition("::")[2]
        return f"{self.doing} {name}"


def pending(state: Mapping[str, Any]) -> list[Pending]:
    """The operations that the last run did not finish, as an exported state has them."""
    found = (state.get("deployment") or {}).get("pending_operations") or []
    return [Pending(each["type"], each["resource"]) for each in found]


def repaired(
    state: Mapping[str, Any], live: Callable[[Pending], KubeObject | None]
) -> tuple[dict[str, Any], list[Pending]]:
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
        found = live(each)
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


def recover(engine: Engine, cluster: Cluster | None, ask: Ask) -> None:
    """Puts right what a run before left unfinished, if anything, and says what. Raises EngineFailed where the user says no."""
    state = engine.export_state()
    unfinished = pending(state)
    if not unfinished:
        if engine.last_run_failed():
            # An update that was interrupted while Pulumi waited is in the cluster, and the state holds what was before it:
            # the next run would see nothing to change
            _say("The last run did not end well: what there is in the cluster is read first.")
            unlocked(engine, engine.refresh, ask)
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


def tell_pending(engine: Engine) -> None:
    """Says what is unknown, and leaves it."""
    if unfinished := pending(engine.export_state()):
        _say(f"{_unknown(unfinished)}\n`airis up` finds out.")


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


def _live(each: Pending, cluster: Cluster) -> KubeObject | None:
    if each.identity is None:
        return None
    api_version, kind, namespace, name = each.identity
    group, _, version = api_version.rpartition("/")
    resource = f"{kind}.{version}.{group}" if group else kind
    options = ["--show-managed-fields", *([f"--namespace={namespace}"] if namespace else [])]
    return next(iter(cluster.get(resource, name, *options)), None)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
