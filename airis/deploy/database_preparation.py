"""How far Open WebUI's database is prepared, told while `up` waits for it: the migration of a large one takes long."""

import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from airis.cluster.kubectl import KubeObject
from airis.deploy.watch import Namespace
from airis.terminal.errors import AirisError
from components.start import PREPARE, is_preparing

QUIET_SECONDS = 20.0
"""Before that, there is nothing to tell yet."""

TELL_SECONDS = 60.0
"""How often it is told of one pod."""

_PROGRESS = re.compile(r"^airis: (.*\bfor \d+ s\b.*)$", re.MULTILINE)
"""What prepare.py and one_process.py say from time to time. Other lines may hold what is nobody's business."""


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
                said = _PROGRESS.findall(namespace.run("logs", name, f"--container={PREPARE}", "--tail=50"))
                if said and said[-1] != self._told.get(name):
                    self._told[name] = said[-1]
                    self._next[name] = now + TELL_SECONDS
                    self._tell(f"Pod/{name}: {said[-1]}")
