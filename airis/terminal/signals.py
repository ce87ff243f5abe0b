"""Temporary signal handlers."""

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

Handler = Callable[[int, FrameType | None], object] | signal.Handlers


@contextmanager
def handled(handler: Handler, numbers: Sequence[signal.Signals]) -> Iterator[None]:
    """Installs the handler for these signals while the block runs. Does nothing outside of the main thread."""
    if threading.current_thread() is not threading.main_thread():  # Python sets handlers only there
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
    """Treats SIGTERM and SIGHUP like Ctrl-C while the block runs, so that cleanup takes place."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    with handled(interrupt, (signal.SIGTERM, signal.SIGHUP)):
        yield
