"""The effects of a change on a stack, by object and field. Plain values that other modules print."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

VERSION = 1
"""Version of the JSON. Adding keys keeps it; renaming or removing keys increments it."""


class Action(StrEnum):
    """What happens to an object."""

    CREATED = "created"
    CHANGED = "changed"
    REPLACED = "replaced"
    """Deleted and recreated."""
    DELETED = "deleted"
    KEPT = "kept"
    """Removed from the stack, but kept in the cluster because the program retains it."""


@dataclass(frozen=True)
class FieldChange:
    """A field that differs. None means that the field, and everything below it, is absent."""

    path: str
    before: Any
    after: Any
    forces_replacement: bool = False
    """Whether Pulumi's Kubernetes provider replaces the object because of it."""
    ignored: bool = False
    """Whether Pulumi ignores it (`ignore_changes`)."""
    reasons: tuple[str, ...] = ()
    """The settings, or the code, that cause it."""


@dataclass(frozen=True)
class DataNote:
    """How a claim, or data elsewhere, is affected."""

    words: str
    harmless: bool = False
    """Whether no data can be lost, as when a claim grows."""


@dataclass(frozen=True)
class ObjectChange:
    """An object that differs, and the effects."""

    kind: str
    namespace: str | None
    name: str
    action: Action
    fields: tuple[FieldChange, ...] = ()
    restarts: tuple[str, ...] = ()
    """Which pods are restarted, added or removed, and how."""
    downtime: tuple[str, ...] = ()
    """What is unavailable, temporarily or permanently, and why."""
    data: tuple[DataNote, ...] = ()
    """How data is affected."""
    refused: tuple[str, ...] = ()
    """Why `up` rejects the change before it changes anything."""
    reasons: tuple[str, ...] = ()
    """The settings, or the code, that cause the change."""

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"

    @property
    def touches_data(self) -> bool:
        """Whether data may be lost, or left behind."""
        return any(not each.harmless for each in self.data)


@dataclass(frozen=True)
class Amount:
    """A quantity; with an autoscaler, a range from the minimum to the maximum number of pods."""

    low: int = 0
    high: int = 0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.low + other.low, self.high + other.high)

    def times(self, other: "Amount") -> "Amount":
        """The amount multiplied by a number of pods."""
        return Amount(self.low * other.low, self.high * other.high)


@dataclass(frozen=True)
class Totals:
    """The sum of all requests and limits of a stack's pods, and of its claims. Pods of Jobs are not counted."""

    pods: Amount = Amount()
    devices: Mapping[str, Amount] = field(default_factory=dict)
    """GPUs and other devices, by resource name, or by `DeviceClass` with Dynamic Resource Allocation."""
    cpu_requests: Amount = Amount()
    """In millicores, like the limits."""
    cpu_limits: Amount = Amount()
    memory_requests: Amount = Amount()
    """In bytes, like limits and storage."""
    memory_limits: Amount = Amount()
    storage: Amount = Amount()


@dataclass(frozen=True)
class Problem:
    """Why the diff is incomplete, or why the stack does not become ready."""

    side: str
    """`before` or `after`; `reasons` for notes and unknown reasons; `cluster` for what the stack lacks in the cluster."""
    words: str


@dataclass(frozen=True)
class Diff:
    """One stack, before and after."""

    stack: str
    before: str
    """The label of the old side: a revision, a file, or a cluster."""
    after: str
    changes: tuple[ObjectChange, ...]
    totals_before: Totals
    totals_after: Totals
    settings: tuple[str, ...] = ()
    """The settings that differ."""
    problems: tuple[Problem, ...] = ()
    compared: bool = True
    """Whether the two sides could be compared."""

    @property
    def touches_data(self) -> bool:
        """Whether a claim with data is touched."""
        return any(each.touches_data for each in self.changes)

    @property
    def broken(self) -> bool:
        """Whether one of the two sides is unknown."""
        return any(each.side in ("before", "after") for each in self.problems)

    def count(self, action: Action) -> int:
        """The number of objects with that action."""
        return sum(each.action is action for each in self.changes)

    def summary(self) -> str:
        """The diff in one sentence."""
        if any(each.side == "after" for each in self.problems):
            return f"Stack {self.stack} cannot be rendered."
        if not self.compared:
            return f"Stack {self.stack}: the changes are unknown."
        if not self.changes:
            return f"Stack {self.stack}: no object changes."
        counted = ", ".join(f"{count} {action}" for action in Action if (count := self.count(action)))
        effects = [
            words
            for words, there in (
                ("pods restart", any(each.restarts for each in self.changes)),
                ("downtime", any(each.downtime for each in self.changes)),
                ("a claim with data is touched", self.touches_data),
                ("`up` rejects it", any(each.refused for each in self.changes)),
            )
            if there
        ]
        return f"Stack {self.stack}: {counted}{'; ' if effects else ''}{', '.join(effects)}."

    def to_json(self) -> dict[str, Any]:
        """The diff as JSON, with stable keys: docs/diff.md describes them."""
        return {
            "version": VERSION,
            "stack": self.stack,
            "before": self.before,
            "after": self.after,
            "summary": self.summary(),
            "touchesData": self.touches_data,
            "compared": self.compared,
            "settings": list(self.settings),
            "changes": [_change(each) for each in self.changes],
            "totals": {"before": _totals(self.totals_before), "after": _totals(self.totals_after)},
            "problems": [{"side": each.side, "words": each.words} for each in self.problems],
        }


def _change(change: ObjectChange) -> dict[str, Any]:
    return {
        "kind": change.kind,
        "namespace": change.namespace,
        "name": change.name,
        "action": change.action.value,
        "fields": [
            {
                "path": each.path,
                "before": each.before,
                "after": each.after,
                "forcesReplacement": each.forces_replacement,
                "ignored": each.ignored,
                "reasons": list(each.reasons),
            }
            for each in change.fields
        ],
        "restarts": list(change.restarts),
        "downtime": list(change.downtime),
        "data": [{"words": each.words, "harmless": each.harmless} for each in change.data],
        "refused": list(change.refused),
        "reasons": list(change.reasons),
    }


def _totals(totals: Totals) -> dict[str, Any]:
    def plain(amount: Amount) -> dict[str, int]:
        return {"min": amount.low, "max": amount.high}

    return {
        "pods": plain(totals.pods),
        "devices": {name: plain(amount) for name, amount in sorted(totals.devices.items())},
        "cpuRequestsMillicores": plain(totals.cpu_requests),
        "cpuLimitsMillicores": plain(totals.cpu_limits),
        "memoryRequestsBytes": plain(totals.memory_requests),
        "memoryLimitsBytes": plain(totals.memory_limits),
        "storageBytes": plain(totals.storage),
    }
