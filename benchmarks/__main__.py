"""Measures, prints a table and writes it to docs/benchmarks.md. Exit code 1 when a limit is not kept."""

import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from airis.engine_rehearsal import copied, is_available
from airis.sandbox import Sandbox, load_nodes
from airis.stacks import read_stack
from benchmarks.measure import ROOT, Row, Sample, command, python, side_by_side, table

BARE = "import pulumi, pulumi_kubernetes.apps.v1, pulumi_kubernetes.core.v1, pulumi_kubernetes.networking.v1"
"""What every Pulumi program with these typed objects imports, and nothing else."""

AIRIS = str(Path(sys.executable).with_name("airis"))


def render() -> Iterator[Row]:
    """Rendering a stack, against the imports that no program can do without."""
    bare, render, cpu, production, help_text, nothing = side_by_side(
        9,
        python("-c", BARE),
        command(AIRIS, "render", "--stack", "gpu"),
        command(AIRIS, "render", "--stack", "cpu"),
        command(AIRIS, "render", "--stack", "production"),
        command(AIRIS, "--help"),
        python("-c", "pass"),
    )
    yield Row("`airis render -s gpu`", render, "importing Pulumi and the typed modules", bare, 1.2)
    yield Row("`airis render -s production`", production, "`airis render -s cpu`", cpu, 1.5)
    yield Row("`airis --help`", help_text, "`python -c pass`", nothing, 15)


def sandbox() -> Iterator[Row]:
    """Starting the sandbox and rehearsing on it."""
    sandbox = Sandbox(f"airis-bench-{os.getpid()}")
    try:
        sandbox.up()
        sandbox.down()
        start, bare = side_by_side(3, lambda: _up_and_down(sandbox), lambda: _kwokctl_alone(sandbox))
        yield Row("sandbox start and stop", start, "`kwokctl create` and `delete cluster` alone", bare, 2)
    finally:
        sandbox.down()
    shared = Sandbox()
    ran_before = shared.status().running
    shared.up()
    shared.set_nodes(load_nodes())
    try:
        rehearsal, _ = side_by_side(3, command(AIRIS, "rehearse", "--stack", "cpu"), lambda: None)
        yield Row("`airis rehearse -s cpu`, sandbox running", rehearsal, "the whole command", None, 10)
    finally:
        if not ran_before:
            shared.down()


def _up_and_down(sandbox: Sandbox) -> None:
    sandbox.up()
    sandbox.down()


def _kwokctl_alone(sandbox: Sandbox) -> None:
    """The same control plane, started by kwokctl with nothing of ours around it."""
    with tempfile.TemporaryDirectory() as folder:
        create = sandbox.create_command(Path(folder))
        kwokctl, name = create[:2]
        environment = {"KWOK_WORKDIR": folder}
        command(*create, env=environment)()
        command(
            kwokctl,
            name,
            "delete",
            "cluster",
            f"--kubeconfig={Path(folder) / sandbox.kubeconfig.name}",
            env=environment,
        )()


def engine() -> Iterator[Row]:
    """Pulumi itself, where it and its Kubernetes provider are."""
    if not is_available():
        print("Left out: Pulumi and its Kubernetes provider are not on this machine.", file=sys.stderr, flush=True)
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
                "`pulumi preview -s gpu`, a new stack", preview, "the same of an empty Python program", empty, 1.6
            )
            seconds: list[float] = []
            for _ in range(3):
                (up,) = side_by_side(1, pulumi("gpu", "up", "--yes", "--skip-preview"))
                seconds += up.seconds
                pulumi("gpu", "destroy", "--yes", "--skip-preview", "--exclude-protected")()
            against = "the whole command; nothing is waited for but pods"
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


def tests() -> Iterator[Row]:
    """The unit tests, as one of the things that people wait for."""
    (unit,) = side_by_side(1, python("-m", "pytest", "-q", "-nauto", "tests/unit"))
    yield Row("unit tests", unit, "the whole run", None, 20)


def main() -> int:
    """Runs every benchmark; returns the exit code."""
    rows: list[Row] = []
    for part in (render, sandbox, engine, tests):
        print(f"Measuring {part.__doc__ or part.__name__} ...", file=sys.stderr, flush=True)
        rows += part()
    text = table(rows)
    print(text)
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
    (ROOT / "docs" / "benchmarks.md").write_text(
        "# Benchmarks\n\n`make bench` writes this page. Each thing is measured side by side with what it is compared to, in "
        f"one run; figures are medians of wall time. This run: {machine}.\n\n{text}\n",
        encoding="utf-8",
    )
    return 0 if all(row.ok for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
