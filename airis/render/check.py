"""Checks a stack's objects against the rules of policy/, without a cluster or the Pulumi engine."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.text import Text

from airis.render import manifest, program
from airis.stack_file.stacks import StackFile, settings_of
from airis.terminal.errors import ExitCode
from policy.rules import RULES, Level, Problem, Registered, level

_STYLES = {Level.MANDATORY: "bold red", Level.ADVISORY: "yellow"}


@dataclass(frozen=True)
class Broken:
    """A rule that an object violates."""

    level: Level
    rule: str
    problem: Problem


@dataclass(frozen=True)
class Report:
    """What a check found."""

    stack: str
    objects: int
    broken: tuple[Broken, ...]

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the command: violations of advisory rules are no failure."""
        return ExitCode.BAD_INPUT if self._count(Level.MANDATORY) else ExitCode.OK

    def summary(self) -> str:
        """The outcome in one sentence."""
        if not self.broken:
            return f"ok: stack {self.stack} passes all {len(RULES)} rules, in {self.objects} objects."
        mandatory, advisory = self._count(Level.MANDATORY), self._count(Level.ADVISORY)
        if not mandatory:
            return f"ok: stack {self.stack} passes all mandatory rules; advisory violations: {advisory}."
        return f"Stack {self.stack} violates rules: {mandatory} mandatory, {advisory} advisory."

    def _count(self, wanted: Level) -> int:
        return sum(each.level is wanted for each in self.broken)


def check_stack(stack: StackFile) -> Report:
    """Checks the stack. Raises AirisError if the stack is invalid."""
    objects = manifest.in_order(program.run(stack).objects)
    settings = settings_of(stack)

    def broken() -> Iterator[Broken]:
        for each in objects:
            registered = Registered(opened(each.manifest), protect=each.protect, retain=each.retain)
            for rule in RULES:
                strictness = level(rule, production=settings.production, pod_security=settings.pod_security)
                yield from (Broken(strictness, rule.name, problem) for problem in rule.problems(registered))

    # a stable sort: mandatory rules first, in the order of the objects
    found = sorted(broken(), key=lambda each: each.level is Level.ADVISORY)
    return Report(stack.name, len(objects), tuple(found))


def opened(value: Any) -> Any:
    """The same value with the secret marker moved from mappings and lists to their texts.

    Rules inspect the structure. Names stay readable, because findings refer to them.
    """
    return _opened(value, secret=False)


def _opened(value: Any, secret: bool) -> Any:
    if isinstance(value, program.Secret):
        return _opened(value.value, secret=True)
    if isinstance(value, Mapping):
        return {key: _opened(inner, secret and key != "name") for key, inner in value.items()}
    if isinstance(value, list):
        return [_opened(inner, secret) for inner in value]
    return program.Secret(value) if secret else value


def print_report(report: Report) -> None:
    """Prints the findings on stdout, one per line; colours only on a terminal."""
    console = Console(highlight=False)
    for each in report.broken:
        line = Text.assemble((f"{each.level:9}", _STYLES[each.level]), f"  {each.rule}: {each.problem}")
        console.print(line, soft_wrap=True)
    console.print(report.summary(), style="bold red" if report.exit_code else "bold green", soft_wrap=True)
