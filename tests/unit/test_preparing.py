"""What `up` tells of a database that is being prepared: how far it is, from time to time, and nothing of a quick one."""

from typing import Any

import pytest

from airis.cluster.kubectl import KubectlError
from airis.deploy.database_preparation import QUIET_SECONDS, TELL_SECONDS, Preparing

pytestmark = pytest.mark.timeout(60)

LOG = """\
airis: preparing the database for this release
INFO  [alembic.runtime.migration] Running upgrade a -> b, add it
airis: preparing the database for 30 s, 1 of 2: Running upgrade a -> b, add it
[parameters: private]
"""
SAID = "preparing the database for 30 s, 1 of 2: Running upgrade a -> b, add it"


def pod(name: str, state: str = "running") -> dict[str, Any]:
    return {
        "kind": "Pod",
        "metadata": {"name": name},
        "status": {"initContainerStatuses": [{"name": "prepare", "state": {state: {}}}]},
    }


class Namespace:
    """The logs of the pods."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.log = LOG

    def get(self, *_: str) -> list[dict[str, Any]]:
        raise AssertionError("nobody asks twice for the objects")

    def run(self, *args: str) -> str:
        self.asked.append(args)
        if not self.log:
            raise KubectlError("no answer")
        return self.log


class Looking:
    """Looks at pods at given times, and keeps what was told."""

    def __init__(self) -> None:
        self.now, self.told, self.namespace = 0.0, list[str](), Namespace()
        self.preparing = Preparing(self.told.append, lambda: self.now)

    def at(self, seconds: float, *pods: dict[str, Any]) -> list[str]:
        self.now = seconds
        self.preparing.look(self.namespace, [{"kind": "Event", "metadata": {"name": "x"}}, *pods])
        return self.told


@pytest.fixture
def looking() -> Looking:
    return Looking()


def test_what_is_quick_is_not_told(looking: Looking) -> None:
    assert looking.at(0, pod("airis-1")) == []
    assert looking.preparing.under_way
    assert looking.at(QUIET_SECONDS - 1, pod("airis-1")) == []
    assert looking.at(QUIET_SECONDS, pod("airis-1", "terminated")) == []
    assert not looking.preparing.under_way
    assert looking.namespace.asked == []


def test_what_takes_long_is_told_in_its_own_words_and_in_no_others(looking: Looking) -> None:
    looking.at(0, pod("airis-1"), pod("ollama-0", "terminated"))
    assert looking.at(QUIET_SECONDS, pod("airis-1")) == [f"Pod/airis-1: {SAID}"]
    assert looking.namespace.asked == [("logs", "airis-1", "--container=prepare", "--tail=50")]


def test_it_is_told_anew_when_there_is_something_new(looking: Looking) -> None:
    for seconds in (0, QUIET_SECONDS, QUIET_SECONDS + TELL_SECONDS):
        looking.at(seconds, pod("airis-1"))
    assert len(looking.told) == 1
    looking.namespace.log += "airis: preparing the database for 60 s\n"
    looking.at(QUIET_SECONDS + TELL_SECONDS + 1, pod("airis-1"))
    assert looking.told[1:] == ["Pod/airis-1: preparing the database for 60 s"]
    looking.namespace.log += "airis: preparing the database for 90 s\n"
    looking.at(QUIET_SECONDS + 2 * TELL_SECONDS, pod("airis-1"))
    assert len(looking.told) == 2  # not that often


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("airis: another pod is preparing the database: waiting for 30 s", True),
        ("airis: another pod still uses the volume: waiting for 30 s", True),
        ("airis: preparing the database for this release", False),
        ("airis: revisions to run: 2", False),
        ("slept for 30 s", False),
    ],
)
def test_only_progress_is_told(line: str, told: bool, looking: Looking) -> None:
    looking.namespace.log = f"{line}\n"
    looking.at(0, pod("airis-1"))
    assert looking.at(QUIET_SECONDS, pod("airis-1")) == ([f"Pod/airis-1: {line[7:]}"] if told else [])


def test_a_log_that_cannot_be_read_is_read_later(looking: Looking) -> None:
    looking.namespace.log = ""
    looking.at(0, pod("airis-1"))
    assert looking.at(QUIET_SECONDS, pod("airis-1")) == []
    looking.namespace.log = LOG
    assert looking.at(QUIET_SECONDS + 1, pod("airis-1")) == [f"Pod/airis-1: {SAID}"]
