"""Signals, handled otherwise for a while."""

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

Handler = Callable[[int, FrameType | None], object] | signal.Handlers


@contextmanager
def handled(handler: Handler, numbers: Sequence[signal.Signals]) -> Iterator[None]:
    """Has these signals handled so while the block runs, and as before afterwards; outside of the main thread, nothing."""
    if threading.current_thread() is not threading.main_thread():  # only there can it be done
        yield
        return
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


@contextmanager
def interruptible() -> Iterator[None]:
    """Makes `kill` and a lost terminal the same as Ctrl-C, after which everything is tidied up."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    with handled(interrupt, (signal.SIGTERM, signal.SIGHUP)):
        yield
