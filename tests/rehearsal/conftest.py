"""Fixtures: one sandbox for all rehearsal tests of a run, and the same one swept clean for a single test."""

import os
from collections.abc import Iterator

import pytest

from airis.rehearsal import clean
from airis.sandbox import Sandbox, load_nodes


def remove(sandbox: Sandbox) -> None:
    """Takes it down, and its locks with it: the name has this run's process id in it, and is never used again."""
    sandbox.down()
    for lock in sandbox.kubeconfig.parent.glob(f"{sandbox.name}.lock*"):
        lock.unlink()


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """A running sandbox of this run alone. Where its programs are not cached yet, the first test waits for them."""
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
