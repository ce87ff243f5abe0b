"""The total requests and limits of a stack: pods, devices, CPU, memory and storage."""

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
    """A Kubernetes quantity as a number; 0 if it is invalid, because the API server would reject it.

    Accepts more notations than settings/, because files and clusters use all of them.
    """
    match = re.fullmatch(r"([+-]?[0-9.]+)(?:([eE][+-]?\d+)|([A-Za-z]*))", str(given).strip())
    try:
        return Decimal(match[1] + (match[2] or "")) * _SUFFIXES[match[3] or ""] if match else Decimal(0)
    except (InvalidOperation, KeyError):
        return Decimal(0)


def totals(items: Sequence[Item]) -> Totals:
    """The sum over all long-running pods and all claims."""
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
        # A limit without a request is also the request
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
    """The number of a workload's pods, from its replicas or its autoscaler. A DaemonSet counts as one."""
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
    """What the scheduler counts: the sum of all containers, or the largest init container.

    Source: Kubernetes, "Init Containers", "Resource sharing within containers"; sidecars run next to the containers.
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
    """Devices by Dynamic Resource Allocation: the number that a pod's claim templates request, by DeviceClass."""
    found: dict[str, int] = {}
    templates = {
        each.name: ((each.body.get("spec") or {}).get("spec") or {}).get("devices") or {}
        for each in items
        if each.kind == "ResourceClaimTemplate" and each.namespace == item.namespace
    }
    for claim in item.pod.get("resourceClaims") or []:
        for request in (templates.get(claim.get("resourceClaimTemplateName")) or {}).get("requests") or []:
            exactly = request.get("exactly") or request  # the API's first versions have no `exactly`
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
                    # claims that are objects of the stack are already counted
                    if (item.namespace, f"{template['metadata']['name']}-{item.name}-{ordinal}") not in names:
                        each = _amount(_wanted(template.get("spec") or {}))
                        total += each if ordinal < count.low else Amount(0, each.high)
    return total


def _wanted(spec: Mapping[str, Any]) -> Decimal:
    return quantity(((spec.get("resources") or {}).get("requests") or {}).get("storage", 0))
