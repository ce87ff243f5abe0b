"""Benchmarks of many tenants on many nodes: time and memory by size."""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from airis.rehearse.rehearsal import clean, rehearse_together
from airis.rehearse.sandbox import Sandbox
from airis.render.many import for_each
from airis.render.objects import manifests
from airis.stack_file.stacks import read_stacks
from benchmarks.measure import ROOT, Row, command, side_by_side
from tests.rehearsal import fleet

SIZES = ((10, 4), (100, 10), (1000, 100))
"""Nodes and tenants of each step. Ten nodes have one GPU node of each kind, which is enough for four tenants."""

TENANTS = 100

_GIB = 2**30
MEMORY_LIMIT_BYTES = 4 * _GIB


@dataclass(frozen=True)
class Growth:
    """The measurements of one size of fleet."""

    nodes: int
    tenants: int
    nodes_seconds: float
    """Until all nodes were Ready."""
    render_seconds: float
    rehearse_seconds: float
    """From the first object applied until every pod was ready."""
    clean_seconds: float
    """Until every namespace was gone."""
    sandbox_bytes: int
    """Memory of all processes of the sandbox, with all tenants in it."""
    broken: tuple[str, ...]
    """Differences from the expected result; see tests/rehearsal/fleet.py."""

    HEADINGS = (
        "nodes",
        "tenants",
        "nodes Ready",
        "render",
        "all pods ready",
        "removed again",
        "sandbox's memory",
        "as the settings say",
    )

    def cells(self) -> tuple[str, ...]:
        return (
            str(self.nodes),
            str(self.tenants),
            f"{self.nodes_seconds:.1f} s",
            f"{self.render_seconds:.1f} s",
            f"{self.rehearse_seconds:.1f} s",
            f"{self.clean_seconds:.1f} s",
            f"{self.sandbox_bytes / _GIB:.2f} GiB",
            "yes" if not self.broken else f"**no**: {'; '.join(self.broken[:3])}",
        )

    @property
    def ok(self) -> bool:
        return not self.broken and self.sandbox_bytes <= MEMORY_LIMIT_BYTES


def _project(folder: Path, count: int) -> None:
    for name in ("__main__.py", "Pulumi.yaml"):
        (folder / name).symlink_to(ROOT / name)
    fleet.tenants(folder, count)


def render(airis: str) -> Iterator[Row]:
    """Rendering a hundred tenants."""
    with tempfile.TemporaryDirectory(prefix="airis-bench-") as name:
        folder = Path(name)
        _project(folder, TENANTS)
        one, all_ = side_by_side(
            3,
            command(airis, "render", "--stack", "dept-001", folder=folder),
            command(airis, "render", "--stack", "dept-*", folder=folder),
        )
        yield Row(f"`airis render -s 'dept-*'`, {TENANTS} tenants", all_, "one of them", one, 10)


def growth() -> Iterator[Growth]:
    """Rehearses fleets of growing size on one sandbox."""
    sandbox = Sandbox(f"airis-bench-{os.getpid()}")
    try:
        sandbox.up()
        for nodes, tenants in SIZES:
            print(f"  {nodes} nodes, {tenants} tenants ...", file=sys.stderr, flush=True)
            with tempfile.TemporaryDirectory(prefix="airis-bench-") as name:
                _project(Path(name), tenants)
                yield _grown(sandbox, Path(name), nodes, tenants)
    finally:
        sandbox.down()


def _grown(sandbox: Sandbox, project: Path, nodes: int, tenants: int) -> Growth:
    times = [time.perf_counter()]
    sandbox.set_nodes(fleet.nodes(nodes))
    times.append(time.perf_counter())
    stacks = read_stacks(["dept-*"], project)
    rendered = for_each(stacks, manifests, f"Rendering {tenants} tenants")
    times.append(time.perf_counter())
    names = [each.name for each in stacks]
    verdicts = rehearse_together(dict(zip(names, rendered, strict=True)), sandbox.kubectl, timeout_seconds=600)
    times.append(time.perf_counter())
    late = [f"{each.stack} does not come up" for each in verdicts if not each.ok]
    wrong = (*late, *fleet.broken(sandbox.kubectl, names))
    memory, before = sandbox.status().memory_bytes, time.perf_counter()
    clean(sandbox.kubectl)
    gone = time.perf_counter() - before
    return Growth(nodes, tenants, times[1] - times[0], times[2] - times[1], times[3] - times[2], gone, memory, wrong)
