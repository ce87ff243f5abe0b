"""Locks between processes, which say who is waited for. A holder that dies leaves none behind (flock)."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from airis.terminal.errors import EnvironmentProblem

PATIENCE_SECONDS = 0.3
"""How long a wait may last before it is worth a line on stderr."""


def lock_at(path: Path) -> FileLock:
    """Returns the lock that lies at `path`. One instance can be taken again by the thread that has it.

    Raises EnvironmentProblem when its folder can neither be found nor made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentProblem(
            f"cannot make the folder {path.parent}: {error.strerror}", "choose another one with AIRIS_CACHE"
        ) from None
    return FileLock(path)


@contextmanager
def held(lock: FileLock, what: str, timeout: float = -1) -> Iterator[None]:
    """Holds `lock` while the block runs.

    `what` says what the holder does, for the line that is printed to stderr when this has to wait. Raises
    EnvironmentProblem, which names the holder's process, when `timeout` seconds (-1: for ever) do not suffice.
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
        # Only read by those that wait, so a stale one (its writer is gone) does no harm.
        holder.write_text(str(os.getpid()))
        yield
    finally:
        lock.release()


def _name(holder: Path) -> str:
    pid = ""
    with suppress(OSError):
        pid = holder.read_text().strip()
    return f"process {pid}" if pid else "another process"
