"""Benchmarks of Pulumi, if it and its Kubernetes provider are installed."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from airis.rehearse.engine_rehearsal import copied, is_available
from airis.rehearse.sandbox import Sandbox, load_nodes
from airis.stack_file.stacks import read_stack
from benchmarks.measure import ROOT, Row, Sample, command, side_by_side


def engine() -> Iterator[Row]:
    """Pulumi"""
    if not is_available():
        print("Skipped: Pulumi or its Kubernetes provider is not installed.", file=sys.stderr, flush=True)
        return
    sandbox = Sandbox(f"airis-bench-{os.getpid()}")
    with tempfile.TemporaryDirectory(prefix="airis-bench-") as name:
        folder = Path(name)
        for each in ("gpu", "empty", "state"):
            (folder / each).mkdir()
        copied(read_stack("gpu", ROOT), folder / "gpu", 60)
        _empty_program(folder / "empty")
        environment = {
            "KUBECONFIG": str(sandbox.kubeconfig),
            "PULUMI_BACKEND_URL": (folder / "state").as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "benchmark",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }

        def pulumi(project: str, *arguments: str) -> Callable[[], object]:
            where = ("--cwd", str(folder / project), "--non-interactive")
            return command("pulumi", *arguments, "--stack", "gpu", *where, env=environment)

        try:
            sandbox.up()
            sandbox.set_nodes(load_nodes())
            for project in ("gpu", "empty"):
                command("pulumi", "stack", "init", "gpu", "--cwd", str(folder / project), env=environment)()
            preview, empty = side_by_side(5, pulumi("gpu", "preview"), pulumi("empty", "preview"))
            yield Row(
                "`pulumi preview -s gpu`, a new stack", preview, "the same of an empty Python program", empty, 1.5
            )
            seconds: list[float] = []
            for _ in range(3):
                (up,) = side_by_side(1, pulumi("gpu", "up", "--yes", "--skip-preview"))
                seconds += up.seconds
                pulumi("gpu", "destroy", "--yes", "--skip-preview", "--exclude-protected")()
            against = "the whole command; it waits for pods only"
            yield Row("`pulumi up -s gpu` on the sandbox", Sample(tuple(seconds)), against, None, 5)
        finally:
            sandbox.down()


def _empty_program(folder: Path) -> None:
    """A Pulumi program that does nothing, in the same environment."""
    (folder / "__main__.py").touch()
    (folder / "Pulumi.yaml").write_text(
        "name: empty\nruntime: {name: python, options: {toolchain: pip, virtualenv: .venv}}\n"
    )
    (folder / ".venv").symlink_to(sys.prefix)
