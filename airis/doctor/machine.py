"""Checks of this machine: the programs and the state that a deployment needs."""

from airis.doctor.checks import Group, Outcomes, Scope, check, listed, not_checked, ok, problem, warning
from airis.doctor.observation import Observation

_PYTHON = (3, 11)

_MACHINE = (Group.MACHINE, Scope.MACHINE)


@check(
    "python",
    *_MACHINE,
    "Is Python new enough?",
    why="airis uses features of Python 3.11; older versions fail with a syntax or import error.",
    remedy="install Python 3.11 or newer, and recreate the virtual environment",
)
def python(seen: Observation) -> Outcomes:
    """Checks Python's version."""
    running = ".".join(map(str, seen.machine.python))
    fits = seen.machine.python >= _PYTHON
    yield ok(f"Python {running}") if fits else problem(f"Python is {running}; it must be 3.11 or newer")


@check(
    "pulumi",
    *_MACHINE,
    "Is the Pulumi CLI installed, at the minimum version or newer?",
    why="`airis up` deploys with it; an older one may lack features that the program uses. If it is missing, `airis up` "
    "downloads it, which needs internet access.",
    remedy="install it (https://www.pulumi.com/docs/install/), and put `pulumi` on PATH",
)
def pulumi(seen: Observation) -> Outcomes:
    """Compares the CLI on PATH with the minimum version."""
    from semver import VersionInfo  # noqa: PLC0415  (only here)

    found, least = seen.machine.pulumi, seen.machine.minimum_pulumi
    if found is None:
        yield warning("there is no Pulumi CLI on PATH: the first `airis up` downloads one")
    elif not VersionInfo.is_valid(found):
        yield not_checked("the Pulumi CLI on PATH reports no version")
    elif VersionInfo.parse(found) < VersionInfo.parse(least):
        yield problem(f"the Pulumi CLI is {found}; it must be {least} or newer")
    else:
        yield ok(f"Pulumi CLI {found}")


@check(
    "provider",
    *_MACHINE,
    "Is the Kubernetes provider installed, in the version of the pinned package?",
    why="Package and provider must have the same version. If the provider is missing, `airis up` downloads it.",
    remedy="`pulumi plugin install resource kubernetes` with the version above; without internet access, see docs/engine.md",
)
def provider(seen: Observation) -> Outcomes:
    """Looks for the plugin in Pulumi's plugin folder and on PATH."""
    wanted = seen.machine.provider
    if wanted is None:
        yield problem("the package pulumi-kubernetes is not installed", "`pip install -r requirements.txt`")
    elif seen.machine.provider_there:
        yield ok(f"Kubernetes provider {wanted}")
    else:
        yield warning(f"the Kubernetes provider {wanted} is not installed: the first `airis up` downloads it")


@check(
    "kubectl",
    *_MACHINE,
    "Is kubectl installed?",
    why="In addition to Pulumi, airis uses kubectl: to identify the cluster, to diagnose failing pods, and for backups.",
    remedy="install it, or run `airis sandbox build`, which includes one",
)
def kubectl(seen: Observation) -> Outcomes:
    """Looks for the kubectl that airis uses."""
    found = seen.machine.kubectl
    yield ok(f"kubectl: {found}") if found else problem("kubectl is not installed")


@check(
    "state",
    *_MACHINE,
    "Is a state backend configured, and can its secrets be decrypted?",
    why="Without the state, Pulumi does not know which objects it manages; without the passphrase, it cannot decrypt secrets.",
    remedy="restore the folder .state from its backup, or set PULUMI_CONFIG_PASSPHRASE_FILE",
)
def state(seen: Observation) -> Outcomes:
    """Checks the backend, and the passphrase of a local one."""
    yield problem(seen.machine.passphrase) if seen.machine.passphrase else ok(f"state: {seen.machine.backend}")


@check(
    "sandbox",
    *_MACHINE,
    "Are the sandbox's programs installed?",
    why="`airis rehearse` needs them, and installs them once: that takes minutes and needs internet access.",
    remedy="`airis sandbox build`",
)
def sandbox(seen: Observation) -> Outcomes:
    """Looks for the cached programs."""
    missing = seen.machine.sandbox_missing
    yield warning(f"not installed yet: {listed(missing)}") if missing else ok("the sandbox's programs are installed")
