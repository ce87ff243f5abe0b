"""Linux namespaces: joins another process's network namespace, and starts child processes in a new PID namespace."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

_CLONE_NEWPID = 0x20000000
_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


def _check(code: int) -> None:
    if code != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


@contextmanager
def network_of(pid: int) -> Iterator[None]:
    """Moves this thread, and its new threads and processes, into the network namespace of a process while the block runs.

    Raises OSError if the process has ended.
    """
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        there = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
        try:
            _check(_LIBC.setns(there, _CLONE_NEWNET))
        finally:
            os.close(there)
        yield
    finally:
        _check(_LIBC.setns(before, _CLONE_NEWNET))
        os.close(before)


def next_child_is_first() -> None:
    """Makes the next child of this process process 1 of a PID namespace; when it ends, the kernel kills all processes there."""
    _check(_LIBC.unshare(_CLONE_NEWPID))
