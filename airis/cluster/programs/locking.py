"""Locks between processes, which report the process that holds them. The lock of a dead process is released (flock)."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from airis.terminal.errors import EnvironmentProblem

PATIENCE_SECONDS = 0.3
"""How long to wait before printing a message to stderr."""


def lock_at(path: Path) -> FileLock:
    """Returns the lock at `path`, which is reentrant for the thread that holds it.

    Raises EnvironmentProblem if its folder does not exist and cannot be created.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentProblem(
            f"cannot create the folder {path.parent}: {error.strerror}", "set another one with AIRIS_CACHE"
        ) from None
    return FileLock(path)


@contextmanager
def held(lock: FileLock, what: str, timeout: float = -1) -> Iterator[None]:
    """Holds `lock` while the block runs.

    `what` describes what the holder does, for the message on stderr when this has to wait. Raises EnvironmentProblem, naming
    the holder's process, after `timeout` seconds (-1: never).
    """
    holder = Path(f"{lock.lock_file}.pid")
    try:
        lock.acquire(timeout=PATIENCE_SECONDS)
    except Timeout:
        print(f"Waiting for {_name(holder)}: {what} ...", file=sys.stderr, flush=True)
        try:
            lock.acquire(timeout=timeout)
        except Timeout:
            raise EnvironmentProblem(
                f"waited {timeout:g} s for {_name(holder)}: {what}",
                f"let it finish, or end it; the lock is {lock.lock_file}",
            ) from None
    try:
        # Only read by waiting processes, so a stale file does no harm
        holder.write_text(str(os.getpid()))
        yield
    finally:
        lock.release()


def _name(holder: Path) -> str:
    pid = ""
    with suppress(OSError):
        pid = holder.read_text().strip()
    return f"process {pid}" if pid else "another process"
