"""How far Open WebUI's database is prepared, told while `up` waits for it: the migration of a large one takes long."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from airis.errors import AirisError
from airis.kubectl import KubeObject
from airis.watch import Namespace
from components.start import PREPARE, is_preparing

QUIET_SECONDS = 20.0
"""What takes no longer is not told."""

TELL_SECONDS = 60.0
"""How often it is told of one pod."""

_OURS = "airis: "
"""Begins the lines of prepare.py. Others are the application's, and may hold what is nobody's business."""


class Preparing:
    """Tells what the containers say that prepare a database, or wait for another pod that does."""

    def __init__(self, tell: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._tell = tell
        self._clock = clock
        self._next: dict[str, float] = {}
        self._told: dict[str, str] = {}

    @property
    def under_way(self) -> bool:
        """Whether there was such a container at the last look."""
        return bool(self._next)

    def look(self, namespace: Namespace, objects: Sequence[KubeObject]) -> None:
        """Takes one look at the namespace, of which `objects` are the pods, among others."""
        now = self._clock()
        pods = [each["metadata"]["name"] for each in objects if each["kind"] == "Pod" and is_preparing(each)]
        self._next = {name: self._next.get(name, now + QUIET_SECONDS) for name in pods}
        for name in pods:
            if now < self._next[name]:
                continue
            with suppress(AirisError):  # it is asked again
                said = _last_words(namespace.run("logs", name, f"--container={PREPARE}", "--tail=50"))
                if said and said != self._told.get(name):
                    self._told[name] = said
                    self._next[name] = now + TELL_SECONDS
                    self._tell(f"Pod/{name}: {said}")


def _last_words(log: str) -> str:
    return next((each.removeprefix(_OURS) for each in reversed(log.splitlines()) if each.startswith(_OURS)), "")
