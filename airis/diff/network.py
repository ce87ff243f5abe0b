"""Connections within the stack that NetworkPolicies admit, before and after."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from airis.diff.pods import called
from airis.diff.stack_objects import Item, Side


def closed(before: Side, after: Side) -> Iterator[tuple[Item, str]]:
    """Connections between the stack's pods that NetworkPolicies no longer admit, each with the blocking policy."""
    for target in _meeting(after):
        for source in _meeting(after):
            if source is target or not any(each.identity == source.identity for each in before.items):
                continue
            if not any(each.identity == target.identity for each in before.items):
                continue
            blocking = _blocking(after.items, source, target)
            if blocking is not None and _blocking(before.items, source, target) is None:
                yield (
                    blocking,
                    f"{called(source)} can no longer reach {called(target)}: no rule of {blocking} admits it",
                )


def confined(before: Side, after: Side) -> Iterator[tuple[Item, str]]:
    """Workloads whose egress a NetworkPolicy newly restricts, each with the policy."""
    for source in _meeting(after):
        policy = _limiting(after.items, source)
        there = any(each.identity == source.identity for each in before.items)
        if policy is not None and there and _limiting(before.items, source) is None:
            yield policy, f"{called(source)} can only reach what the egress rules of {policy} list"


def _limiting(items: Sequence[Item], source: Item) -> Item | None:
    for each in items:
        spec = each.body.get("spec") or {}
        if (
            each.kind == "NetworkPolicy"
            and each.namespace == source.namespace
            and "Egress" in spec.get("policyTypes", [])
            and _selects(spec.get("podSelector"), source)
        ):
            return each
    return None


def _meeting(side: Side) -> list[Item]:
    return [each for each in side.items if each.kind in ("Deployment", "StatefulSet")]


def _blocking(items: Sequence[Item], source: Item, target: Item) -> Item | None:
    """The target's first policy, if none of its policies admits the source; otherwise None."""
    policies = [
        each
        for each in items
        if each.kind == "NetworkPolicy"
        and each.namespace == target.namespace
        and "Ingress" in each.body["spec"].get("policyTypes", ["Ingress"])
        and _selects(each.body["spec"].get("podSelector"), target)
    ]
    if any(_lets_in(rule, source) for each in policies for rule in each.body["spec"].get("ingress") or []):
        return None
    return policies[0] if policies else None


def _lets_in(rule: Mapping[str, Any], source: Item) -> bool:
    peers = rule.get("from")
    return not peers or any(
        "podSelector" in each and "namespaceSelector" not in each and _selects(each["podSelector"], source)
        for each in peers
    )


def _selects(selector: Mapping[str, Any] | None, item: Item) -> bool:
    """Compares matchLabels only; a selector with expressions counts as a match, to avoid wrong statements."""
    labels = (item.template.get("metadata") or {}).get("labels") or {}
    wanted = (selector or {}).get("matchLabels") or {}
    return wanted.items() <= labels.items()
