"""`airis doctor`: takes the look, makes the checks, and says what that amounts to."""

import ipaddress
import json
import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from airis import guard, in_time, registry
from airis.cluster import Address, Cluster, configured_cluster, connected
from airis.doctor import (
    access,
    exposure,
    hosts,
    images,
    machine,
    namespace,
    nodes,
    platform,
    reached,
    references,
    running,
    storage,
)
from airis.doctor.fetch import server_of
from airis.doctor.look import Look, named
from airis.doctor.machine import this_machine
from airis.doctor.model import CHECKS, Finding, Outcome, Scope, State
from airis.doctor.probe import Probed, probe
from airis.doctor.wanted import Wanted
from airis.errors import AirisError, EnvironmentProblem, ExitCode
from airis.kubectl import KubectlError
from airis.progress import step
from airis.stacks import StackFile, project_root, read_stack, settings_of

_DNS_SECONDS = 5.0
_MODULES = (machine, access, namespace, storage, references, images, nodes, exposure, hosts, platform, reached, running)
"""What registers the checks."""


@dataclass(frozen=True)
class Examination:
    """What was found."""

    stack: str | None
    findings: Sequence[Finding]
    cluster_needed: bool
    """Whether a cluster was asked for, by --stack, --kubeconfig or a $KUBECONFIG that leads nowhere."""
    cluster_answers: bool

    def count(self, state: State) -> int:
        """How many findings are of that state."""
        return sum(each.state is state for each in self.findings)

    @property
    def exit_code(self) -> ExitCode:
        """What the command returns to the shell."""
        if self.cluster_needed and not self.cluster_answers:
            return ExitCode.ENVIRONMENT
        return ExitCode.NOT_READY if self.count(State.PROBLEM) else ExitCode.OK


def examine(name: str | None, kubeconfig: Path | None = None, *, probing: bool = False) -> Examination:
    """Examines this machine and the cluster, and with a stack's name what that stack needs of them.

    `kubeconfig` names another cluster than the one that `pulumi up` would go to. Nothing is changed; `probing` makes short pods
    that try what the stack's pods would. Raises AirisError for a bad stack, before anything is asked.
    """
    if probing and name is None:
        raise AirisError(
            "--probe needs --stack", "it reaches for what a stack names: airis doctor --stack NAME --probe"
        )
    stack = no_stack() if name is None else read_stack(name)
    wanted = None if name is None else wanted_of(stack)
    with step("Looking at this machine and the cluster"):
        look = take(stack, wanted, kubeconfig)
    if probing and look.server is not None and wanted is not None:
        look = replace(look, probed=_probed(stack, wanted, kubeconfig, look))
    needed = name is not None or kubeconfig is not None or (look.address is None and bool(look.silence))
    return Examination(name, findings(look), needed, look.server is not None)


def findings(look: Look) -> list[Finding]:
    """What every check that applies finds, in the order of the checks."""
    scopes = {Scope.MACHINE}
    found: list[Finding] = []
    if look.server is not None:
        scopes.add(Scope.CLUSTER)
        if look.wanted is not None:
            scopes.add(Scope.STACK)
            if look.deployed:
                scopes.add(Scope.DEPLOYED)
            if look.probed is not None:
                scopes.add(Scope.PROBED)
    for each in CHECKS.values():
        if each.scope in scopes:
            found += each.findings(look)
    if Scope.STACK in scopes and Scope.DEPLOYED not in scopes:
        found.append(
            CHECKS["pods"].finding(Outcome(State.NOT_CHECKED, "the stack is not deployed: nothing of it runs"))
        )
    return found


def _probed(stack: StackFile, wanted: Wanted, kubeconfig: Path | None, look: Look) -> Probed:
    try:
        with connected(stack, wanted.namespace, kubeconfig) as cluster:
            return probe(cluster, look)
    except EnvironmentProblem as error:
        return Probed(obstacle=error.message)


def take(stack: StackFile, wanted: Wanted | None, kubeconfig: Path | None) -> Look:
    """Looks at this machine and at the cluster that the stack goes to."""
    here = this_machine(stack.path.parent)
    try:
        address = Address(f"the cluster of {kubeconfig}") if kubeconfig is not None else configured_cluster(stack)
    except EnvironmentProblem as error:  # the kubeconfig leads nowhere
        return Look(here, silence=error.message, wanted=wanted)
    if address is None:
        return Look(here, wanted=wanted)
    try:
        with connected(stack, wanted.namespace if wanted else "default", kubeconfig) as cluster:
            address = _in_use(cluster, address)
            server = server_of(cluster, wanted)
    except KubectlError as error:
        return Look(here, address, silence=_last_line(error.message), wanted=wanted)
    except EnvironmentProblem as error:  # there is no kubectl
        return Look(here, address, silence=error.message, wanted=wanted)
    look = Look(here, address, server=server, wanted=wanted)
    if wanted is None:
        return look
    return replace(
        look,
        identity=_identity(stack, look),
        resolved=resolved([*wanted.hosts, *hosts.addresses(look)]),
        images=registry.look_up(wanted.images),
    )


def wanted_of(stack: StackFile) -> Wanted:
    """What the stack needs. Raises AirisError with everything that is wrong with it."""
    from airis.render import manifests  # noqa: PLC0415  (heavy, and not needed without a stack)

    return Wanted(stack.name, settings_of(stack), manifests(stack), stack.upserts)


def no_stack() -> StackFile:
    """A stack that says nothing, where none is named: then the command works outside of the project too."""
    folder = Path.cwd()
    with suppress(AirisError):
        folder = project_root()
    return StackFile("", folder / "Pulumi.yaml", {}, frozenset())


def _in_use(cluster: Cluster, address: Address) -> Address:
    """The context and the server that kubectl goes to."""
    with suppress(KubectlError, ValueError, LookupError, TypeError):
        config = json.loads(cluster.run("config", "view", "--minify", "--output=json"))
        return Address(address.words, config["current-context"], config["clusters"][0]["cluster"]["server"])
    return address


def _identity(stack: StackFile, look: Look) -> str:
    """How the cluster differs from the one that the stack belongs to; empty where it does not."""
    pinned = look.stack.settings.cluster
    system = named(look.cluster.objects.get("namespaces", ()), "kube-system")
    try:
        guard.compare_address(stack, pinned, look.address or Address(""))
        guard.compare_uid(stack, pinned, None if system is None else str(system["metadata"]["uid"]))
    except AirisError as error:
        return error.message
    return ""


def resolved(names: Iterable[str]) -> dict[str, Sequence[str]]:
    """The addresses of host names, by this machine's resolver; none where it does not answer in time."""
    asked = [each for each in dict.fromkeys(names) if not _is_address(each)]
    found = in_time.answers({host: partial(_addresses, host) for host in asked}, _DNS_SECONDS)
    return {host: found.get(host, ()) for host in asked}


def _is_address(text: str) -> bool:
    with suppress(ValueError):
        ipaddress.ip_address(text)
        return True
    return False


def _addresses(host: str) -> Sequence[str]:
    try:
        return sorted({str(each[4][0]) for each in socket.getaddrinfo(host, None)})
    except (OSError, UnicodeError):
        return ()


def _last_line(message: str) -> str:
    return message.strip().splitlines()[-1]
