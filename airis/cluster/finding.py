"""What became of an object in a cluster, as plain values."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How far an object came."""

    REFUSED = "refused"
    """The API server did not take it."""
    PENDING = "pending"
    """It was admitted, and then nothing came of it."""
    ADMITTED = "admitted"
    """The API server took it, and there is nothing more to wait for."""
    BOUND = "bound"
    """A claim that has its volume."""
    READY = "ready"
    """A workload, pod, namespace or Service that works."""


@dataclass(frozen=True)
class Finding:
    """What became of one object."""

    kind: str
    name: str
    namespace: str
    state: State
    node: str = ""
    """The node that a pod was scheduled on."""
    reason: str = ""
    """Why it went no further, in the words of whoever decided so: API server, scheduler or controller."""

    @property
    def ok(self) -> bool:
        """Whether it came as far as it can."""
        return self.state not in (State.REFUSED, State.PENDING)
