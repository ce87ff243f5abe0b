"""A diff on the terminal: the summary first, then object by object. Data loss is red; colours only on a terminal."""

from collections.abc import Callable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from airis.diff.model import Action, Diff, ObjectChange
from airis.diff.wording import ACTIONS, MARKS, field_lines, heading, label, notes, remarks, totals_rows

_STYLES = {
    Action.CREATED: "green",
    Action.CHANGED: "yellow",
    Action.REPLACED: "magenta",
    Action.DELETED: "red",
    Action.KEPT: "cyan",
}
_NOTES = {
    "data": ("data", "bold red"),
    "refused": ("refused", "bold magenta"),
    "downtime": ("downtime", "magenta"),
    "claim": ("claim", "yellow"),
    "pods": ("pods", "cyan"),
}
_WIDTH = 160

Say = Callable[..., None]


def print_diff(diff: Diff, console: Console | None = None) -> None:
    """Prints the diff on stdout."""
    console = console or Console(highlight=False)

    def say(*parts: Text | str | tuple[str, str]) -> None:
        text = Text.assemble(*parts)
        # Values may come from untrusted branches: strip terminal escape sequences
        text.plain = "".join(each if each.isprintable() or each == "\n" else "\ufffd" for each in text.plain)
        console.print(text, soft_wrap=True)

    style = "bold red" if diff.touches_data or diff.broken else "bold"
    say((diff.summary(), style))
    say((f"{diff.before} -> {diff.after}", "dim"))
    if diff.settings:
        say((f"Changed settings: {', '.join(diff.settings)}", "dim"))
    for problem in diff.problems:
        say(
            "\n",
            (
                f"{heading(diff, problem)}: {problem.words}",
                "red" if problem.side != "reasons" else "yellow",
            ),
        )
    for change in diff.changes:
        console.print()
        _print_change(change, say)
    rows = totals_rows(diff)
    if rows:
        console.print()
        table = Table(box=None, pad_edge=False, header_style="bold")
        for title in ("Total", "Before", "After"):
            table.add_column(title, no_wrap=True)
        for what, before, after in rows:
            table.add_row(what, before, Text(after, style="bold" if before != after else ""))
        console.print(table)


def _print_change(change: ObjectChange, say: Say) -> None:
    mark = MARKS[change.action]
    style = "bold red" if change.touches_data else _STYLES[change.action]
    say((f"{mark} {label(change)}", style), f"  {ACTIONS[change.action]}")
    for kind, words in notes(change):
        called, colour = _NOTES[kind]
        say("    ", (f"{called}: ", colour), (words, colour if kind in ("data", "claim") else ""))
    if change.reasons and not change.fields:
        say("    ", (f"from {', '.join(change.reasons)}", "dim"))
    for field in change.fields:
        told = remarks(field)
        lines = field_lines(field, _WIDTH)
        for index, line in enumerate(lines):
            colour = {"-": "red", "+": "green"}.get(line[:1], "")
            ending = f"   ({told})" if told and index == len(lines) - 1 else ""
            say("    ", (line, colour), (ending, "dim"))
