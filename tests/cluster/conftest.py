"""Fixtures for stories on a real cluster, and a line at the end that reports whether they ran.

How to write a story: docs/extending.md, "A story on a real cluster".
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from airis.terminal.errors import EnvironmentProblem
from tests.cluster import target
from tests.cluster.stacks import DEPLOYED, WAYS, Stack, new_namespace, new_stack
from tests.cluster.target import Target

FOLDER = Path(__file__).parent

STORY_SECONDS = 600
"""The default time limit of a test."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = [item for item in items if FOLDER in item.path.parents]
    reason = target.obstacle() if here else None
    for item in here:
        if reason:
            item.add_marker(pytest.mark.skip(reason=f"NO REAL CLUSTER: {reason}"))
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(STORY_SECONDS))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    def here(outcome: str) -> int:
        reports = terminalreporter.getreports(outcome)
        return sum(each.nodeid.startswith("tests/cluster/") and each.when in ("call", "setup") for each in reports)

    ran, skipped = here("passed") + here("failed") + here("error"), here("skipped")
    if skipped and not ran:
        reason = target.obstacle() or "see above"
        terminalreporter.write_line(f"CLUSTER TESTS: NONE RAN, {skipped} were skipped: {reason}", red=True, bold=True)
    elif ran:
        terminalreporter.write_line(f"CLUSTER TESTS: {ran} ran on a real cluster, {skipped} were skipped.")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Target]:
    """The cluster, once for all tests. While it runs, tests are in its network namespace, not in the machine's."""
    try:
        with target.target() as found:
            yield found
            assert DEPLOYED.surprises(found) == []  # each stack that came up also comes up in a rehearsal
    except EnvironmentProblem as problem:
        pytest.fail(str(problem))


@pytest.fixture(autouse=True)
def still_running(request: pytest.FixtureRequest) -> Iterator[None]:
    """Reports a daemon of the node that has ended; otherwise, every later test would only time out."""
    yield
    if "cluster" in request.fixturenames and (node := request.getfixturevalue("cluster").node):
        node.check()


@pytest.fixture
def namespace(cluster: Target) -> Iterator[str]:
    """A unique name for a namespace. If the test creates it, it is deleted afterwards, with its volumes."""
    with new_namespace(cluster) as name:
        yield name


@pytest.fixture(params=WAYS)
def stack(request: pytest.FixtureRequest, cluster: Target, tmp_path: Path) -> Iterator[Stack]:
    """A stack to deploy with `stack.up(...)`: with the Pulumi engine if it is on PATH, and always with a plain apply."""
    with new_stack(request.param, cluster, tmp_path) as made:
        yield made
