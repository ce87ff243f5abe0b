"""The control group of all pods of a node. Unlike processes and mounts, the kernel does not remove it with the namespaces."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

_SECONDS = 10.0
_WEIGHTS = {"cpu.shares": "8192", "cpu.weight": "313"}
"""The CPU weight that a kubelet sets for the pods of a node with eight cores, by the file of each control group version.

The kubelet's group is below this one. With the kernel's default, all pods together would get the CPU share of one process.
"""


def hierarchies() -> list[Path]:
    """The mount points of control groups: one in version 2, one for each controller in version 1."""
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    return [Path(place) for _, place, kind, *_ in map(str.split, mounts) if kind in ("cgroup", "cgroup2")]


def make(name: str) -> None:
    """Creates it. Raises OSError if that is not permitted."""
    for hierarchy in hierarchies():
        (hierarchy / name).mkdir(exist_ok=True)
        for file, weight in _WEIGHTS.items():
            if (hierarchy / name / file).exists():
                (hierarchy / name / file).write_text(weight, encoding="utf-8")


def remove(name: str) -> None:
    """Removes it with its subgroups and processes. Raises OSError if that takes longer than ten seconds."""
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
                if pid != "0":  # 0: a process of another PID namespace; killing 0 would kill this process group
                    os.kill(int(pid), signal.SIGKILL)
        Path(folder).rmdir()
