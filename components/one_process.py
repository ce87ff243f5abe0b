"""Runs a command as the only process that uses a volume: python3 one_process.py FILE COMMAND...

It waits until no other process has FILE locked, locks it, and executes the command. The kernel releases the lock when the
command has ended, however it ended. Pods that share a ReadWriteOnce volume are on one node, and see each other's locks; so do
clients of NFS 4. On a file system without locks, the command runs without one.
"""

import fcntl
import os
import signal
import sys
import time

TELL_SECONDS = 30
"""How often the log reports that the wait continues."""


def hold(path: str) -> None:
    """Locks the file for this process and the command that it executes. Raises OSError if it cannot be locked."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError:  # it belongs to another user, under which the pod ran before
        descriptor = os.open(path, os.O_RDONLY)
    os.set_inheritable(descriptor, True)
    if _is_locked(descriptor):
        return
    print("airis: another pod still uses the volume: waiting until it stops", flush=True)
    started = told = time.monotonic()
    while not _is_locked(descriptor):
        time.sleep(0.2)
        if (now := time.monotonic()) >= told + TELL_SECONDS:
            told = now
            print(f"airis: another pod still uses the volume: waiting for {now - started:.0f} s", flush=True)


def _is_locked(descriptor: int) -> bool:
    """Locks the file, unless another process has. Raises OSError if it cannot be locked."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def main(path: str, *command: str) -> None:
    """Waits, locks, and executes the command."""
    # The first process of a container has no default signal handlers: without this, it could not be stopped while it waits
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        hold(path)
    except OSError as error:
        print(
            f"airis: {path} cannot be locked, so a second pod could use the volume at the same time: {error}",
            flush=True,
        )
    os.execvp(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main(*sys.argv[1:])
