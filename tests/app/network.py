"""A network of the tests' own, as a pod has one: no port is taken, and nothing beyond this machine is in reach."""

import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

_CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1


@contextmanager
def isolated() -> Iterator[None]:
    """Moves this thread, and the threads and processes that it starts, into a new network with nothing but `lo`."""
    libc = ctypes.CDLL(None, use_errno=True)

    def call(code: int) -> None:
        if code != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        call(libc.unshare(_CLONE_NEWNET))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", _IFF_UP))
        yield
    finally:
        call(libc.setns(before, _CLONE_NEWNET))
        os.close(before)
