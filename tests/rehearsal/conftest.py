"""Fixtures: one sandbox for all rehearsal tests of a run, and the same one swept clean for a single test."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from airis.cluster.programs.cache import cache_root
from airis.rehearse.rehearsal import clean
from airis.rehearse.sandbox import Sandbox, load_nodes

_OF_A_TEST_RUN = re.compile(r"airis-(?:test|life|doctor|exec|faults|engine)-(\d+)")
"""The name of a sandbox that tests start: the number is the process id of its test run."""


def remove(sandbox: Sandbox) -> None:
    """Takes it down, and its locks with it: the name has this run's process id in it, and is never used again."""
    sandbox.down()
    for lock in sandbox.kubeconfig.parent.glob(f"{sandbox.name}.lock*"):
        lock.unlink(missing_ok=True)


def remove_abandoned(root: Path | None = None) -> None:
    """Takes down the sandboxes of test runs that were killed, and so could not do it themselves. `root` is the cache folder."""
    for folder in ((root or cache_root()) / "clusters" / "clusters").glob("*"):
        found = _OF_A_TEST_RUN.fullmatch(folder.name)
        if found and not _lives(int(found[1])):
            remove(Sandbox(folder.name, root))


def _lives(pid: int) -> bool:
    with suppress(PermissionError):  # it lives, and is somebody else's
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
    return True


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """A running sandbox of this run alone. Where its programs are not cached yet, the first test waits for them."""
    remove_abandoned()
    sandbox = Sandbox(f"airis-test-{os.getpid()}")
    try:
        sandbox.up()
        yield sandbox
    finally:
        remove(sandbox)


@pytest.fixture
def clean_sandbox(sandbox: Sandbox) -> Sandbox:
    """The sandbox with nothing in it but the default nodes, whatever the test before left behind."""
    sandbox.up()
    clean(sandbox.kubectl)
    sandbox.set_nodes(load_nodes())
    return sandbox
