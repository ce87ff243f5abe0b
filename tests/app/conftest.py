"""The installed application. If it cannot be installed, one line reports it."""

from pathlib import Path

import pytest

from tests.app import environment


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips all tests, with one line, if they cannot run."""
    here = [item for item in items if item.path.is_relative_to(Path(__file__).parent)]
    if here and (reason := environment.obstacle()):
        for item in here:
            item.add_marker(pytest.mark.skip(reason=f"THE REAL APPLICATION WAS NOT ASKED: {reason}"))


@pytest.fixture(scope="package")
def installed() -> environment.Environment:
    """Open WebUI; the first run installs it."""
    return environment.ensure()
