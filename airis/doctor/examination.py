"""`airis doctor`: observes machine and cluster, runs the checks, and collects their findings."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from airis.cluster.connection import Address, Cluster, configured_cluster, connected
from airis.cluster.host_names import resolved
from airis.cluster.kubectl import KubectlError
from airis.deploy import guard
from airis.doctor import (
    access,
    exposure,
    hosts,
    images,
    machine,
    namespace,
    nodes,
    platform,
    reach,
    references,
    registry,
    running,
    storage,
)
from airis.doctor.checks import CHECKS, Finding, Outcome, Scope, State
from airis.doctor.observation import Observation, named
from airis.doctor.observe import server_of
from airis.doctor.probe import probe
from airis.doctor.probe_results import Probed
from airis.doctor.requirements import Requirements
from airis.doctor.this_machine import this_machine
from airis.stack_file.stacks import StackFile, project_root, read_stack, settings_of
from airis.terminal.errors import AirisError, EnvironmentProblem, ExitCode
from airis.terminal.progress import step

_MODULES = (machine, access, namespace, storage, references, images, nodes, exposure, hosts, platform, reach, running)
"""The modules that register the checks."""


@dataclass(frozen=True)
class Examination:
    """The findings of one run."""

    stack: str | None
    findings: Sequence[Finding]
    cluster_needed: bool
    """Whether the run requires a cluster: --stack, --kubeconfig or an unusable $KUBECONFIG was given."""
    cluster_answers: bool

    def count(self, state: State) -> int:
        """The number of findings with that state."""
        return sum(each.state is state for each in self.findings)

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the command."""
        if self.cluster_needed and not self.cluster_answers:
            return ExitCode.ENVIRONMENT
        return ExitCode.NOT_READY if self.count(State.PROBLEM) else ExitCode.OK


def examine(name: str | None, kubeconfig: Path | None = None, *, probing: bool = False) -> Examination:
    """Examines this machine and the cluster, and, if a stack is named, what that stack needs of them.

    `kubeconfig` selects a cluster other than the one that `pulumi up` would deploy to. Nothing is changed; `probing` creates
    short-lived pods that try the stack's connections. Raises AirisError for an invalid stack, before any request.
    """
    if probing and name is None:
        raise AirisError(
            "--probe needs --stack", "it tries the connections of a stack: airis doctor --stack NAME --probe"
        )
    stack = no_stack() if name is None else read_stack(name)
    wanted = None if name is None else wanted_of(stack)
    with step("Checking this machine and the cluster"):
        seen = take(stack, wanted, kubeconfig)
    if probing and seen.server is not None and wanted is not None:
        seen = replace(seen, probed=_probed(stack, wanted, kubeconfig, seen))
    needed = name is not None or kubeconfig is not None or (seen.address is None and bool(seen.silence))
    return Examination(name, findings(seen), needed, seen.server is not None)


def findings(seen: Observation) -> list[Finding]:
    """The findings of every applicable check, in the order of the checks."""
    scopes = {Scope.MACHINE}
    found: list[Finding] = []
    if seen.server is not None:
        scopes.add(Scope.CLUSTER)
        if seen.wanted is not None:
            scopes.add(Scope.STACK)
            if seen.deployed:
                scopes.add(Scope.DEPLOYED)
            if seen.probed is not None:
                scopes.add(Scope.PROBED)
    for each in CHECKS.values():
        if each.scope in scopes:
            found += each.findings(seen)
    if Scope.STACK in scopes and Scope.DEPLOYED not in scopes:
        found.append(CHECKS["pods"].finding(Outcome(State.NOT_CHECKED, "the stack is not deployed, so it has no pods")))
    return found


def _probed(stack: StackFile, wanted: Requirements, kubeconfig: Path | None, seen: Observation) -> Probed:
    try:
        with connected(stack, wanted.namespace, kubeconfig) as cluster:
            return probe(cluster, seen)
    except EnvironmentProblem as error:
        return Probed(obstacle=error.message)


def take(stack: StackFile, wanted: Requirements | None, kubeconfig: Path | None) -> Observation:
    """Observes this machine and the cluster that the stack is deployed to."""
    here = this_machine(stack.path.parent)
    try:
        address = Address(f"the cluster in {kubeconfig}") if kubeconfig is not None else configured_cluster(stack)
    except EnvironmentProblem as error:  # the kubeconfig is unusable
        return Observation(here, silence=error.message, wanted=wanted)
    if address is None:
        return Observation(here, wanted=wanted)
    try:
        with connected(stack, wanted.namespace if wanted else "default", kubeconfig) as cluster:
            address = _in_use(cluster, address)
            server = server_of(cluster, wanted)
    except KubectlError as error:
        return Observation(here, address, silence=_last_line(error.message), wanted=wanted)
    except EnvironmentProblem as error:  # there is no kubectl
        return Observation(here, address, silence=error.message, wanted=wanted)
    seen = Observation(here, address, server=server, wanted=wanted)
    if wanted is None:
        return seen
    return replace(
        seen,
        identity=_identity(stack, seen),
        resolved=resolved([*wanted.hosts, *hosts.addresses(seen)]),
        images=registry.look_up(wanted.images),
    )


def wanted_of(stack: StackFile) -> Requirements:
    """What the stack needs. Raises AirisError with every error in the stack file."""
    from airis.render.objects import manifests  # noqa: PLC0415  (heavy, and not needed without a stack)

    return Requirements(stack.name, settings_of(stack), manifests(stack), stack.upserts)


def no_stack() -> StackFile:
    """An empty stack, for a run without --stack: the command then works outside a project too."""
    folder = Path.cwd()
    with suppress(AirisError):
        folder = project_root()
    return StackFile("", folder / "Pulumi.yaml", {}, frozenset())


def _in_use(cluster: Cluster, address: Address) -> Address:
    """The context and the server that kubectl uses."""
    with suppress(KubectlError, ValueError, LookupError, TypeError):
        config = json.loads(cluster.run("config", "view", "--minify", "--output=json"))
        return Address(address.words, config["current-context"], config["clusters"][0]["cluster"]["server"])
    return address


def _identity(stack: StackFile, seen: Observation) -> str:
    """How the cluster differs from the one that the stack is pinned to; empty if it does not."""
    pinned = seen.stack.settings.cluster
    system = named(seen.cluster.objects.get("namespaces", ()), "kube-system")
    try:
        guard.compare_address(stack, pinned, seen.address or Address(""))
        guard.compare_uid(stack, pinned, None if system is None else str(system["metadata"]["uid"]))
    except AirisError as error:
        return error.message
    return ""


def _last_line(message: str) -> str:
    return message.strip().splitlines()[-1]
