"""The same work for many stacks in one command: what they all need is imported once, and two cores work on them."""

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
"""Stacks. A second process costs as much as a dozen renders: it imports Pulumi and the typed modules once more."""

_PRELOADED = ["airis.render.program", "components"]
"""What every render needs, the typed Kubernetes modules among it."""


def for_each(
    stacks: Sequence[StackFile], work: Callable[[StackFile], Result], doing: str, *, processes: int | None = None
) -> list[Result]:
    """Calls `work` for each stack, and returns what it returned, in their order.

    From `PAYS_FROM` stacks on, as many processes as there are cores share them (or `processes`); then `work` has to be a
    function of a module, and its result plain data. Shows how far it is, as `doing`.

    Raises AirisError with what is wrong with each stack, after all have been tried.
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
        raise AirisError("\n".join([f"{len(wrong)} of {len(stacks)} stacks are wrong:", *map(str, wrong)]))
    return results


def _outcomes(
    stacks: Sequence[StackFile], work: Callable[[StackFile], Result], processes: int | None
) -> Iterator[Result | AirisError]:
    count = processes or (os.cpu_count() or 1 if len(stacks) >= PAYS_FROM else 1)
    if count == 1:
        yield from (_tried(work, stack) for stack in stacks)
        return
    # A clean process imports everything once, and each worker is a fork of it: a fork of this one might inherit a lock
    context = get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    with ProcessPoolExecutor(count, mp_context=context, initializer=_begin) as pool:
        yield from pool.map(_tried, [work] * len(stacks), stacks, chunksize=4)


def _silent(done: float, detail: str = "") -> None:
    """What takes a second or two needs no progress."""


def _begin() -> None:
    gc.set_threshold(200_000, 20, 20)  # as in airis.cli.main.main, and for the same reason


def _tried(work: Callable[[StackFile], Result], stack: StackFile) -> Result | AirisError:
    try:
        return work(stack)
    except AirisError as error:
        return error
