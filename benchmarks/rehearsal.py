"""Benchmarks of the sandbox, and of a rehearsal on it."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from airis.rehearse.sandbox import Sandbox, load_nodes
from benchmarks.commands import AIRIS
from benchmarks.measure import Row, command, side_by_side


def sandbox() -> Iterator[Row]:
    """the sandbox"""
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
    """The same control plane, started by kwokctl alone."""
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
