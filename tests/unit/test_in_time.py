"""Several questions at once, with a limit."""

import threading
import time

import pytest

from airis.cluster.in_time import answers

pytestmark = pytest.mark.timeout(60)


def test_what_is_late_is_left_out_and_not_waited_for() -> None:
    never = threading.Event()
    begun = time.monotonic()

    found = answers({"quick": lambda: 1, "late": lambda: int(never.wait(30))}, 0.3)

    never.set()
    assert found == {"quick": 1}
    assert time.monotonic() - begun < 5


def test_a_late_one_does_not_hold_up_the_end_of_the_program() -> None:
    blocked = threading.Event()

    answers({"late": blocked.wait}, 0.01)

    late = [each for each in threading.enumerate() if each.name != "MainThread" and not each.daemon]
    blocked.set()
    assert late == []


def test_what_a_task_raises_is_raised() -> None:
    def fail() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        answers({"a": fail}, 5)


def test_nothing_to_ask() -> None:
    assert answers({}, 5) == {}
