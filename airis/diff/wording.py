"""The parts of a diff as text, for terminal and Markdown."""

from collections.abc import Iterator
from typing import Any

from airis.diff.fields import changed_lines, one_line
from airis.diff.model import Action, Amount, Diff, FieldChange, ObjectChange, Problem, Totals

MARKS = {
    Action.CREATED: "+",
    Action.CHANGED: "~",
    Action.REPLACED: "+/-",
    Action.DELETED: "-",
    Action.KEPT: "=",
}

ACTIONS = {
    Action.CREATED: "created",
    Action.CHANGED: "changed",
    Action.REPLACED: "replaced",
    Action.DELETED: "deleted",
    Action.KEPT: "removed from the stack, kept in the cluster",
}

_TEXT_LINES = 20


def totals_rows(diff: Diff) -> list[tuple[str, str, str]]:
    """Rows of name, before and after, for each total that either side has."""
    before, after = _amounts(diff.totals_before), _amounts(diff.totals_after)
    names = [*after, *(name for name in before if name not in after)]
    none = "0"
    rows = [(name, before.get(name, none), after.get(name, none)) for name in names]
    return [row for row in rows if row[1:] != (none, none)]


def _amounts(totals: Totals) -> dict[str, str]:
    return {
        "pods": _range(totals.pods, str),
        **{name: _range(amount, str) for name, amount in sorted(totals.devices.items())},
        "CPU requests": _range(totals.cpu_requests, _cores),
        "CPU limits": _range(totals.cpu_limits, _cores),
        "memory requests": _range(totals.memory_requests, _bytes),
        "memory limits": _range(totals.memory_limits, _bytes),
        "storage": _range(totals.storage, _bytes),
    }


def _range(amount: Amount, text: Any) -> str:
    low, high = text(amount.low), text(amount.high)
    return low if low == high else f"{low} to {high}"


def _cores(millicores: int) -> str:
    return f"{millicores / 1000:g}"


def _bytes(number: int) -> str:
    for suffix, power in (("Gi", 30), ("Mi", 20), ("Ki", 10)):
        if number >= 1 << power:
            return f"{number / (1 << power):.4g}{suffix}"
    return str(number)


def label(change: ObjectChange) -> str:
    """The object, with its namespace if it has one."""
    return f"{change} in {change.namespace}" if change.namespace else str(change)


def heading(diff: Diff, problem: Problem) -> str:
    """The heading of a problem: a side that cannot be rendered, a failure in the cluster, or a note."""
    if problem.side == "cluster":
        return "fails in the cluster"
    side = {"before": diff.before, "after": diff.after}.get(problem.side)
    return f"{side} cannot be rendered" if side is not None else "note"


def notes(change: ObjectChange) -> Iterator[tuple[str, str]]:
    """The effects of the change, each with its kind."""
    yield from (("data" if not each.harmless else "claim", each.words) for each in change.data)
    yield from (("refused", words) for words in change.refused)
    yield from (("downtime", words) for words in change.downtime)
    yield from (("pods", words) for words in change.restarts)


def field_lines(field: FieldChange, width: int) -> list[str]:
    """The field as lines prefixed with `-` and `+`, one for each value, or for each changed line of a text."""
    before, after = field.before, field.after
    if isinstance(before, str) and isinstance(after, str) and "\n" in before + after:
        return [f"  {field.path}:", *(_cut(line, width) for line in changed_lines(before, after, _TEXT_LINES))]
    lines = [] if before is None else [f"- {field.path}: {one_line(before, width)}"]
    return lines if after is None else [*lines, f"+ {field.path}: {one_line(after, width)}"]


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else f"{line[:width]}..."


def remarks(field: FieldChange) -> str:
    """Notes on a field, next to its values."""
    told = [
        *(["forces replacement"] if field.forces_replacement else []),
        *(["ignored by Pulumi"] if field.ignored else []),
        *([f"from {', '.join(field.reasons)}"] if field.reasons else []),
    ]
    return "; ".join(told)
