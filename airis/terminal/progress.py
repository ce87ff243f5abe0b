"""Progress of long operations, on stderr: a bar on a terminal, otherwise a plain line from time to time."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

PLAIN_INTERVAL_SECONDS = 15.0
"""The interval between progress lines without a terminal."""

QUIET_SECONDS = 2.0
"""A step that takes less time than this prints no closing line."""


class Advance(Protocol):
    """Reports the progress of a step."""

    def __call__(self, done: float, detail: str = "") -> None:
        """Sets the amount done so far, out of the step's total, and a short text on the current action."""


@contextmanager
def step(description: str, total: float | None = None) -> Iterator[Advance]:
    """Shows the progress of one step while the block runs.

    Yields a function to call with (amount done so far, detail). `total` is the amount at the end; without it, the bar only
    pulses. Without a terminal, the step prints one line at the start, one every 15 seconds, and one at the end.
    """
    console = Console(stderr=True)
    if console.is_terminal:
        with Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[detail]}"),
            console=console,
            transient=True,
        ) as bars:
            task = bars.add_task(description, total=total, detail="")

            def update(done: float, detail: str = "") -> None:
                bars.update(task, completed=done, detail=detail)

            yield update
        return

    start = last = time.monotonic()
    print(f"{description} ...", file=sys.stderr, flush=True)

    def advance(done: float, detail: str = "") -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= PLAIN_INTERVAL_SECONDS:
            last = now
            share = f"{min(done / total, 1):.0%}, " if total else ""
            print(f"{description} ... {share}{now - start:.0f} s {detail}".rstrip(), file=sys.stderr, flush=True)

    yield advance
    elapsed = time.monotonic() - start
    if elapsed >= QUIET_SECONDS:
        print(f"{description} ... done in {elapsed:.0f} s", file=sys.stderr, flush=True)
