"""Times whole commands side by side."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Sample:
    """Seconds of wall time of one thing, over several runs."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def __str__(self) -> str:
        return f"{self.median:.2f} s ({min(self.seconds):.2f} to {max(self.seconds):.2f})"


@dataclass(frozen=True)
class Row:
    """One line of the table: what was measured, against what, and what it must not exceed."""

    what: str
    measured: Sample
    against: str
    yardstick: Sample | None
    limit: float
    """A ratio where there is a yardstick, else seconds."""

    @property
    def figure(self) -> float:
        return self.measured.median / self.yardstick.median if self.yardstick else self.measured.median

    @property
    def ok(self) -> bool:
        return self.figure <= self.limit

    def cells(self) -> tuple[str, ...]:
        unit = "x" if self.yardstick else " s"
        return (
            self.what,
            str(self.measured),
            f"{self.against}: {self.yardstick}" if self.yardstick else self.against,
            f"{self.figure:.2f}{unit}",
            f"{self.limit:g}{unit}",
            "yes" if self.ok else "**no**",
        )


HEADINGS = ("what", "median (range)", "against", "figure", "at most", "kept")


def side_by_side(runs: int, *things: Callable[[], object]) -> list[Sample]:
    """Times each thing `runs` times, taking turns, so that what else the machine does hits all of them alike."""
    seconds: list[list[float]] = [[] for _ in things]
    for _ in range(runs):
        for thing, taken in zip(things, seconds, strict=True):
            start = time.perf_counter()
            thing()
            taken.append(time.perf_counter() - start)
    return [Sample(tuple(taken)) for taken in seconds]


def python(*arguments: str, env: Mapping[str, str] | None = None) -> Callable[[], object]:
    """A run of this Python in the project's folder; it must succeed."""
    return command(sys.executable, *arguments, env=env)


def command(*arguments: str, env: Mapping[str, str] | None = None) -> Callable[[], object]:
    """A run of a program in the project's folder; it must succeed."""

    def run() -> object:
        return subprocess.run(arguments, cwd=ROOT, check=True, capture_output=True, env={**os.environ, **(env or {})})

    return run


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    lines = [HEADINGS, tuple("---" for _ in HEADINGS), *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
