"""The kernel's namespaces: joins another process's network, and has children live in a process namespace of their own."""

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
    """Moves this thread, and the threads and processes that it starts, into the network of a process while the block runs.

    Raises OSError where the process is gone.
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
    """Has the next child of this process be process 1 of a namespace; when it ends, the kernel kills all that live there."""
    _check(_LIBC.unshare(_CLONE_NEWPID))
