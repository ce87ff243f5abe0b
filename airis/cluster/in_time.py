"""Runs tasks concurrently, with a common timeout."""

import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


def answers(tasks: Mapping[Key, Callable[[], Value]], seconds: float) -> dict[Key, Value]:
    """The results of the tasks by key, without those that take longer than `seconds`.

    Late tasks continue in the background, and do not delay the end of the program: a resolver or server may take minutes.
    Exceptions of tasks are raised here.
    """
    ended: queue.SimpleQueue[tuple[Key, Value | None, Exception | None]] = queue.SimpleQueue()

    def run(key: Key, task: Callable[[], Value]) -> None:
        try:
            ended.put((key, task(), None))
        except Exception as error:  # re-raised by the waiting thread
            ended.put((key, None, error))

    for key, task in tasks.items():
        threading.Thread(target=run, args=(key, task), daemon=True).start()
    deadline = time.monotonic() + seconds
    found: dict[Key, Value] = {}
    for _ in tasks:
        try:
            key, value, error = ended.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        if error is not None:
            raise error
        found[key] = value  # type: ignore[assignment]
    return found
