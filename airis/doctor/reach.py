"""What `airis doctor --probe` found: whether the stack's pods reach what the stack names."""

import ipaddress
from collections.abc import Iterator

from airis.doctor.checks import Group, Outcome, Outcomes, Scope, check, not_checked, ok, problem, warning
from airis.doctor.observation import NotChecked, Observation
from airis.doctor.probe import GUARDED
from airis.doctor.probe_results import Reached, Role
from airis.doctor.probe_script import ANSWER, CONNECTION, NAME, PROXY, SIGN_IN, TLS, VARIABLE

_WHAT_HELPS = {
    VARIABLE: "make the Secret with that key in the stack's namespace, or mend the value in it",
    NAME: "compare the host with the name that the server has; in the cluster it is SERVICE.NAMESPACE.svc",
    CONNECTION: "see whether the server listens at that port, and whether a firewall or a NetworkPolicy of its namespace "
    "lets the stack's pods through",
    PROXY: "see what the proxy permits, and its user and password; what needs no proxy belongs in airis:proxy.noProxy",
    TLS: "trust the authority that signed the server's certificate (airis:caBundle), and use a host name that is in it",
    SIGN_IN: "compare user, password or key in the Secret with those of the server",
    ANSWER: "see whether it is the server that the key of the stack file asks for, and its log",
}
_ELSE = "the server's own words above say what it misses"


@check(
    "reach",
    Group.REACH,
    Scope.PROBED,
    "Do the stack's pods reach, by name, TLS and sign-in, what the stack names?",
    why="What cannot be reached shows when the WebUI starts, or when somebody signs in, uploads or asks: pods that crash again "
    "and again, or errors without a reason.",
    remedy=_ELSE,
)
def reach(seen: Observation) -> Outcomes:
    """What the pods of the probe said of each target."""
    probed = seen.probe
    if probed.obstacle:
        raise NotChecked(f"No pod could try: {probed.obstacle}.")
    if seen.stack.settings.network.policies and not probed.policies:
        yield not_checked("what the stack's own NetworkPolicies let through: they are not in the cluster yet")
    for role in (Role.WEBUI, Role.OLLAMA):
        if role in probed.silent:
            yield not_checked(f"the pod in the place of {_PLACES[role]} said nothing: {probed.silent[role]}")
        yield from (_outcome(seen, each) for each in probed.of(role) if each.key != GUARDED)


_PLACES = {Role.WEBUI: "the WebUI's", Role.OLLAMA: "Ollama's"}


def _outcome(seen: Observation, found: Reached) -> Outcome:
    """What one target amounts to."""
    name = f"{found.key}: {found.what}{f' at {found.at}' if found.at else ''}"
    passed = f" ({', '.join(found.passed)})" if found.passed else ""
    if not found.failed:
        return ok(f"{name}{passed}{f'; {found.note}' if found.note else ''}")
    if not seen.deployed and _is_own(seen, found.at):
        return not_checked(f"{name}: it is a part of the stack, which is not deployed")
    spoils = problem
    if found.role is Role.OLLAMA and seen.stack.settings.ollama.model_pull_policy != "Always":
        spoils = warning  # models that are there already need no registry
    after = f", after {', '.join(found.passed)}" if found.passed else ""
    return spoils(f"{name}: {found.failed} fails: {found.why}{after}", _remedy(seen, found))


def _remedy(seen: Observation, found: Reached) -> str:
    network = seen.stack.settings.network
    if found.failed == CONNECTION and network.policies and network.restrict_egress and not _is_own(seen, found.at):
        ranges = [ipaddress.ip_network(each) for each in network.egress_to]
        shut = [each for each in _addresses(found) if not any(each in one for one in ranges)]
        if shut:
            return (
                f"airis:network.egressTo does not have {', '.join(map(str, shut))}, and airis:network.restrictEgress admits "
                "nothing else. For a Service, most network plugins compare the addresses of its pods"
            )
    return _WHAT_HELPS.get(found.failed, _ELSE)


def _addresses(found: Reached) -> Iterator[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    for each in found.addresses:
        yield ipaddress.ip_address(each.partition("%")[0])


def _is_own(seen: Observation, at: str) -> bool:
    """Whether an address is one of the stack's own Services."""
    host = at.rpartition(":")[0]
    own = {f"{each['metadata']['name']}.{seen.stack.namespace}.svc" for each in seen.stack.of_kind("Service")}
    return any(host == each or host.startswith(f"{each}.") for each in own)
