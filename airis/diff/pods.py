"""Which pods a change restarts, and the downtime it causes."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airis.diff.compare import Compared
from airis.diff.model import Action, Amount
from airis.diff.stack_objects import Item, Side
from airis.diff.totals import pods_of

_WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")
_CONTENTS = ("Secret", "ConfigMap")
_READ = ("secretKeyRef", "configMapKeyRef", "secretRef", "configMapRef", "configMap", "secret")
"""Fields of a pod that refer to one of these."""

_WAYS_IN = ("Ingress", "HTTPRoute")


@dataclass(frozen=True)
class Effects:
    """The effects of an object's change on the stack's users."""

    restarts: tuple[str, ...] = ()
    downtime: tuple[str, ...] = ()


def effects(change: Compared, found: Sequence[Compared], before: Side, after: Side) -> Effects:
    """The restarts and the downtime that a change causes."""
    item = change.item
    if item.kind in _WORKLOADS:
        return Effects(tuple(_restarts(change, before, after)), tuple(_workload_downtime(change, before, after)))
    if item.kind == "HorizontalPodAutoscaler":
        return Effects(tuple(_scaled(item, before, after)))
    if item.kind == "Job":
        return Effects(tuple(_job(change)))
    if item.kind in _CONTENTS:
        return Effects(tuple(_readers(change, found, after)), tuple(_gap(change)))
    if item.kind in _WAYS_IN:
        return Effects((), tuple(_urls(change, before, after)))
    if item.kind == "Service":
        return Effects((), tuple(_service(change)))
    if item.kind == "Namespace" and change.action is not Action.CREATED:
        return Effects((), tuple(_gap(change)))
    return Effects()


def template_changes(change: Compared) -> bool:
    """Whether the workload's pod template changes."""
    return change.before is not None and change.after is not None and bool(change.effective("spec.template"))


def called(item: Item) -> str:
    """The application's display name."""
    labels = item.body["metadata"].get("labels") or {}
    names = {"open-webui": "Open WebUI", "ollama": "Ollama", "redis": "Redis"}
    return names.get(labels.get("app.kubernetes.io/name", ""), str(item))


def _count(amount: Amount) -> str:
    if amount.low == amount.high:
        return f"{amount.low} {'pod' if amount.low == 1 else 'pods'}"
    return f"{amount.low} to {amount.high} pods"


def _restarts(change: Compared, before: Side, after: Side) -> Iterator[str]:
    old, new = change.before, change.after
    if old is None or new is None:
        return
    was, will = pods_of(old, before.items), pods_of(new, after.items)
    if was.high == 0 and will.high == 0:
        return
    if change.action is Action.REPLACED:
        yield f"{_count(was)} of {old} stop, then {_count(will)} start"
    elif template_changes(change) and was.high and will.high:
        yield f"{_count(was)} of {new}: {_order(new, was)}"
    if was != will and change.action is not Action.REPLACED:
        if will.high == 0:
            yield f"{_count(was)} of {new} stop, and none start"
        elif was.high == 0:
            yield f"{_count(will)} of {new} start"
        else:
            yield f"{new}: {_count(was)} before, {_count(will)} after"


def _order(item: Item, count: Amount) -> str:
    spec = item.body["spec"]
    if item.kind == "Deployment":
        if (spec.get("strategy") or {}).get("type") == "Recreate":
            return "all stop, then the new ones start (Recreate)"
        return "replaced a few at a time, new ones start first (RollingUpdate)"
    kind = (spec.get("updateStrategy") or {}).get("type", "RollingUpdate")
    if kind == "OnDelete":
        return "they keep the old template until they are deleted (OnDelete)"
    if item.kind == "StatefulSet" and count.high > 1:
        return "restarted one at a time, the highest ordinal first"
    return "restarted" if count.high == 1 else "restarted one at a time"


def _workload_downtime(change: Compared, before: Side, after: Side) -> Iterator[str]:
    old, new = change.before, change.after
    if old is None:
        return
    name, was = called(old), pods_of(old, before.items)
    if was.high == 0:
        return
    if new is None:
        yield f"{name} ({old}) is removed, and no longer available"
        return
    will = pods_of(new, after.items)
    if will.high == 0:
        yield f"{name} is unavailable while replicas is 0"
    elif change.action is Action.REPLACED:
        if old.identity == new.identity:
            yield f"{name} is unavailable from the deletion of {old} until the new one is ready{_fixed(change)}"
        else:
            yield f"{name} moves: {_where(new)} is created, then {_where(old)} is deleted{_fixed(change)}"
    elif template_changes(change):
        yield from _rollout(name, new, was)
    for each in change.effective("spec.template"):
        if re.search(r"\.env\[WEBUI_SECRET_KEY\]", each.path):
            yield "the session key changes: all users must sign in again, and stored tokens become unreadable"


