"""Measures, prints tables, and writes docs/benchmarks.md with its plots. Exits with 1 if a limit is exceeded."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import commands, engine, fleet, ollama, plots, profiles, rehearsal
from benchmarks.fleet import Growth
from benchmarks.measure import HEADINGS, ROOT, Row, machine, python, side_by_side, table
from tests.cluster.target import obstacle

_PAGE = ROOT / "docs" / "benchmarks.md"
_IMAGES = ROOT / "docs" / "img"


def tests() -> Iterator[Row]:
    """the unit tests"""
    (unit,) = side_by_side(1, python("-m", "pytest", "-q", "-n3", "tests/unit"))
    yield Row("unit tests", unit, "the whole run", None, 40)


def tenants() -> Iterator[Row]:
    """many tenants"""
    yield from fleet.render(commands.AIRIS)


PARTS: tuple[Callable[[], Iterator[Row]], ...] = (
    commands.render,
    commands.changes,
    tenants,
    rehearsal.sandbox,
    engine.engine,
    tests,
)


def main() -> int:
    """Runs every benchmark; returns the exit code."""
    rows: list[Row] = []
    for part in PARTS:
        print(f"Measuring {part.__doc__} ...", file=sys.stderr, flush=True)
        rows += part()
    print("Measuring fleets ...", file=sys.stderr, flush=True)
    grown = list(fleet.growth())
    plots.limits(rows, _IMAGES / "benchmarks-limits.svg")
    plots.spread(rows, _IMAGES / "benchmarks-spread.svg")
    plots.growth(grown, _IMAGES / "benchmarks-fleet.svg")
    text = _page(rows, grown, profiles.write())
    print(text)
    _PAGE.write_text(text, encoding="utf-8")
    fits = _ollama()
    return 0 if fits and all(each.ok for each in rows) and all(each.ok for each in grown) else 1


def _ollama() -> bool:
    """Whether the limits of the other page are kept; if no node can run, that page is not changed."""
    if reason := obstacle():
        print(f"Skipped Ollama: cannot run a real node: {reason}", file=sys.stderr, flush=True)
        return True
    return ollama.write()


def _page(rows: list[Row], grown: list[Growth], profiled: list[Path]) -> str:
    links = ", ".join(f"[{each.stem}]({each.relative_to(_PAGE.parent)})" for each in profiled)
    return f"""# Benchmarks

`make bench` generates this page and that of [Ollama in its pod](benchmarks-ollama.md). Each command is measured in the same run
as what it is compared with, in turns. Figures are medians of wall time; the peak memory is that of the largest process.
{machine()}

{table(HEADINGS, [row.cells() for row in rows])}

![Percentage of each limit that is used, as bars](img/benchmarks-limits.svg)

![Median and range of each measurement in seconds, one panel for each order of magnitude](img/benchmarks-spread.svg)

## Fleets

Tenants together on one sandbox (`tests/rehearsal/fleet.py` defines the expected result): a quarter are large departments
with three pods of Open WebUI, one in each zone; the others request GPUs of three models. The sandbox may use at most 4 GiB.

{table(Growth.HEADINGS, [each.cells() for each in grown])}

![Seconds over the number of nodes, for each step of a rehearsal](img/benchmarks-fleet.svg)

## Where the time goes

Profiles by pyinstrument: {links}. For the conclusions, see [Architecture](architecture.md#where-the-time-goes).
"""


if __name__ == "__main__":
    sys.exit(main())
