"""Differences between two Kubernetes objects, field by field, and the display of values."""

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from settings.pods.workload import CREDENTIAL
from settings.types.quantity import as_bytes, cpu_millicores
from settings.types.secrets import URL_WITH_PASSWORD

HIDDEN = "[not shown]"
SECRET = "[secret]"  # noqa: S105  (what is shown in its place)
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

_KEYS = (
    ("name",),
    ("mountPath",),
    ("containerPort", "protocol"),
    ("port", "protocol"),
    ("topologyKey", "whenUnsatisfiable"),
    ("key", "operator", "value", "effect"),
    ("host",),
    ("path",),
    ("key",),
    ("ip",),
)
"""Keys that identify the items of a list, tried in this order: the merge keys of k8s.io/api, core/v1/types.go, and others that
are unique in practice. Items may omit the keys after the first."""


class Absent:
    """Stands for an absent value, which is not the same as null."""

    def __repr__(self) -> str:
        return "absent"


ABSENT = Absent()


@dataclass(frozen=True)
class Hidden:
    """A secret value, represented by its digest."""

    digest: str


@dataclass(frozen=True)
class Difference:
    """A field that differs; if only one side has it, it covers everything below it."""

    path: str
    before: Any
    after: Any


def differences(before: Any, after: Any, path: str = "") -> Iterator[Difference]:
    """Every field that differs; items of lists are matched by names, ports, paths and so on."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        yield from _entries(before, after, path, named=False)
    elif isinstance(before, list) and isinstance(after, list) and before != after:
        yield from _items(before, after, path)
    elif before != after and not _same_quantity(path, before, after):
        yield Difference(path, before, after)


def within(path: str, field: str) -> bool:
    """Whether `path` is that field, or a field in it."""
    return path.startswith(field) and path[len(field) :][:1] in ("", ".", "[", " ")


def _items(before: list[Any], after: list[Any], path: str) -> Iterator[Difference]:
    named = by_names(before, after)
    renamed = named is not None and len(before) == len(after) == 1 and not named[0].keys() & named[1].keys()
    if named is not None and not renamed:
        yield from _entries(*named, path, named=True)
        common = [[each for each in side if each in other] for side, other in (named, named[::-1])]
        if common[0] != common[1]:
            yield Difference(f"{path} (order)", list(named[0]), list(named[1]))
    elif len(before) == len(after) and all(isinstance(each, Mapping) for each in (*before, *after)):
        for index, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from differences(one, other, f"{path}[{index}]")
    else:
        yield Difference(path, before, after)


def _entries(before: Mapping[str, Any], after: Mapping[str, Any], path: str, *, named: bool) -> Iterator[Difference]:
    """The same for the fields of a mapping, or the items of a list by their names."""
    for key in sorted(before.keys() | after.keys()):
        at = f"{path}[{key}]" if named or not key.isidentifier() else f"{path}.{key}".lstrip(".")
        if key not in after:
            yield Difference(at, before[key], ABSENT)
        elif key not in before:
            yield Difference(at, ABSENT, after[key])
        else:
            yield from differences(before[key], after[key], at)


def by_names(before: list[Any], after: list[Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The items of both lists by their identifying keys; None if there are none."""
    items = [*before, *after]
    for first, *further in _KEYS:
        if all(isinstance(each, Mapping) and first in each for each in items):
            sides = [
                {"/".join(str(each[key]) for key in (first, *further) if key in each): each for each in side}
                for side in (before, after)
            ]
            if (len(sides[0]), len(sides[1])) == (len(before), len(after)):
                # the first key alone, if that is unique
                short = [{str(each[first]): each for each in side} for side in (before, after)]
                if (len(short[0]), len(short[1])) == (len(before), len(after)):
                    return short[0], short[1]
                return sides[0], sides[1]
    return None


def _same_quantity(path: str, before: Any, after: Any) -> bool:
    """Whether two quantities are equal, in different notations."""
    if not re.search(r"\b(requests|limits)[.\[]", path):
        return False
    for parsed in (cpu_millicores, as_bytes):
        try:
            return parsed(str(before)) == parsed(str(after))
        except ValueError:
            continue
    return False


def is_credential(name: str, value: str) -> bool:
    """Whether a plain value must not be shown, because of its variable's name, or because it is a URL with a password."""
    return CREDENTIAL.search(name) is not None or URL_WITH_PASSWORD.search(value) is not None


def masked(value: Any, path: str) -> Any:
    """The value with possible credentials masked."""
    if isinstance(value, Hidden):
        return SECRET
    if isinstance(value, Mapping):
        if (
            "name" in value
            and isinstance(value.get("value"), str)
            and is_credential(str(value["name"]), value["value"])
        ):
            return {**value, "value": HIDDEN}
        return {key: masked(inner, f"{path}.{key}") for key, inner in value.items()}
    if isinstance(value, list):
        return [masked(each, path) for each in value]
    if _LAST_APPLIED in path:
        return HIDDEN
    variable = re.search(r"\.env\[(\w+)\]\.value$", path)
    name = variable[1] if variable else ""
    return HIDDEN if isinstance(value, str) and is_credential(name, value) else value


def one_line(value: Any, width: int) -> str:
    """A value as JSON, cut to about `width` characters."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= width else f"{text[:width]}..."


def changed_lines(before: str, after: str, limit: int) -> Sequence[str]:
    """The lines that differ, prefixed with `-` and `+`, at most `limit`."""
    found = [
        line
        for line in difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
        if not line.startswith(("---", "+++", "@@"))
    ]
    left = len(found) - limit
    return found if left <= 0 else [*found[:limit], f"... and {left} more lines"]
