"""Prints the findings as text or JSON."""

import dataclasses
import json

from rich.table import Table
from rich.text import Text

from airis.doctor.checks import Group, State
from airis.doctor.examination import Examination
from airis.terminal.console import console

_STYLES = {
    State.PROBLEM: "bold red",
    State.WARNING: "yellow",
    State.NOT_CHECKED: "dim",
    State.OK: "green",
}
_MARKED = (State.PROBLEM, State.WARNING)


def print_examination(found: Examination, *, as_json: bool = False) -> None:
    """Prints the findings on stdout, by group, the worst first; in colour only on a terminal."""
    if as_json:
        print(json.dumps(as_data(found), indent=2))
        return
    out = console()
    order = list(State)
    for group in Group:
        inside = sorted(
            (each for each in found.findings if each.group is group), key=lambda each: order.index(each.state)
        )
        if not inside:
            continue
        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column(no_wrap=True, min_width=len(State.NOT_CHECKED.value))
        table.add_column(overflow="fold")
        for each in inside:
            words = Text(each.what)
            if each.state in _MARKED:
                words.append(f"\nwhy: {each.why}\nremedy: {each.remedy}", style="dim")
            table.add_row(Text(each.state.value, style=_STYLES[each.state]), words)
        out.print(Text(group.value, style="bold"))
        out.print(table)
        out.print()
    style = _STYLES[State.PROBLEM if found.exit_code else State.OK]
    out.print(Text(summary(found), style=style), soft_wrap=True)


def summary(found: Examination) -> str:
    """The number of findings by state."""
    about = f"Stack {found.stack}" if found.stack else "This machine and its cluster"
    counts = ", ".join(f"{found.count(state)} {_plural(state, found.count(state))}" for state in State)
    return f"{about}: {counts}."


def _plural(state: State, count: int) -> str:
    return f"{state.value}s" if state in _MARKED and count != 1 else state.value


def as_data(found: Examination) -> dict[str, object]:
    """The examination as JSON. docs/doctor.md describes the keys."""
    return {
        "stack": found.stack,
        "ok": not found.exit_code,
        "exit_code": int(found.exit_code),
        "counts": {state.value: found.count(state) for state in State},
        "findings": [dataclasses.asdict(each) for each in found.findings],
    }
