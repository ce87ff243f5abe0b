"""Keeps a node for a process: `python -m tests.cluster.node.keeper ROOT`, with the programs on PATH.

It creates namespaces for processes, mounts and the network, and starts the node in them. When its stdin ends, because the
process that started it closes it or dies, it kills the node's process 1, and the kernel ends all processes in the namespaces.
It then removes what the kernel does not: control groups and files. If it is killed too, the next keeper does that.
"""

import json
import os
import select
import shutil
import subprocess
import sys
from itertools import count
from pathlib import Path

from filelock import FileLock, Timeout

from tests.cluster.node import groups
from tests.cluster.node.namespaces import next_child_is_first
from tests.cluster.node.places import Slot

_PATIENCE_SECONDS = 3.0
"""How long to wait for the cleanup of another run, whose slot already has the images."""


def main() -> None:
    """Runs one node, in the first free slot below ROOT."""
    slot, lock = _take(Path(sys.argv[1]))
    with lock:
        _sweep(slot)
        shutil.rmtree(slot.logs, ignore_errors=True)
        for folder in (slot.run, slot.logs):
            folder.mkdir(parents=True)
        try:
            groups.make(slot.group)
            _run(slot)
        finally:
            _sweep(slot)


def _take(root: Path) -> tuple[Slot, FileLock]:
    root.mkdir(parents=True, exist_ok=True)
    for number in count():
        lock = FileLock(root / f"{number}.lock")
        try:
            lock.acquire(timeout=0 if number else _PATIENCE_SECONDS)
        except Timeout:
            continue
        return Slot(root / str(number)), lock
    raise AssertionError("there are more numbers")


def _run(slot: Slot) -> None:
    next_child_is_first()
    node = subprocess.Popen(
        [
            *("setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--mount-proc", "--net", "--ipc"),
            *(sys.executable, "-m", "tests.cluster.node.inside", str(slot.folder), slot.group),
        ],
        stdin=subprocess.DEVNULL,
    )
    print(json.dumps(["slot", str(slot.folder), node.pid]), flush=True)
    select.select([sys.stdin, os.pidfd_open(node.pid)], [], [])
    node.kill()
    node.wait()  # until all processes in the namespace have ended


def _sweep(slot: Slot) -> None:
    groups.remove(slot.group)
    shutil.rmtree(slot.run, ignore_errors=True)


if __name__ == "__main__":
    main()
