"""Processes of this machine: their command lines, and the memory they use."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path


def command_lines() -> Iterator[tuple[int, str]]:
    """Process id and command line of each process; the line of a zombie is empty."""
    if Path("/proc/self").exists():
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it has ended, or belongs to another user
                yield int(entry.name), os.fsdecode((entry / "cmdline").read_bytes()).replace("\0", " ")
        return
    listed = subprocess.run(["ps", "-axww", "-o", "pid=,command="], capture_output=True, text=True, check=True).stdout
    for line in listed.splitlines():
        pid, _, command_line = line.strip().partition(" ")
        yield int(pid), command_line.strip() + " "


def resident_bytes(pid: int) -> int:
    """Resident memory of a process; 0 without /proc."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        pages = int((Path("/proc") / str(pid) / "statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return 0
