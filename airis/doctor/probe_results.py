"""The results of the pods of `airis doctor --probe`, as plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Role(StrEnum):
    """Which of the stack's pods a probe pod stands in for."""

    WEBUI = "webui"
    OLLAMA = "ollama"
    STRANGER = "stranger"
    """Without the stack's labels: no NetworkPolicy admits it."""


@dataclass(frozen=True)
class Reached:
    """The result for one target."""

    role: Role
    key: str
    what: str
    at: str
    addresses: Sequence[str]
    passed: Sequence[str]
    failed: str
    """The step that failed; empty if none did."""
    why: str
    note: str


@dataclass(frozen=True)
class Probed:
    """The results of all probe pods."""

    reached: Sequence[Reached] = ()
    silent: Mapping[Role, str] = field(default_factory=dict)
    """Why a pod reported nothing."""
    guarded: str = ""
    """The address that NetworkPolicies protect; empty if the stack has none."""
    policies: bool = False
    """Whether the stack's NetworkPolicies are in the cluster."""
    others: Sequence[str] = ()
    """NetworkPolicies in the namespace that are not the stack's, and may admit further traffic."""
    obstacle: str = ""
    """Why no pod could be created."""

    def of(self, role: Role) -> list[Reached]:
        """The results of the pod with this role."""
        return [each for each in self.reached if each.role is role]
