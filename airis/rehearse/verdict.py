"""The findings of a rehearsal as data, table and JSON."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from airis.cluster.finding import Finding, State
from airis.terminal.console import console
from airis.terminal.errors import ExitCode


@dataclass(frozen=True)
class Verdict:
    """The outcome of a rehearsal."""

    stack: str
    findings: tuple[Finding, ...]
    seconds: float
    """Duration from the first apply to the verdict."""
    assumed: tuple[str, ...] = ()
    """What the stack refers to, and was assumed to exist in the cluster: a line for each kind."""
    notes: tuple[str, ...] = ()
    """What was not rehearsed, or differs from the cluster."""

    @property
    def ok(self) -> bool:
        """Whether everything is ready or admitted."""
        return all(finding.ok for finding in self.findings)

    def summary(self) -> str:
        """The verdict in one sentence."""
        bad = sum(not finding.ok for finding in self.findings)
        total = len(self.findings)
        if not bad:
            return f"Stack {self.stack} comes up: {total} of {total} objects and pods, in {self.seconds:.1f} s."
        return f"Stack {self.stack} does not come up: {bad} of {total} objects and pods are missing or not ready."


_STYLES = {State.REFUSED: "bold red", State.PENDING: "red"}


def print_verdicts(verdicts: Sequence[Verdict], *, as_json: bool = False) -> None:
    """Prints the verdicts of stacks that were rehearsed together; for several, one line each, and the failures."""
    if len(verdicts) == 1:
        print_verdict(verdicts[0], as_json=as_json)
        return
    if as_json:
        print(json.dumps([_as_json(each) for each in verdicts], indent=2))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("Stack", "Objects and pods", "Ready or admitted", "State"):
        table.add_column(heading, no_wrap=True)
    for each in verdicts:
        good = sum(finding.ok for finding in each.findings)
        state = Text("comes up", style="green") if each.ok else Text("does not come up", style="red")
        table.add_row(each.stack, str(len(each.findings)), str(good), state)
    out = console()
    out.print(table)
    bad = [each for each in verdicts if not each.ok]
    for each in bad:
        out.print()
        _print_findings(replace(each, assumed=(), notes=()), [found for found in each.findings if not found.ok])
    out.print()
    _print_remarks(verdicts, out)
    words = f"{len(verdicts) - len(bad)} of {len(verdicts)} stacks come up, in {max(each.seconds for each in verdicts):.1f} s."
    out.print(words, style="bold red" if bad else "bold green")


def _as_json(verdict: Verdict) -> dict[str, Any]:
    return {**dataclasses.asdict(verdict), "ok": verdict.ok}


def print_verdict(verdict: Verdict, *, as_json: bool = False) -> None:
    """Prints the verdict on stdout; in colour only on a terminal."""
    if as_json:
        print(json.dumps(_as_json(verdict), indent=2))
        return
    _print_findings(verdict, verdict.findings)


def _print_findings(verdict: Verdict, findings: Sequence[Finding]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("Object", "State", "Node"):
        table.add_column(heading, no_wrap=True)
    table.add_column("Reason", overflow="fold")
    for finding in findings:
        indent = "  " if finding.kind == "Pod" else ""
        state = Text(finding.state.value, style=_STYLES.get(finding.state, "green"))
        table.add_row(f"{indent}{finding.kind}/{finding.name}", state, finding.node, Text(finding.reason))
    out = console()
    out.print(table)
    out.print()
    _print_remarks([verdict], out)
    out.print(verdict.summary(), style="bold green" if verdict.ok else "bold red")


def _print_remarks(verdicts: Sequence[Verdict], out: Console) -> None:
    remarks = [line for each in verdicts for line in remarks_of(each)]
    for line in dict.fromkeys(remarks):
        out.print(line, style="yellow", soft_wrap=True)
    if remarks:
        out.print()


def remarks_of(verdict: Verdict) -> list[str]:
    """A verdict's assumptions and notes, one line each."""
    return [*(f"assumed to exist: {each}" for each in verdict.assumed), *(f"note: {each}" for each in verdict.notes)]


def exit_code(*verdicts: Verdict) -> ExitCode:
    """The exit code of the command."""
    return ExitCode.OK if all(each.ok for each in verdicts) else ExitCode.NOT_READY
