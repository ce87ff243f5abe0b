"""What the pods of `airis doctor --probe` report, as plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Role(StrEnum):
    """Whose place a pod of the probe takes."""

    WEBUI = "webui"
    OLLAMA = "ollama"
    STRANGER = "stranger"
    """No part of the stack: no policy lets it through."""


@dataclass(frozen=True)
class Reached:
    """What became of one target."""

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
    """What the pods said."""

    reached: Sequence[Reached] = ()
    silent: Mapping[Role, str] = field(default_factory=dict)
    """Why a pod said nothing."""
    guarded: str = ""
    """The address that policies shut strangers out of; empty where the stack has none."""
    policies: bool = False
    """Whether the stack's NetworkPolicies are in the cluster."""
    others: Sequence[str] = ()
    """NetworkPolicies of the namespace that are not the stack's: what they admit is admitted."""
    obstacle: str = ""
    """Why there were no pods at all."""

    def of(self, role: Role) -> list[Reached]:
        """What the pod in this place reached."""
        return [each for each in self.reached if each.role is role]
