"""What a change does to a stack: object by object, field by field. Plain values that other modules print."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

VERSION = 1
"""Of the JSON. Keys may be added; one that is renamed or removed makes another version."""


class Action(StrEnum):
    """What becomes of an object."""

    CREATED = "created"
    CHANGED = "changed"
    REPLACED = "replaced"
    """Deleted and made anew."""
    DELETED = "deleted"
    KEPT = "kept"
    """It leaves the stack, and stays in the cluster because the program retains it."""


@dataclass(frozen=True)
class FieldChange:
    """A field that differs. None is a field that is not there; it then stands for everything below it."""

    path: str
    before: Any
    after: Any
    forces_replacement: bool = False
    """Whether Pulumi's Kubernetes provider replaces the object because of it."""
    ignored: bool = False
    """Whether Pulumi overlooks it, because the program says so (`ignore_changes`)."""
    reasons: tuple[str, ...] = ()
    """The settings that it follows from, or the program's code."""


@dataclass(frozen=True)
class DataNote:
    """How a claim, or data elsewhere, is touched."""

    words: str
    harmless: bool = False
    """Whether nothing can be lost: a claim that grows."""


@dataclass(frozen=True)
class ObjectChange:
    """An object that differs, and what follows from that."""

    kind: str
    namespace: str | None
    name: str
    action: Action
    fields: tuple[FieldChange, ...] = ()
    restarts: tuple[str, ...] = ()
    """Which pods are restarted, added or taken away, and how."""
    downtime: tuple[str, ...] = ()
    """Why something does not answer for a while, or any more."""
    data: tuple[DataNote, ...] = ()
    """Why a claim with data is touched."""
    refused: tuple[str, ...] = ()
    """Why `up` refuses the change, and touches nothing."""
    reasons: tuple[str, ...] = ()
    """The settings that the change follows from, or the program's code."""

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"

    @property
    def touches_data(self) -> bool:
        """Whether data may be lost, or left behind."""
        return any(not each.harmless for each in self.data)


@dataclass(frozen=True)
class Amount:
    """How much of something; with an autoscaler, from the fewest pods to the most."""

    low: int = 0
    high: int = 0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.low + other.low, self.high + other.high)

    def times(self, other: "Amount") -> "Amount":
        """The same for several pods."""
        return Amount(self.low * other.low, self.high * other.high)


@dataclass(frozen=True)
class Totals:
    """What all pods of a stack ask for together, and its claims. Pods of Jobs come and go, and do not count."""

    pods: Amount = Amount()
    devices: Mapping[str, Amount] = field(default_factory=dict)
    """GPUs and other devices: by the resource's name, or as `DeviceClass` for claims by Dynamic Resource Allocation."""
    cpu_requests: Amount = Amount()
    """In thousandths of a core, as the limits."""
    cpu_limits: Amount = Amount()
    memory_requests: Amount = Amount()
    """In bytes, as the limits and the storage."""
    memory_limits: Amount = Amount()
    storage: Amount = Amount()


@dataclass(frozen=True)
class Problem:
    """Something that keeps the diff from being whole, or the stack from coming up."""

    side: str
    """`before`, `after`; `reasons` where only the reasons are not known; `cluster` for what the stack lacks in the cluster."""
    words: str


@dataclass(frozen=True)
class Diff:
    """One stack, before and after."""

    stack: str
    before: str
    """What stands on the one side, in a few words: a revision, a file, a cluster."""
    after: str
    changes: tuple[ObjectChange, ...]
    totals_before: Totals
    totals_after: Totals
    settings: tuple[str, ...] = ()
    """The keys of the stack file that differ."""
    problems: tuple[Problem, ...] = ()
    compared: bool = True
    """Whether the two sides could be compared at all."""

    @property
    def touches_data(self) -> bool:
        """Whether a claim with data is touched."""
        return any(each.touches_data for each in self.changes)

    @property
    def broken(self) -> bool:
        """Whether one of the two sides is not known."""
        return any(each.side in ("before", "after") for each in self.problems)

    def count(self, action: Action) -> int:
        """How many objects that becomes of."""
        return sum(each.action is action for each in self.changes)

    def summary(self) -> str:
        """The whole in one sentence."""
        if any(each.side == "after" for each in self.problems):
            return f"Stack {self.stack} cannot be rendered."
        if not self.compared:
            return f"Stack {self.stack}: what changes is not known."
        if not self.changes:
            return f"Stack {self.stack}: no object changes."
        counted = ", ".join(f"{count} {action}" for action in Action if (count := self.count(action)))
        effects = [
            words
            for words, there in (
                ("pods restart", any(each.restarts for each in self.changes)),
                ("downtime", any(each.downtime for each in self.changes)),
                ("a claim with data is touched", self.touches_data),
                ("`up` refuses it", any(each.refused for each in self.changes)),
            )
            if there
        ]
        return f"Stack {self.stack}: {counted}{'; ' if effects else ''}{', '.join(effects)}."

    def to_json(self) -> dict[str, Any]:
        """The whole as plain values, with stable keys: docs/diff.md describes them."""
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
