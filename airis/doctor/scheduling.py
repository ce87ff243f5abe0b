"""Which nodes a pod may run on, and whether it fits: the scheduler's rules as plain functions.

Sources: Kubernetes, "Assigning Pods to Nodes" (node affinity, operators) and "Taints and Tolerations".
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from airis.cluster.kubectl import KubeObject
from airis.doctor.observation import name_of
from airis.doctor.requirements import Amounts, added, amount, asked

_CLOSED = ("NoSchedule", "NoExecute")
_DEFAULT_PODS = 110
PIECES = "pods"
"""The resource that every pod takes one of."""


def labels_missing(pod: Mapping[str, Any], node: KubeObject) -> str:
    """The labels that the pod's nodeSelector and node affinity require and the node lacks; empty if it has all."""
    labels: Mapping[str, str] = node["metadata"].get("labels") or {}
    for key, value in (pod.get("nodeSelector") or {}).items():
        if labels.get(key) != value:
            return f"{key}={value}"
    lacking = [_lacking(term, labels, name_of(node)) for term in _terms(pod)]
    return " or ".join(dict.fromkeys(lacking)) if lacking and all(lacking) else ""


def labels_asked(pod: Mapping[str, Any]) -> set[str]:
    """The keys of the node labels that the pod's nodeSelector and node affinity refer to."""
    conditions = [each for term in _terms(pod) for each in term.get("matchExpressions") or []]
    return {*(pod.get("nodeSelector") or {}), *(str(each["key"]) for each in conditions)}


def _terms(pod: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    affinity = (pod.get("affinity") or {}).get("nodeAffinity") or {}
    return (affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}).get("nodeSelectorTerms") or []


def _lacking(term: Mapping[str, Any], labels: Mapping[str, str], name: str) -> str:
    fields = [(each, {"metadata.name": name}) for each in term.get("matchFields") or []]
    expressions = [(each, labels) for each in term.get("matchExpressions") or []]
    for each, known in [*fields, *expressions]:
        if not _holds(each, known):
            values = ", ".join(each.get("values") or [])
            return f"{each['key']} {each['operator']} {values}".strip()
    return ""


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value, values = labels.get(expression["key"]), expression.get("values") or []
    match expression["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    if value is None or not value.lstrip("-").isdigit():
        return False
    return int(value) > int(values[0]) if expression["operator"] == "Gt" else int(value) < int(values[0])


def taints_refusing(pod: Mapping[str, Any], node: KubeObject) -> list[str]:
    """The node's taints that the pod does not tolerate, as kubectl writes them."""
    taints = list(node["spec"].get("taints") or [])
    if node["spec"].get("unschedulable"):
        taints.append({"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"})
    refusing = [
        each
        for each in taints
        if each["effect"] in _CLOSED and not any(_tolerates(one, each) for one in pod.get("tolerations") or [])
    ]
    return [
        f"{each['key']}{'=' + each['value'] if each.get('value') else ''}:{each['effect']}"
        for each in {(one["key"], one["effect"]): one for one in refusing}.values()
    ]


def _tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return toleration.get("key") in (None, "", taint["key"])
    return bool(toleration.get("key") == taint["key"] and toleration.get("value", "") == taint.get("value", ""))


@dataclass
class Room:
    """The free capacity of one node."""

    node: KubeObject
    free: Amounts

    def lacks(self, wanted: Mapping[str, Decimal]) -> list[str]:
        """The resources that are insufficient."""
        return [key for key, value in wanted.items() if value > self.free.get(key, Decimal(0))]

    def take(self, wanted: Mapping[str, Decimal]) -> None:
        """Reserves these resources."""
        for key, value in wanted.items():
            self.free[key] = self.free.get(key, Decimal(0)) - value


def allocatable(node: KubeObject) -> Amounts:
    """The node's allocatable resources."""
    return {key: amount(value) for key, value in (node.get("status", {}).get("allocatable") or {}).items()}


def capacity(node: KubeObject) -> Amounts:
    """The node's capacity, including what it reserves for itself."""
    return {key: amount(value) for key, value in (node.get("status", {}).get("capacity") or {}).items()} or allocatable(
        node
    )


def rooms(nodes: Sequence[KubeObject], pods: Sequence[KubeObject]) -> list[Room]:
    """The free capacity of each node, after its existing pods."""
    taken: dict[str, Amounts] = {}
    for pod in living(pods):
        if node := pod["spec"].get("nodeName"):
            taken[node] = added(taken.get(node, {}), of_one(pod["spec"]))
    return [
        Room(
            node,
            {
                key: value - taken.get(name_of(node), {}).get(key, Decimal(0))
                for key, value in {PIECES: Decimal(_DEFAULT_PODS), **allocatable(node)}.items()
            },
        )
        for node in nodes
    ]


def living(pods: Sequence[KubeObject]) -> Iterator[KubeObject]:
    """The pods that have not terminated, and so occupy their requests."""
    return (each for each in pods if each.get("status", {}).get("phase") not in ("Succeeded", "Failed"))


def of_one(pod: Mapping[str, Any]) -> Amounts:
    """The resources that one pod occupies on a node."""
    return added(asked(pod), {PIECES: Decimal(1)})
