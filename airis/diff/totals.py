"""What a stack asks for in all: pods, devices, CPU, memory and storage."""

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import Any

from airis.diff.model import Amount, Totals
from airis.diff.stack_objects import Item

_SUFFIXES = {
    **{suffix: Decimal(1024) ** power for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)},
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate(("k", "M", "G", "T", "P", "E"), 1)},
    "": Decimal(1),
    "m": Decimal("1e-3"),
    "u": Decimal("1e-6"),
    "n": Decimal("1e-9"),
}
_ORDINARY = ("cpu", "memory", "ephemeral-storage", "pods", "storage")
_STAYING = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")


def quantity(given: Any) -> Decimal:
    """A Kubernetes quantity as a number; what is none counts as 0: the API server would refuse it.

    More is allowed than in settings/, because files and clusters write quantities in every way that there is.
    """
    match = re.fullmatch(r"([+-]?[0-9.]+)(?:([eE][+-]?\d+)|([A-Za-z]*))", str(given).strip())
    try:
        return Decimal(match[1] + (match[2] or "")) * _SUFFIXES[match[3] or ""] if match else Decimal(0)
    except (InvalidOperation, KeyError):
        return Decimal(0)


def totals(items: Sequence[Item]) -> Totals:
    """The sum over all pods that stay, and over all claims."""
    found = Totals()
    for item in items:
        if item.kind not in _STAYING or not item.pod:
            continue
        count = pods_of(item, items)
        requests, limits = (_effective(item.pod, which) for which in ("requests", "limits"))
        devices = dict(found.devices)
        for name in sorted({*requests, *limits} - {each for each in {*requests, *limits} if _is_ordinary(each)}):
            each = Amount(*[int(max(requests.get(name, Decimal(0)), limits.get(name, Decimal(0))))] * 2)
            devices[name] = devices.get(name, Amount()) + each.times(count)
        for name, number in _claimed(item, items).items():
            devices[name] = devices.get(name, Amount()) + Amount(number, number).times(count)
        # A limit without a request is the request as well
        asked = {name: requests.get(name, limits.get(name, Decimal(0))) for name in ("cpu", "memory")}
        found = Totals(
            pods=found.pods + count,
            devices=devices,
            cpu_requests=found.cpu_requests + _amount(asked["cpu"] * 1000).times(count),
            cpu_limits=found.cpu_limits + _amount(limits.get("cpu", Decimal(0)) * 1000).times(count),
            memory_requests=found.memory_requests + _amount(asked["memory"]).times(count),
            memory_limits=found.memory_limits + _amount(limits.get("memory", Decimal(0))).times(count),
        )
    return Totals(
        found.pods,
        found.devices,
        found.cpu_requests,
        found.cpu_limits,
        found.memory_requests,
        found.memory_limits,
        storage=_storage(items),
    )


def pods_of(item: Item, items: Iterable[Item]) -> Amount:
    """How many pods a workload has: as many as it says, or as its autoscaler does. Those of a DaemonSet count as one."""
    replicas = item.body["spec"].get("replicas")
    if replicas != 0:
        for each in items:
            spec = each.body.get("spec") or {}
            target = spec.get("scaleTargetRef") or {}
            scaled = (each.namespace, target.get("kind"), target.get("name"))
            if each.kind == "HorizontalPodAutoscaler" and scaled == (item.namespace, item.kind, item.name):
                return Amount(int(spec.get("minReplicas", 1)), int(spec["maxReplicas"]))
    count = 1 if replicas is None else int(replicas)
    return Amount(count, count)


def _amount(number: Decimal) -> Amount:
    whole = int(number.to_integral_value(ROUND_CEILING))
    return Amount(whole, whole)


def _is_ordinary(name: str) -> bool:
    return name in _ORDINARY or name.startswith("hugepages-")


def _effective(pod: Mapping[str, Any], which: str) -> dict[str, Decimal]:
    """What the scheduler counts: all containers together, or the largest init container.

    Source: Kubernetes, "Init Containers", "Resource sharing within containers"; sidecars run beside the containers.
    """
    running: dict[str, Decimal] = {}
    highest: dict[str, Decimal] = {}
    for each in pod.get("containers") or []:
        for name, amount in _resources(each, which).items():
            running[name] = running.get(name, Decimal(0)) + amount
    sidecars: dict[str, Decimal] = {}
    for each in pod.get("initContainers") or []:
        for name, amount in _resources(each, which).items():
            if each.get("restartPolicy") == "Always":
                sidecars[name] = sidecars.get(name, Decimal(0)) + amount
            else:
                highest[name] = max(highest.get(name, Decimal(0)), sidecars.get(name, Decimal(0)) + amount)
    names = {*running, *sidecars, *highest}
    none = Decimal(0)
    return {name: max(running.get(name, none) + sidecars.get(name, none), highest.get(name, none)) for name in names}


def _resources(container: Mapping[str, Any], which: str) -> dict[str, Decimal]:
    given = (container.get("resources") or {}).get(which) or {}
    return {name: quantity(amount) for name, amount in given.items()}


def _claimed(item: Item, items: Iterable[Item]) -> dict[str, int]:
    """Devices by Dynamic Resource Allocation: of each DeviceClass, how many a pod claims by its templates."""
    found: dict[str, int] = {}
    templates = {
        each.name: ((each.body.get("spec") or {}).get("spec") or {}).get("devices") or {}
        for each in items
        if each.kind == "ResourceClaimTemplate" and each.namespace == item.namespace
    }
    for claim in item.pod.get("resourceClaims") or []:
        for request in (templates.get(claim.get("resourceClaimTemplateName")) or {}).get("requests") or []:
            exactly = request.get("exactly") or request  # as the first versions of the API had it
            name = f"DeviceClass {exactly.get('deviceClassName', '?')}"
            found[name] = found.get(name, 0) + int(exactly.get("count", 1))
    return found


def _storage(items: Sequence[Item]) -> Amount:
    total = Amount()
    names = {(each.namespace, each.name) for each in items if each.kind == "PersistentVolumeClaim"}
    for item in items:
        spec = item.body.get("spec") or {}
        if item.kind == "PersistentVolumeClaim":
            total += _amount(_wanted(spec))
        elif item.kind == "StatefulSet":
            count = pods_of(item, items)
            for template in spec.get("volumeClaimTemplates") or []:
                for ordinal in range(count.high):
                    # those that stand in the stack by themselves are counted already
                    if (item.namespace, f"{template['metadata']['name']}-{item.name}-{ordinal}") not in names:
                        each = _amount(_wanted(template.get("spec") or {}))
                        total += each if ordinal < count.low else Amount(0, each.high)
    return total


def _wanted(spec: Mapping[str, Any]) -> Decimal:
    return quantity(((spec.get("resources") or {}).get("requests") or {}).get("storage", 0))
