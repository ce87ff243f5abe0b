"""Measures whole commands in turns: wall time, and the peak memory of their largest process."""

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

_LAUNCHER = """
import os, sys, time
start = time.perf_counter()
process = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, used = os.wait4(process, 0)
with open(sys.argv[1], "w") as file:
    file.write(f"{time.perf_counter() - start} {used.ru_maxrss}")
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""Starts the command from a process of a few MiB: on Linux, a process inherits the peak memory of its parent."""


@dataclass(frozen=True)
class Run:
    """One run of a command."""

    seconds: float
    peak_bytes: int


@dataclass(frozen=True)
class Sample:
    """Seconds of wall time of one thing, over several runs."""

    seconds: tuple[float, ...]
    peak_bytes: int = 0
    """The most memory of any of its processes in any run; 0 if not measured."""

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def __str__(self) -> str:
        return f"{self.median:.2f} s ({min(self.seconds):.2f} to {max(self.seconds):.2f})"


@dataclass(frozen=True)
class Row:
    """One line of the table: a measurement, what it is compared with, and its limit."""

    what: str
    measured: Sample
    against: str
    yardstick: Sample | None
    limit: float | None
    """A ratio if there is a yardstick, else seconds; None without a limit."""

    @property
    def figure(self) -> float:
        return self.measured.median / self.yardstick.median if self.yardstick else self.measured.median

    @property
    def ok(self) -> bool:
        return self.limit is None or self.figure <= self.limit

    def cells(self) -> tuple[str, ...]:
        unit = "x" if self.yardstick else " s"
        peak = f"{self.measured.peak_bytes / 2**20:.0f} MiB" if self.measured.peak_bytes else ""
        return (
            self.what,
            str(self.measured),
            peak,
            f"{self.against}: {self.yardstick}" if self.yardstick else self.against,
            f"{self.figure:.2f}{unit}",
            "" if self.limit is None else f"{self.limit:g}{unit}",
            "" if self.limit is None else "yes" if self.ok else "**no**",
        )


HEADINGS = ("what", "median (range)", "peak memory", "against", "figure", "at most", "kept")


def side_by_side(runs: int, *things: Callable[[], object]) -> list[Sample]:
    """Measures each thing `runs` times in turns, so that other load on the machine affects all of them alike."""
    found: list[list[Run]] = [[] for _ in things]
    for _ in range(runs):
        for thing, taken in zip(things, found, strict=True):
            start = time.perf_counter()
            outcome = thing()
            taken.append(outcome if isinstance(outcome, Run) else Run(time.perf_counter() - start, 0))
    return [Sample(tuple(each.seconds for each in taken), max(each.peak_bytes for each in taken)) for taken in found]


def python(*arguments: str, env: Mapping[str, str] | None = None) -> Callable[[], Run]:
    """A run of this Python in the project's folder; it must succeed."""
    return command(sys.executable, *arguments, env=env)


def command(*arguments: str, env: Mapping[str, str] | None = None, folder: Path = ROOT) -> Callable[[], Run]:
    """A run of a program in the project's folder, or in `folder`; it must succeed."""

    def run() -> Run:
        with tempfile.NamedTemporaryFile() as file:
            subprocess.run(
                [sys.executable, "-I", "-S", "-c", _LAUNCHER, file.name, *arguments],
                cwd=folder,
                check=True,
                capture_output=True,
                env={**os.environ, **(env or {})},
            )
            seconds, kibibytes = Path(file.name).read_text(encoding="ascii").split()
        return Run(float(seconds), int(kibibytes) * (1 if sys.platform == "darwin" else 1024))

    return run


def machine() -> str:
    """The machine of the measurement, as a sentence."""
    return f"This run: {os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}."


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The rows as a Markdown table."""
    lines = [headings, tuple("---" for _ in headings), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