def _rollout(name: str, item: Item, count: Amount) -> Iterator[str]:
    """The downtime of a workload's rollout."""
    spec = item.body["spec"]
    if item.kind == "Deployment" and (spec.get("strategy") or {}).get("type") == "Recreate":
        yield f"{name} is unavailable until a new pod is ready: with Recreate, only one release at a time uses the data"
    elif item.kind == "StatefulSet" and (spec.get("updateStrategy") or {}).get("type") != "OnDelete":
        if count.high == 1:
            yield f"{name} is unavailable until its only pod is ready again"
        else:
            yield f"the pods of {name} restart one at a time, and their running requests are aborted"


def _fixed(change: Compared) -> str:
    forced = ", ".join(sorted(change.forced))
    if change.before is not None and change.before.identity == change.item.identity:
        return f" ({forced} cannot change in place, and the name is fixed, so the old object is deleted first)"
    return f" ({forced})"


def _scaled(scaler: Item, before: Side, after: Side) -> Iterator[str]:
    """The change of the number of pods, if an autoscaler sets it."""
    target = (scaler.body.get("spec") or {}).get("scaleTargetRef") or {}
    counts = {
        name: pods_of(each, side.items)
        for name, side in (("before", before), ("after", after))
        for each in side.items
        if (each.kind, each.name) == (target.get("kind"), target.get("name"))
    }
    if len(counts) == 2 and counts["before"] != counts["after"]:  # noqa: PLR2004
        name = f"{target['kind']}/{target['name']}"
        yield f"{name}: {_count(counts['before'])} before, {_count(counts['after'])} after"


def _job(change: Compared) -> Iterator[str]:
    if change.action in (Action.CREATED, Action.REPLACED):
        yield f"the pod of {change.item} runs{' again' if change.action is Action.REPLACED else ''}, once"


def _readers(change: Compared, found: Sequence[Compared], after: Side) -> Iterator[str]:
    """The workloads that read a changed object, and whether their pods restart."""
    if change.action not in (Action.CHANGED, Action.REPLACED):
        return
    if not any(change.effective(field) for field in ("data", "stringData", "binaryData", "metadata.name")):
        return
    readers = [each for each in after.items if each.kind in _WORKLOADS and change.item.name in names_read(each)]
    restarted = {each.item.identity for each in found if each.item.template and template_changes(each)}
    for each in readers:
        if each.identity in restarted:
            yield f"read by {each}, whose pods restart"
        else:
            yield f"read by {each}: variables keep their old values until its pods restart"


def names_read(item: Item) -> set[str]:
    """The names of the Secrets and ConfigMaps that a workload's pods read."""
    return set(_references(item.pod))


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key in _READ and isinstance(inner, Mapping):
                yield str(inner.get("name") or inner.get("secretName") or "")
            yield from _references(inner)
    elif isinstance(value, list):
        for each in value:
            yield from _references(each)


def _gap(change: Compared) -> Iterator[str]:
    if change.action is Action.REPLACED and change.before is not None:
        if change.before.identity == change.item.identity:
            yield f"{change.item} is deleted and recreated: pods that start in between wait for it"
        else:
            yield f"{change.before} becomes {_where(change.item)}: the contents of the old one are not moved"


def _where(item: Item) -> str:
    return f"{item} in {item.namespace}" if item.namespace else str(item)


def _service(change: Compared) -> Iterator[str]:
    old, new = change.before, change.after
    if old is None:
        return
    name = f"{old.name}.{old.namespace}" if old.namespace else old.name
    if new is None:
        yield f"{name} no longer resolves: connections to it fail"
        return
    if change.action is Action.REPLACED:
        if old.identity == new.identity:
            yield f"{name} does not resolve while it is replaced{_fixed(change)}"
        else:
            yield f"{name} no longer resolves: it becomes {_where(new)}{_fixed(change)}"
        return
    ports = _ports(old) - _ports(new)
    if ports:
        yield f"{name} no longer listens on port {', '.join(map(str, sorted(ports)))}"
    if change.effective("spec.selector"):
        yield f"{name} selects other pods"
    kept = ("LoadBalancer", "NodePort")
    kind, other = (each.body["spec"].get("type", "ClusterIP") for each in (old, new))
    if kind in kept and other != kind:
        yield f"{name} changes from {kind} to {other}: its external address is released"


def _ports(item: Item) -> set[int]:
    return {each["port"] for each in item.body["spec"].get("ports") or []}


def _urls(change: Compared, before: Side, after: Side) -> Iterator[str]:
    """Hosts that no Ingress or HTTPRoute serves any more."""
    if change.before is None:
        return
    left = {host for each in after.items for host in hosts(each)}
    for host in sorted(hosts(change.before) - left):
        yield f"{host} is no longer served: users need the new URL"
    if change.action is Action.REPLACED and hosts(change.before) & left:
        yield f"Open WebUI is not reachable from outside while {change.before} is replaced{_fixed(change)}"


def hosts(item: Item) -> set[str]:
    """The host names that an Ingress or HTTPRoute serves."""
    spec = item.body.get("spec") or {}
    if item.kind == "Ingress":
        return {str(each.get("host", "*")) for each in spec.get("rules") or []}
    return set(map(str, spec.get("hostnames") or [])) if item.kind == "HTTPRoute" else set()
