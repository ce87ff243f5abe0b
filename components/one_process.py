"""Runs a command as the only process that uses a volume: python3 one_process.py FILE COMMAND...

It waits until no other process has FILE locked, locks it, and becomes the command: the kernel lets go when that has ended,
however it ended. Pods that mount a ReadWriteOnce volume together are on one node, and see each other's locks; so do clients of
NFS 4. On a file system without locks, the command runs all the same.
"""

import fcntl
import os
import signal
import sys
import time

TELL_SECONDS = 30
"""How often the log says that the wait goes on."""


def hold(path: str) -> None:
    """Locks the file for this process and what becomes of it. Raises OSError where it cannot be locked."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError:  # it belongs to another user, who ran the pod before
        descriptor = os.open(path, os.O_RDONLY)
    os.set_inheritable(descriptor, True)
    if _is_locked(descriptor):
        return
    print("airis: another pod still uses the volume: waiting until it has ended", flush=True)
    started = told = time.monotonic()
    while not _is_locked(descriptor):
        time.sleep(0.2)
        if (now := time.monotonic()) >= told + TELL_SECONDS:
            told = now
            print(f"airis: another pod still uses the volume: waiting for {now - started:.0f} s", flush=True)


def _is_locked(descriptor: int) -> bool:
    """Locks the file, unless another process has. Raises OSError where it cannot be locked."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def main(path: str, *command: str) -> None:
    """Waits, locks, and becomes the command."""
    # The first process of a container has no default action for signals: without this, it could not be ended while it waits
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        hold(path)
    except OSError as error:
        print(f"airis: {path} cannot be locked, so that nothing keeps a second pod off the volume: {error}", flush=True)
    os.execvp(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main(*sys.argv[1:])
