"""What a check is, and what it finds."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from airis.doctor.observation import NotChecked, Observation


class State(StrEnum):
    """What became of a check, the worst first."""

    PROBLEM = "problem"
    """The deployment fails, or does not serve."""
    WARNING = "warning"
    """It works, and may surprise later."""
    NOT_CHECKED = "not checked"
    """Nobody could be asked, or may not ask."""
    OK = "ok"
    """As it should be."""


class Group(StrEnum):
    """What the checks are about, in the order in which they are reported."""

    MACHINE = "This machine"
    ACCESS = "Access to the cluster"
    NAMESPACE = "Namespace"
    STORAGE = "Storage"
    REFERENCES = "Images and references"
    NODES = "Nodes and GPUs"
    EXPOSURE = "The way in"
    PLATFORM = "What the cluster adds"
    REACH = "What the stack reaches"
    RUNNING = "What runs"


class Scope(StrEnum):
    """What a check looks at, and so when it is made."""

    MACHINE = "machine"
    """This machine: always."""
    CLUSTER = "cluster"
    """The cluster: whenever it answers."""
    STACK = "stack"
    """What a stack needs of the cluster: with --stack."""
    DEPLOYED = "deployed"
    """What runs: with --stack, once it is deployed."""
    PROBED = "probed"
    """What short pods have tried: with --probe."""


@dataclass(frozen=True)
class Outcome:
    """One thing that a check found."""

    state: State
    what: str
    remedy: str = ""
    """What helps here; empty for what the check says in general."""


Outcomes = Iterable[Outcome]


@dataclass(frozen=True)
class Finding:
    """One thing that was found, with all that a reader needs to act on it."""

    check: str
    group: Group
    state: State
    what: str
    why: str
    remedy: str
    """What helps; empty where nothing needs to be done."""


@dataclass(frozen=True)
class Check:
    """A check by name. `run` is a pure function of what was seen."""

    name: str
    group: Group
    scope: Scope
    asks: str
    """What is checked, as a question."""
    why: str
    """Why it matters."""
    remedy: str
    """What helps in general."""
    run: Callable[[Observation], Outcomes]

    def findings(self, seen: Observation) -> list[Finding]:
        """What the check finds; nothing where it does not apply."""
        outcomes: list[Outcome] = []
        try:
            for each in self.run(seen):
                outcomes.append(each)
        except NotChecked as unknown:
            outcomes.append(Outcome(State.NOT_CHECKED, f"{self.asks} {unknown}"))
        return [self.finding(each) for each in outcomes]

    def finding(self, outcome: Outcome) -> Finding:
        """The outcome with what the check says about all of them."""
        act = outcome.state in (State.PROBLEM, State.WARNING)
        remedy = outcome.remedy or (self.remedy if act else "")
        return Finding(self.name, self.group, outcome.state, outcome.what, self.why, remedy)


CHECKS: dict[str, Check] = {}
"""Every check by name, in the order in which the modules define them."""


def check(
    name: str, group: Group, scope: Scope, asks: str, *, why: str, remedy: str
) -> Callable[[Callable[[Observation], Outcomes]], Check]:
    """Makes a function a check, and registers it."""

    def register(run: Callable[[Observation], Outcomes]) -> Check:
        CHECKS[name] = Check(name, group, scope, asks, why, remedy, run)
        return CHECKS[name]

    return register


def ok(what: str) -> Outcome:
    """As it should be."""
    return Outcome(State.OK, what)


def warning(what: str, remedy: str = "") -> Outcome:
    """Worth knowing."""
    return Outcome(State.WARNING, what, remedy)


def problem(what: str, remedy: str = "") -> Outcome:
    """To be mended first."""
    return Outcome(State.PROBLEM, what, remedy)


def not_checked(what: str) -> Outcome:
    """Nobody could be asked; `what` says why."""
    return Outcome(State.NOT_CHECKED, what)


def listed(names: Iterable[str], most: int = 5) -> str:
    """Names for people: the first few, and how many more there are."""
    known = list(dict.fromkeys(names))
    more = f" and {len(known) - most} more" if len(known) > most else ""
    return ", ".join(known[:most]) + more
