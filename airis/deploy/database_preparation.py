"""Progress of Open WebUI's database migration, reported while `up` waits: a large database takes long to migrate."""

import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from airis.cluster.kubectl import KubeObject
from airis.deploy.watch import Namespace
from airis.terminal.errors import AirisError
from components.start import PREPARE, is_preparing

QUIET_SECONDS = 20.0
"""A pod that takes less time than this is not reported."""

TELL_SECONDS = 60.0
"""The interval between two reports on one pod."""

_PROGRESS = re.compile(r"^airis: (.*\bfor \d+ s\b.*)$", re.MULTILINE)
"""The progress lines of prepare.py and one_process.py. Other lines of the log may hold private data."""


class Preparing:
    """Reports the progress of init containers that prepare a database, or wait for another pod that prepares it."""

    def __init__(self, tell: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._tell = tell
        self._clock = clock
        self._next: dict[str, float] = {}
        self._told: dict[str, str] = {}

    @property
    def under_way(self) -> bool:
        """Whether such a container was running at the last observation."""
        return bool(self._next)

    def look(self, namespace: Namespace, objects: Sequence[KubeObject]) -> None:
        """Observes the namespace once. `objects` are its objects, pods included."""
        now = self._clock()
        pods = [each["metadata"]["name"] for each in objects if each["kind"] == "Pod" and is_preparing(each)]
        self._next = {name: self._next.get(name, now + QUIET_SECONDS) for name in pods}
        for name in pods:
            if now < self._next[name]:
                continue
            with suppress(AirisError):  # retried at the next observation
                said = _PROGRESS.findall(namespace.run("logs", name, f"--container={PREPARE}", "--tail=50"))
                if said and said[-1] != self._told.get(name):
                    self._told[name] = said[-1]
                    self._next[name] = now + TELL_SECONDS
                    self._tell(f"Pod/{name}: {said[-1]}")
