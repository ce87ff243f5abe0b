"""The control group that all pods of a node are in. Unlike processes and mounts, the kernel does not end it with them."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

_SECONDS = 10.0


def hierarchies() -> list[Path]:
    """Where control groups are mounted: one place in version 2, one for each controller in version 1."""
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    return [Path(place) for _, place, kind, *_ in map(str.split, mounts) if kind in ("cgroup", "cgroup2")]


def make(name: str) -> None:
    """Makes it. Raises OSError where that is not allowed."""
    for hierarchy in hierarchies():
        (hierarchy / name).mkdir(exist_ok=True)


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
