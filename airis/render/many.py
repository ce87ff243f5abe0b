"""Runs a function for many stacks in one command: imports the shared modules once, and uses several cores."""

import gc
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from multiprocessing import get_context
from typing import TypeVar

from airis.stack_file.stacks import StackFile
from airis.terminal.errors import AirisError
from airis.terminal.progress import step

Result = TypeVar("Result")

PAYS_FROM = 24
"""The number of stacks from which on several processes are faster. A second process costs as much as a dozen renders, because
it imports Pulumi and the typed modules again."""

_PRELOADED = ["airis.render.program", "components"]
"""The modules that every render needs, including the typed Kubernetes modules."""


def for_each(
    stacks: Sequence[StackFile], work: Callable[[StackFile], Result], doing: str, *, processes: int | None = None
) -> list[Result]:
    """Calls `work` for each stack, and returns the results in the same order.

    From `PAYS_FROM` stacks on, it uses one process per core (or `processes`); `work` must then be a module-level function, and
    its result plain data. Shows progress, labelled `doing`.

    Tries all stacks, then raises AirisError with every stack's errors.
    """
    results: list[Result] = []
    wrong: list[AirisError] = []
    shown = step(doing, total=len(stacks)) if len(stacks) >= PAYS_FROM else nullcontext(_silent)
    with shown as advance:
        for stack, outcome in zip(stacks, _outcomes(stacks, work, processes), strict=True):
            if isinstance(outcome, AirisError):
                wrong.append(outcome)
            else:
                results.append(outcome)
            advance(len(results) + len(wrong), stack.name)
    if len(wrong) == 1:
        raise wrong[0]
    if wrong:
        raise AirisError("\n".join([f"{len(wrong)} of {len(stacks)} stacks are invalid:", *map(str, wrong)]))
    return results


def _outcomes(
    stacks: Sequence[StackFile], work: Callable[[StackFile], Result], processes: int | None
) -> Iterator[Result | AirisError]:
    count = processes or (os.cpu_count() or 1 if len(stacks) >= PAYS_FROM else 1)
    if count == 1:
        yield from (_tried(work, stack) for stack in stacks)
        return
    # A clean process imports everything once, and each worker is a fork of it. A fork of this process might inherit a lock
    context = get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    with ProcessPoolExecutor(count, mp_context=context, initializer=_begin) as pool:
        yield from pool.map(_tried, [work] * len(stacks), stacks, chunksize=4)


def _silent(done: float, detail: str = "") -> None:
    """No progress: the work takes a second or two."""


def _begin() -> None:
    gc.set_threshold(200_000, 20, 20)  # as in airis.cli.main.main, and for the same reason


def _tried(work: Callable[[StackFile], Result], stack: StackFile) -> Result | AirisError:
    try:
        return work(stack)
    except AirisError as error:
        return error
