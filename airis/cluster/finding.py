"""The state of an object in a cluster, as plain values."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """The state of an object."""

    REFUSED = "refused"
    """The API server rejected it."""
    PENDING = "pending"
    """Admitted, but not ready or bound."""
    ADMITTED = "admitted"
    """Admitted, and complete."""
    BOUND = "bound"
    """A claim that has its volume."""
    READY = "ready"
    """A workload, pod, namespace or Service that is ready."""


@dataclass(frozen=True)
class Finding:
    """The state of one object, and the reason."""

    kind: str
    name: str
    namespace: str
    state: State
    node: str = ""
    """The node that a pod was scheduled on."""
    reason: str = ""
    """Why it is not complete: the message of the API server, scheduler or controller."""

    @property
    def ok(self) -> bool:
        """Whether it is complete."""
        return self.state not in (State.REFUSED, State.PENDING)
