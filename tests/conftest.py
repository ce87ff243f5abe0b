"""Distributes tests over processes: `pytest --numprocesses=6 --dist=loadscope --no-loadscope-reorder`, as `make test` does."""

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

TOGETHER = [
    f"tests/{each}.py"
    for each in (
        "engine/test_story",
        "rehearsal/test_faults",
        "rehearsal/test_snapshot",
        "rehearsal/test_gpu_nodes",
        "rehearsal/test_sandbox",
        "rehearsal/test_soak",
        "engine/test_adopt",
        "engine/test_faults",
        "engine/test_rehearsal",
        "rehearsal/test_doctor",
        "rehearsal/test_backup",
        "rehearsal/test_any_settings",
        "scanners/test_scanners",
        "docs/test_site",
        "docs/test_extending",
        "docs/test_pictures",
        "releases/test_variables",
        "cluster/test_team",
        "cluster/test_kept_data",
        "cluster/test_hard_times",
        "cluster/test_webui_pod",
        "cluster/test_leftovers",
    )
]
"""Files whose tests share what takes long to make, such as a sandbox of their own; those that take longest begin first."""


class _Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist has no types
    """Keeps the tests of each of those files in one process; every other test goes to whichever is free."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return file if file in TOGETHER else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling | None:
    """Another kind of distribution (`--dist`) stays as it is."""
    return _Scheduling(config, log) if config.getoption("dist") == "loadscope" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts those files first, in their order; everything else keeps its own."""
    places = {file: place for place, file in enumerate(TOGETHER)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(places)))
