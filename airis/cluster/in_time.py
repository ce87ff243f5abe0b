"""Asks several at once, and waits for the answers no longer than it may."""

import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


def answers(tasks: Mapping[Key, Callable[[], Value]], seconds: float) -> dict[Key, Value]:
    """What the tasks return, by the same keys, without those that take longer than `seconds`.

    Those go on, and nothing waits for them, not even the end of the program: a resolver or a server may take minutes. What a
    task raises is raised here.
    """
    ended: queue.SimpleQueue[tuple[Key, Value | None, Exception | None]] = queue.SimpleQueue()

    def run(key: Key, task: Callable[[], Value]) -> None:
        try:
            ended.put((key, task(), None))
        except Exception as error:  # raised again where it is waited for
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
