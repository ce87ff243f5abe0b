"""Lists outdated pins: `make outdated`. Each pin with its file and the newest version in its registry."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from airis.stack_file.project import project_root
from airis.terminal.errors import EnvironmentProblem
from maintenance import clients
from maintenance.pins import Pin, Registry, pins

_UNKNOWN = "?"


class Row(NamedTuple):
    """One line of the table."""

    state: str
    """`behind`, `unknown`, or nothing."""
    what: str
    pinned: str
    newest: str
    where: str


class Answers(NamedTuple):
    """The responses of the registries."""

    newest: Mapping[tuple[Registry, str], str]
    """The newest version, by registry and name."""
    unreached: Sequence[str]
    """The reasons why some could not be reached."""


def newest_ollama(version: str) -> str:
    """The newest release of Ollama, starting from that version.

    The module proxy reports an old release as the latest and does not list newer ones, but serves them by version.
    So this queries the next patch and minor versions until there are none.
    """
    while True:
        major, minor, patch = clients.numbers(version)[:3]
        following = [f"v{major}.{minor}.{patch + step}" for step in (1, 2, 3)]
        following += [f"v{major}.{minor + step}.0" for step in range(1, 7)] + [f"v{major + 1}.0.0"]
        found = clients.existing_go("github.com/ollama/ollama", following)
        if not found:
            return version
        version = max(found, key=clients.numbers)


def ask(wanted: Iterable[Pin]) -> Answers:
    """Queries each registry once. If one cannot be reached, the others are still queried."""
    newest: dict[tuple[Registry, str], str] = {}
    unreached: list[str] = []
    names: dict[Registry, dict[str, str]] = {}
    for pin in wanted:
        names.setdefault(pin.registry, {})[pin.name] = pin.version

    def told(registry: Registry, found: Mapping[str, str]) -> None:
        newest.update({(registry, name): version for name, version in found.items()})

    try:
        told("python", clients.newest_python(names.get("python", {})))
    except EnvironmentProblem as problem:
        unreached.append(f"Python packages: {problem.message}")
    try:
        told("go", clients.newest_go(names.get("go", {})))
        told("ollama", {name: newest_ollama(version) for name, version in names.get("ollama", {}).items()})
    except EnvironmentProblem as problem:
        unreached.append(f"Go modules: {problem.message}")
    try:
        told("action", {name: clients.newest_action(name) for name in names.get("action", {})})
    except EnvironmentProblem as problem:
        unreached.append(f"GitHub actions: {problem.message}")
    return Answers(newest, unreached)


def rows(wanted: Iterable[Pin], newest: Mapping[tuple[Registry, str], str]) -> list[Row]:
    """The table: outdated pins first, then unknown ones. A pin that is the same in several files has one row."""
    places: dict[tuple[Registry, str, str, str], dict[str, None]] = {}
    for pin in wanted:
        places.setdefault((pin.registry, pin.name, pin.what, pin.version), {})[pin.where] = None
    found = []
    for (registry, name, what, version), where in places.items():
        latest = newest.get((registry, name))
        behind = latest is not None and clients.numbers(latest) > clients.numbers(version)
        state = "unknown" if latest is None else "behind" if behind else ""
        # A pin newer than the registry's latest version is the newest
        shown = _UNKNOWN if latest is None else latest.removeprefix("v") if behind else version.removeprefix("v")
        found.append(Row(state, what, version.removeprefix("v"), shown, ", ".join(where)))
    order = ("behind", "unknown", "")
    return sorted(found, key=lambda row: (order.index(row.state), row.what.lower(), row.pinned))


def table(found: Sequence[Row]) -> str:
    """The rows as aligned text."""
    lines = [Row("", "what", "pinned", "newest", "where"), *found]
    widths = [max(len(line[column]) for line in lines) for column in range(4)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line.where])
        for line in lines
    )


def main(root: Path) -> None:
    """Prints the table, the number of outdated pins, and the registries that could not be reached."""
    wanted = pins(root)
    answers = ask(wanted)
    found = rows(wanted, answers.newest)
    behind, unknown = (sum(row.state == state for row in found) for state in ("behind", "unknown"))
    print(table(found))
    print(f"\n{behind} of {len(found)} behind, {unknown} unknown.")
    for reason in answers.unreached:
        print(f"Not reached: {reason}", file=sys.stderr)


if __name__ == "__main__":
    main(project_root())
