"""Checks of this machine: the programs and the state that a deployment needs."""

from airis.doctor.checks import Group, Outcomes, Scope, check, listed, not_checked, ok, problem, warning
from airis.doctor.observation import Observation

_PYTHON = (3, 11)

_MACHINE = (Group.MACHINE, Scope.MACHINE)


@check(
    "python",
    *_MACHINE,
    "Is Python new enough?",
    why="The program and the command use what Python 3.11 brought; an older one ends with a syntax or import error.",
    remedy="install Python 3.11 or newer, and make the virtual environment anew",
)
def python(seen: Observation) -> Outcomes:
    """Python's version."""
    running = ".".join(map(str, seen.machine.python))
    fits = seen.machine.python >= _PYTHON
    yield ok(f"Python {running}") if fits else problem(f"Python is {running}; it must be 3.11 or newer")


@check(
    "pulumi",
    *_MACHINE,
    "Is the Pulumi CLI there, and as new as the tests need it?",
    why="`airis up` deploys with it; an older one may lack what the program uses. `airis up` downloads a missing one, "
    "which a machine without internet cannot.",
    remedy="install it as https://www.pulumi.com/docs/install/ says, and put `pulumi` on PATH",
)
def pulumi(seen: Observation) -> Outcomes:
    """The CLI on PATH against the pinned one."""
    from semver import VersionInfo  # noqa: PLC0415  (only here)

    found, least = seen.machine.pulumi, seen.machine.minimum_pulumi
    if found is None:
        yield warning("there is no Pulumi CLI on PATH: the first `airis up` downloads one")
    elif not VersionInfo.is_valid(found):
        yield not_checked("the Pulumi CLI on PATH does not say its version")
    elif VersionInfo.parse(found) < VersionInfo.parse(least):
        yield problem(f"the Pulumi CLI is {found}; it must be {least} or newer")
    else:
        yield ok(f"Pulumi CLI {found}")


@check(
    "provider",
    *_MACHINE,
    "Is the Kubernetes provider there that belongs to the pinned package?",
    why="Package and provider must be of one version. Where the provider is missing, `airis up` downloads it.",
    remedy="`pulumi plugin install resource kubernetes` with the version above; docs/engine.md says how without internet",
)
def provider(seen: Observation) -> Outcomes:
    """The plugin in Pulumi's own folder, or on PATH."""
    wanted = seen.machine.provider
    if wanted is None:
        yield problem("the package pulumi-kubernetes is not installed", "`pip install -r requirements.txt`")
    elif seen.machine.provider_there:
        yield ok(f"Kubernetes provider {wanted}")
    else:
        yield warning(f"the Kubernetes provider {wanted} is not there: the first `airis up` downloads it")


@check(
    "kubectl",
    *_MACHINE,
    "Is there a kubectl?",
    why="airis looks at the cluster with it, beside Pulumi: for its identity, for pods that do not start, for backups.",
    remedy="install it, or `airis sandbox build`, which brings one along",
)
def kubectl(seen: Observation) -> Outcomes:
    """The one that airis uses."""
    found = seen.machine.kubectl
    yield ok(f"kubectl: {found}") if found else problem("there is no kubectl")


@check(
    "state",
    *_MACHINE,
    "Is it settled where Pulumi keeps the state, and can its secrets be read?",
    why="Without the state Pulumi does not know what it has made; without the passphrase nobody can read the stack's secrets.",
    remedy="restore the folder .state from its backup, or set PULUMI_CONFIG_PASSPHRASE_FILE",
)
def state(seen: Observation) -> Outcomes:
    """The backend and the passphrase of a local one."""
    yield problem(seen.machine.passphrase) if seen.machine.passphrase else ok(f"state: {seen.machine.backend}")


@check(
    "sandbox",
    *_MACHINE,
    "Are the sandbox's programs there?",
    why="`airis rehearse` needs them, and gets them once: that takes minutes and needs internet.",
    remedy="`airis sandbox build`",
)
def sandbox(seen: Observation) -> Outcomes:
    """The cached programs."""
    missing = seen.machine.sandbox_missing
    yield warning(f"not built yet: {listed(missing)}") if missing else ok("the sandbox's programs are built")
