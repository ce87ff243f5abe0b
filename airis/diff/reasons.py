"""Which settings cause each change: found by rendering again with one changed setting at a time."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airis.diff.compare import compared
from airis.diff.replacement import covers
from airis.diff.stack_objects import Side

MOST_RENDERS = 12
"""The maximum number of renders; if more settings changed, those of one section are tried together."""

_LISTED = 3
"""The maximum number of settings listed individually."""

CODE = "the program's code"

_MISSING = object()

Path = tuple[str, ...]
Render = Callable[[Mapping[str, str]], Side]
"""Renders another configuration with this side's program."""


@dataclass(frozen=True)
class Reasons:
    """Why fields differ, by object key and field path; an empty path is the object itself."""

    settings: tuple[str, ...]
    """The settings that differ."""
    _found: Mapping[tuple[str, ...], Mapping[str, tuple[str, ...]]]

    def of(self, key: tuple[str, ...], path: str) -> tuple[str, ...]:
        """The reasons for one field, or for the object if the path is empty."""
        found = self._found.get(key, {})
        named = [
            reason for at, reasons in found.items() if not at or not path or covers(at, path) for reason in reasons
        ]
        return tuple(dict.fromkeys(named)) or (self.settings if len(self.settings) <= _LISTED else ())


def reasons(before: Side, after: Side, render: Render, code: str = CODE) -> Reasons:
    """Why the two sides differ. `render` is this side's program; `code` describes changes of the code.

    Renders this side's program with the other side's configuration, and then with each changed setting separately. Changes that
    no single setting causes are attributed to all of them.
    """
    changed = _changed(_tree(before.config), _tree(after.config))
    names = tuple(map(_named, changed))
    found: dict[tuple[str, ...], dict[str, list[str]]] = {}

    def note(one: Side, other: Side, reason: str) -> None:
        for each in compared(one, other):
            paths = found.setdefault(each.key, {})
            for path in [difference.path for difference in each.differences] or [""]:
                paths.setdefault(path, []).append(reason)

    if not changed:
        note(before, after, code)
        return Reasons((), _frozen(found))
    middle = render(before.config)  # the old settings, the new code
    if middle.problem:
        return Reasons(names, {})
    note(before, middle, code)
    if len(changed) == 1:
        note(middle, after, names[0])
    else:
        together: list[Path] = []
        for paths in _grouped(changed):
            tried = render(_with(before.config, after.config, paths))
            if tried.problem:
                together += paths  # only valid in combination with others
            else:
                note(middle, tried, _names(paths))
        if together and not (tried := render(_with(before.config, after.config, together))).problem:
            note(middle, tried, _names(together))
    return Reasons(names, _frozen(found))


def _frozen(
    found: Mapping[tuple[str, ...], Mapping[str, Sequence[str]]],
) -> dict[tuple[str, ...], dict[str, tuple[str, ...]]]:
    return {key: {path: tuple(told) for path, told in paths.items()} for key, paths in found.items()}


def changed_settings(before: Side, after: Side) -> tuple[str, ...]:
    """The settings that differ."""
    return tuple(map(_named, _changed(_tree(before.config), _tree(after.config))))


def _tree(config: Mapping[str, str]) -> dict[str, Any]:
    return {key: _decoded(value) for key, value in config.items()}


def _decoded(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def _changed(before: Any, after: Any, path: Path = ()) -> list[Path]:
    """The paths of the settings that differ, as deep as both sides are mappings."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        return [
            found
            for key in sorted(before.keys() | after.keys())
            for found in _changed(before.get(key, _MISSING), after.get(key, _MISSING), (*path, key))
        ]
    if before is _MISSING and isinstance(after, Mapping) and after:
        return [found for key in sorted(after) for found in _changed(_MISSING, after[key], (*path, key))]
    if after is _MISSING and isinstance(before, Mapping) and before:
        return [found for key in sorted(before) for found in _changed(before[key], _MISSING, (*path, key))]
    return [path] if before is _MISSING or after is _MISSING or before != after else []


def _named(path: Path) -> str:
    return ".".join(path)


def _names(paths: Sequence[Path]) -> str:
    """A short description of several settings, by their common prefix."""
    if len(paths) <= _LISTED:
        return ", ".join(map(_named, paths))
    common = [parts[0] for parts in zip(*paths, strict=False) if len(set(parts)) == 1]
    return f"{'.'.join(common)}.*" if common else ", ".join(dict.fromkeys(each[0] for each in paths))


def _grouped(paths: Sequence[Path]) -> list[list[Path]]:
    """The groups of settings to try together, as small as the number of renders allows."""
    for depth in range(max(map(len, paths), default=1), 0, -1):
        groups: dict[Path, list[Path]] = {}
        for each in paths:
            groups.setdefault(each[:depth], []).append(each)
        if len(groups) <= MOST_RENDERS:
            return list(groups.values())
    return [list(paths)]


def _with(base: Mapping[str, str], other: Mapping[str, str], paths: Sequence[Path]) -> dict[str, str]:
    """The configuration `base`, with some settings from `other`."""
    tree, source = _tree(base), _tree(other)
    for path in paths:
        tree = _put(tree, path, _at(source, path))
    return {
        key: base[key] if key in base and value == _decoded(base[key]) else _encoded(value, other.get(key))
        for key, value in tree.items()
    }


def _encoded(value: Any, told: str | None) -> str:
    if told is not None and value == _decoded(told):
        return told
    return value if isinstance(value, str) else json.dumps(value)


def _at(tree: Any, path: Path) -> Any:
    for key in path:
        if not isinstance(tree, Mapping) or key not in tree:
            return _MISSING
        tree = tree[key]
    return tree


def _put(tree: Any, path: Path, value: Any) -> Any:
    if not path:
        return value
    inner = dict(tree) if isinstance(tree, Mapping) else {}
    changed = _put(inner.get(path[0]), path[1:], value)
    if changed is _MISSING or (changed == {} and len(path) > 1):
        inner.pop(path[0], None)
    else:
        inner[path[0]] = changed
    return inner
