"""The check of `airis doctor --probe`: whether the stack's pods can reach the servers that the stack configures."""

import ipaddress
from collections.abc import Iterator

from airis.doctor.checks import Group, Outcome, Outcomes, Scope, check, not_checked, ok, problem, warning
from airis.doctor.observation import NotChecked, Observation
from airis.doctor.probe import GUARDED
from airis.doctor.probe_results import Reached, Role
from airis.doctor.probe_script import ANSWER, CONNECTION, NAME, PROXY, SIGN_IN, TLS, VARIABLE

_WHAT_HELPS = {
    VARIABLE: "create the Secret with that key in the stack's namespace, or correct its value",
    NAME: "check the host name; in the cluster it is SERVICE.NAMESPACE.svc",
    CONNECTION: "check that the server listens on that port, and that no firewall or NetworkPolicy of its namespace blocks "
    "the stack's pods",
    PROXY: "check the proxy's rules, user and password; add hosts that need no proxy to airis:proxy.noProxy",
    TLS: "trust the CA that signed the server's certificate (airis:caBundle), and use a host name from the certificate",
    SIGN_IN: "compare the user, password or key in the Secret with the server's",
    ANSWER: "check that it is the kind of server that the setting expects, and read its log",
}
_ELSE = "see the server's error message above"


@check(
    "reach",
    Group.REACH,
    Scope.PROBED,
    "Can the stack's pods reach the servers that the stack configures (DNS, connection, TLS, sign-in)?",
    why="An unreachable server fails the WebUI's start, or the users' sign-ins, uploads and chats: pods crash repeatedly, or "
    "errors appear without a reason.",
    remedy=_ELSE,
)
def reach(seen: Observation) -> Outcomes:
    """Evaluates the results of the probe pods for each target."""
    probed = seen.probe
    if probed.obstacle:
        raise NotChecked(f"No probe pod ran: {probed.obstacle}.")
    if seen.stack.settings.network.policies and not probed.policies:
        yield not_checked("whether the stack's NetworkPolicies admit the connections: they are not deployed yet")
    for role in (Role.WEBUI, Role.OLLAMA):
        if role in probed.silent:
            yield not_checked(f"the probe pod for {_PLACES[role]} reported nothing: {probed.silent[role]}")
        yield from (_outcome(seen, each) for each in probed.of(role) if each.key != GUARDED)


_PLACES = {Role.WEBUI: "the WebUI", Role.OLLAMA: "Ollama"}


def _outcome(seen: Observation, found: Reached) -> Outcome:
    """The outcome for one target."""
    name = f"{found.key}: {found.what}{f' at {found.at}' if found.at else ''}"
    passed = f" ({', '.join(found.passed)})" if found.passed else ""
    if not found.failed:
        return ok(f"{name}{passed}{f'; {found.note}' if found.note else ''}")
    if not seen.deployed and _is_own(seen, found.at):
        return not_checked(f"{name}: it is part of the stack, which is not deployed")
    spoils = problem
    if found.role is Role.OLLAMA and seen.stack.settings.ollama.model_pull_policy != "Always":
        spoils = warning  # models that are already pulled need no registry
    after = f", after {', '.join(found.passed)}" if found.passed else ""
    return spoils(f"{name}: {found.failed} fails: {found.why}{after}", _remedy(seen, found))


def _remedy(seen: Observation, found: Reached) -> str:
    network = seen.stack.settings.network
    if found.failed == CONNECTION and network.policies and network.restrict_egress and not _is_own(seen, found.at):
        ranges = [ipaddress.ip_network(each) for each in network.egress_to]
        shut = [each for each in _addresses(found) if not any(each in one for one in ranges)]
        if shut:
            return (
                f"add {', '.join(map(str, shut))} to airis:network.egressTo: airis:network.restrictEgress blocks everything "
                "else. For a Service, most network plugins compare the addresses of its pods"
            )
    return _WHAT_HELPS.get(found.failed, _ELSE)


def _addresses(found: Reached) -> Iterator[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    for each in found.addresses:
        yield ipaddress.ip_address(each.partition("%")[0])


def _is_own(seen: Observation, at: str) -> bool:
    """Whether an address is one of the stack's Services."""
    host = at.rpartition(":")[0]
    own = {f"{each['metadata']['name']}.{seen.stack.namespace}.svc" for each in seen.stack.of_kind("Service")}
    return any(host == each or host.startswith(f"{each}.") for each in own)
