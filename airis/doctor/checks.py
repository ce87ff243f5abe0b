"""Checks, their groups and scopes, and findings."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from airis.doctor.observation import NotChecked, Observation


class State(StrEnum):
    """The state of a finding, the worst first."""

    PROBLEM = "problem"
    """The deployment fails, or the application is not available."""
    WARNING = "warning"
    """It works, but may cause trouble later."""
    NOT_CHECKED = "not checked"
    """The information is not available, or the user may not read it."""
    OK = "ok"
    """As it should be."""


class Group(StrEnum):
    """The subjects of the checks, in the order of the report."""

    MACHINE = "This machine"
    ACCESS = "Cluster access"
    NAMESPACE = "Namespace"
    STORAGE = "Storage"
    REFERENCES = "Images and references"
    NODES = "Nodes and GPUs"
    EXPOSURE = "Ingress and Gateway"
    PLATFORM = "Cluster add-ons"
    REACH = "Connectivity"
    RUNNING = "Running workloads"


class Scope(StrEnum):
    """What a check examines, and so when it runs."""

    MACHINE = "machine"
    """This machine: always."""
    CLUSTER = "cluster"
    """The cluster: whenever it answers."""
    STACK = "stack"
    """What a stack needs of the cluster: with --stack."""
    DEPLOYED = "deployed"
    """Running workloads: with --stack, once it is deployed."""
    PROBED = "probed"
    """What the probe pods found: with --probe."""


@dataclass(frozen=True)
class Outcome:
    """One result of a check."""

    state: State
    what: str
    remedy: str = ""
    """The fix for this case; empty for the check's general one."""


Outcomes = Iterable[Outcome]


@dataclass(frozen=True)
class Finding:
    """One result of a check, with the reason and the fix."""

    check: str
    group: Group
    state: State
    what: str
    why: str
    remedy: str
    """The fix; empty if nothing needs to be done."""


@dataclass(frozen=True)
class Check:
    """A named check. `run` is a pure function of the observation."""

    name: str
    group: Group
    scope: Scope
    asks: str
    """The question that the check answers."""
    why: str
    """Why it matters."""
    remedy: str
    """The general fix."""
    run: Callable[[Observation], Outcomes]

    def findings(self, seen: Observation) -> list[Finding]:
        """The findings of the check; none if it does not apply."""
        outcomes: list[Outcome] = []
        try:
            for each in self.run(seen):
                outcomes.append(each)
        except NotChecked as unknown:
            outcomes.append(Outcome(State.NOT_CHECKED, f"{self.asks} {unknown}"))
        return [self.finding(each) for each in outcomes]

    def finding(self, outcome: Outcome) -> Finding:
        """The outcome, completed with the check's reason and fix."""
        act = outcome.state in (State.PROBLEM, State.WARNING)
        remedy = outcome.remedy or (self.remedy if act else "")
        return Finding(self.name, self.group, outcome.state, outcome.what, self.why, remedy)


CHECKS: dict[str, Check] = {}
"""Every check by name, in the order in which the modules define them."""


def check(
    name: str, group: Group, scope: Scope, asks: str, *, why: str, remedy: str
) -> Callable[[Callable[[Observation], Outcomes]], Check]:
    """Registers a function as a check."""

    def register(run: Callable[[Observation], Outcomes]) -> Check:
        CHECKS[name] = Check(name, group, scope, asks, why, remedy, run)
        return CHECKS[name]

    return register


def ok(what: str) -> Outcome:
    """Nothing to do."""
    return Outcome(State.OK, what)


def warning(what: str, remedy: str = "") -> Outcome:
    """It works, but may cause trouble later."""
    return Outcome(State.WARNING, what, remedy)


def problem(what: str, remedy: str = "") -> Outcome:
    """To be fixed first."""
    return Outcome(State.PROBLEM, what, remedy)


def not_checked(what: str) -> Outcome:
    """Not known; `what` gives the reason."""
    return Outcome(State.NOT_CHECKED, what)


def listed(names: Iterable[str], most: int = 5) -> str:
    """The first few names, and how many more there are."""
    known = list(dict.fromkeys(names))
    more = f" and {len(known) - most} more" if len(known) > most else ""
    return ", ".join(known[:most]) + more
