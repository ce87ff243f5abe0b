"""The control group that all pods of a node are in. Unlike processes and mounts, the kernel does not end it with them."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

_SECONDS = 10.0
_WEIGHTS = {"cpu.shares": "8192", "cpu.weight": "313"}
"""What a kubelet gives the group of all pods on a node with eight cores, by the file of each version of control groups.

That group is below this one. With the kernel's default, all pods together would get as much of a busy machine as one process.
"""


def hierarchies() -> list[Path]:
    """Where control groups are mounted: one place in version 2, one for each controller in version 1."""
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    return [Path(place) for _, place, kind, *_ in map(str.split, mounts) if kind in ("cgroup", "cgroup2")]


def make(name: str) -> None:
    """Makes it. Raises OSError where that is not allowed."""
    for hierarchy in hierarchies():
        (hierarchy / name).mkdir(exist_ok=True)
        for file, weight in _WEIGHTS.items():
            if (hierarchy / name / file).exists():
                (hierarchy / name / file).write_text(weight, encoding="utf-8")


def remove(name: str) -> None:
    """Removes it with all that it holds, processes included. Raises OSError when it does not go within ten seconds."""
    deadline = time.monotonic() + _SECONDS
    for top in [hierarchy / name for hierarchy in hierarchies()]:
        while top.is_dir():
            try:
                _remove(top)
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)


def _remove(top: Path) -> None:
    for folder, _, _ in os.walk(top, topdown=False):
        for pid in (Path(folder) / "cgroup.procs").read_text().split():
            with suppress(ProcessLookupError):
                if pid != "0":  # one of a process namespace that is not seen from here; to kill 0 is to kill oneself
                    os.kill(int(pid), signal.SIGKILL)
        Path(folder).rmdir()
