"""Pairs the objects of two sides, and determines their differences and actions."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airis.diff.fields import ABSENT, Difference, Hidden, differences, masked
from airis.diff.ignored_fields import is_overlooked
from airis.diff.model import Action, FieldChange
from airis.diff.replacement import covers, forcing
from airis.diff.stack_objects import Item, Side
from airis.render.manifest import place

Pair = tuple[Item | None, Item | None]

URN = "(URN)"
"""The path of a difference in an object's URN."""

_OWN, _FIRST = (re.compile(rf"\.{field}\[[^]]*\](.+)$") for field in ("containers", "initContainers"))
"""A field of a container, and of an init container."""


@dataclass(frozen=True)
class Compared:
    """An object on both sides, and how they differ."""

    before: Item | None
    after: Item | None
    action: Action
    differences: tuple[Difference, ...] = ()
    forced: frozenset[str] = frozenset()
    """Paths of the differences that force a replacement."""
    ignored: frozenset[str] = frozenset()
    """Paths of the differences that Pulumi ignores."""

    @property
    def item(self) -> Item:
        """The new object; if it is removed, the old one."""
        found = self.after or self.before
        assert found is not None  # noqa: S101  (a pair has one side at least)
        return found

    @property
    def key(self) -> tuple[str, ...]:
        """Identifies it across several comparisons with the same `before`."""
        first = self.before or self.after
        assert first is not None  # noqa: S101
        return first.identity

    def effective(self, field: str) -> list[Difference]:
        """The differences in that field that Pulumi does not ignore."""
        return [each for each in self.differences if each.path not in self.ignored and covers(field, each.path)]

    def fields(self) -> Iterator[FieldChange]:
        """The differences, for display."""
        for each in self.differences:
            before, after = shown(each)
            yield FieldChange(each.path, before, after, each.path in self.forced, each.path in self.ignored)


def shown(difference: Difference) -> tuple[Any, Any]:
    """Both values with secrets masked; None for an absent one."""
    before, after = (
        None if value is ABSENT else _ordered(masked(value, difference.path))
        for value in (difference.before, difference.after)
    )
    if isinstance(difference.before, Hidden) and isinstance(difference.after, Hidden):
        after = f"{after} changed"
    return before, after


def _ordered(value: Any) -> Any:
    """With sorted keys, so that the output is the same in every run."""
    if isinstance(value, Mapping):
        return {key: _ordered(value[key]) for key in sorted(value, key=lambda key: (key != "name", key))}
    return [_ordered(each) for each in value] if isinstance(value, list) else value


def compared(before: Side, after: Side) -> list[Compared]:
    """Every object that differs, in the order of rendered manifests."""
    mutable = after.mutable or before.mutable
    found = [each for pair in _pairs(before.items, after.items) if (each := _compared(*pair, mutable)) is not None]
    return sorted(found, key=lambda each: place(each.item.kind, each.item.namespace, each.item.name))


def _pairs(before: Sequence[Item], after: Sequence[Item]) -> Iterator[Pair]:
    """Pairs objects by URN, as Pulumi does; otherwise by kind and name."""
    left = list(after)
    by_urn = {each.urn: each for each in left if each.urn}
    waiting: list[Item] = []
    for each in before:
        other = by_urn.get(each.urn)
        if other is None:
            waiting.append(each)
        else:
            left.remove(other)
            yield each, other
    by_identity = {each.identity: each for each in left}
    for each in waiting:
        other = by_identity.pop(each.identity, None)
        if other is not None:
            left.remove(other)
        yield each, other
    for each in left:
        yield None, each


def _compared(before: Item | None, after: Item | None, mutable: Mapping[str, bool]) -> Compared | None:
    if before is None:
        return Compared(None, after, Action.CREATED)
    if after is None:
        return Compared(before, None, Action.KEPT if before.retain else Action.DELETED)
    found = [*_once([*differences(before.body, after.body)]), *_options(before, after)]
    if before.urn and after.urn and before.urn != after.urn:
        found.append(Difference(URN, _place_of(before.urn), _place_of(after.urn)))
    if not found:
        return None
    ignored = {each.path for each in found if is_overlooked(each.path, after.ignores)}
    fields = forcing(after, mutable)
    forced = {
        each.path
        for each in found
        if each.path not in ignored and (each.path == URN or any(covers(field, each.path) for field in fields))
    }
    action = Action.REPLACED if forced else Action.CHANGED
    return Compared(before, after, action, tuple(found), frozenset(forced), frozenset(ignored))


def _once(found: Sequence[Difference]) -> list[Difference]:
    """Without differences of an init container that are the same as those of the main container."""
    own = [(match[1], each.before, each.after) for each in found if (match := _OWN.search(each.path))]
    return [
        each
        for each in found
        if (match := _FIRST.search(each.path)) is None or (match[1], each.before, each.after) not in own
    ]


def _options(before: Item, after: Item) -> Iterator[Difference]:
    """Differences in Pulumi's resource options, which only a rendered side has."""
    if before.urn and after.urn:
        for name, one, other in (
            ("protect", before.protect, after.protect),
            ("retainOnDelete", before.retain, after.retain),
        ):
            if one != other:
                yield Difference(f"({name})", one, other)


def _place_of(urn: str) -> str:
    return urn.rpartition("::")[0].rpartition("::")[2] + "::" + urn.rpartition("::")[2]
