"""Concurrent tasks with a common timeout."""

import threading
import time

import pytest

from airis.cluster.in_time import answers

pytestmark = pytest.mark.timeout(60)


def test_late_tasks_are_omitted() -> None:
    never = threading.Event()
    begun = time.monotonic()

    found = answers({"quick": lambda: 1, "late": lambda: int(never.wait(30))}, 0.3)

    never.set()
    assert found == {"quick": 1}
    assert time.monotonic() - begun < 5


def test_a_late_task_does_not_delay_the_end_of_the_program() -> None:
    blocked = threading.Event()

    answers({"late": blocked.wait}, 0.01)

    late = [each for each in threading.enumerate() if each.name != "MainThread" and not each.daemon]
    blocked.set()
    assert late == []


def test_exceptions_of_tasks_are_raised() -> None:
    def fail() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        answers({"a": fail}, 5)


def test_no_tasks_give_no_results() -> None:
    assert answers({}, 5) == {}
