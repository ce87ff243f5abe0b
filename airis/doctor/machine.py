"""Checks of this machine: the programs and the state that a deployment needs."""

import os
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from airis.doctor.model import Group, Outcomes, Scope, check, listed, not_checked, ok, problem, warning
from airis.errors import AirisError
from airis.state_backend import STATE_FOLDER, logged_in

if TYPE_CHECKING:
    from airis.doctor.look import Look

_PYTHON = (3, 11)
_VERSION_SECONDS = 20.0


@dataclass(frozen=True)
class Machine:
    """What is installed, and where the state lies."""

    python: tuple[int, int]
    pulumi: str | None
    """Version of the CLI on PATH; None without one, empty if it does not say."""
    minimum_pulumi: str
    provider: str | None
    """Version of the Kubernetes provider that belongs to the pinned package; None where the package is missing."""
    provider_there: bool
    kubectl: str | None
    """Path of the one that airis uses."""
    backend: str
    """Where Pulumi keeps the state."""
    passphrase: str
    """What is wrong with the passphrase of that state; empty if nothing is."""
    sandbox_missing: tuple[str, ...] = ()
    """Programs of the sandbox that are not there."""


_MACHINE = (Group.MACHINE, Scope.MACHINE)


@check(
    "python",
    *_MACHINE,
    "Is Python new enough?",
    why="The program and the command use what Python 3.11 brought; an older one ends with a syntax or import error.",
    remedy="install Python 3.11 or newer, and make the virtual environment anew",
)
def python(look: "Look") -> Outcomes:
    """Python's version."""
    running = ".".join(map(str, look.machine.python))
    fits = look.machine.python >= _PYTHON
    yield ok(f"Python {running}") if fits else problem(f"Python is {running}; it must be 3.11 or newer")


@check(
    "pulumi",
    *_MACHINE,
    "Is the Pulumi CLI there, and as new as the tests need it?",
    why="`airis up` deploys with it; an older one may lack what the program uses. `airis up` downloads a missing one, "
    "which a machine without internet cannot.",
    remedy="install it as https://www.pulumi.com/docs/install/ says, and put `pulumi` on PATH",
)
def pulumi(look: "Look") -> Outcomes:
    """The CLI on PATH against the pinned one."""
    from semver import VersionInfo  # noqa: PLC0415  (only here)

    found, least = look.machine.pulumi, look.machine.minimum_pulumi
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
def provider(look: "Look") -> Outcomes:
    """The plugin in Pulumi's own folder, or on PATH."""
    wanted = look.machine.provider
    if wanted is None:
        yield problem("the package pulumi-kubernetes is not installed", "`pip install -r requirements.txt`")
    elif look.machine.provider_there:
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
def kubectl(look: "Look") -> Outcomes:
    """The one that airis uses."""
    found = look.machine.kubectl
    yield ok(f"kubectl: {found}") if found else problem("there is no kubectl")


@check(
    "state",
    *_MACHINE,
    "Is it settled where Pulumi keeps the state, and can its secrets be read?",
    why="Without the state Pulumi does not know what it has made; without the passphrase nobody can read the stack's secrets.",
    remedy="restore the folder .state from its backup, or set PULUMI_CONFIG_PASSPHRASE_FILE",
)
def state(look: "Look") -> Outcomes:
    """The backend and the passphrase of a local one."""
    yield problem(look.machine.passphrase) if look.machine.passphrase else ok(f"state: {look.machine.backend}")


@check(
    "sandbox",
    *_MACHINE,
    "Are the sandbox's programs there?",
    why="`airis rehearse` needs them, and gets them once: that takes minutes and needs internet.",
    remedy="`airis sandbox build`",
)
def sandbox(look: "Look") -> Outcomes:
    """The cached programs."""
    missing = look.machine.sandbox_missing
    yield warning(f"not built yet: {listed(missing)}") if missing else ok("the sandbox's programs are built")


def this_machine(folder: Path) -> Machine:
    """Looks at this machine, for the project in `folder`. Makes and changes nothing."""
    from airis.cluster import kubectl_binary  # noqa: PLC0415  (imports below what the engine needs)
    from airis.pulumi_cli import MINIMUM_CLI, provider_is_there  # noqa: PLC0415

    try:
        wanted: str | None = version("pulumi-kubernetes")
    except PackageNotFoundError:
        wanted = None
    found: str | None = None
    with suppress(AirisError):
        found = str(kubectl_binary())
    backend, passphrase = _backend(folder)
    return Machine(
        python=sys.version_info[:2],
        pulumi=_pulumi(),
        minimum_pulumi=str(MINIMUM_CLI),
        provider=wanted,
        provider_there=wanted is not None and provider_is_there({}),
        kubectl=found,
        backend=backend,
        passphrase=passphrase,
        sandbox_missing=_sandbox_missing(),
    )


def _pulumi() -> str | None:
    binary = shutil.which("pulumi")
    if binary is None:
        return None
    with suppress(OSError, subprocess.SubprocessError):
        environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
        result = subprocess.run(
            [binary, "version"], capture_output=True, text=True, timeout=_VERSION_SECONDS, check=True, env=environment
        )
        return result.stdout.strip().removeprefix("v")
    return ""


def _backend(folder: Path) -> tuple[str, str]:
    """Where the state lies, and what is wrong with its passphrase. What airis/state_backend.py would make is not made here."""
    chosen = os.environ.get("PULUMI_BACKEND_URL")
    if chosen or logged_in():
        return "the backend of `pulumi login`" if not chosen else "the backend in PULUMI_BACKEND_URL", _file_missing()
    here = folder / STATE_FOLDER
    given = {"PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"} & os.environ.keys()
    words = f"{STATE_FOLDER} beside the stack files" + ("" if here.is_dir() else ", made at the first `airis up`")
    if given:
        return words, _file_missing()
    lost = here.is_dir() and any(here.glob(".pulumi/stacks/**/*.json")) and not (here / "passphrase").is_file()
    return words, f"{STATE_FOLDER} holds stacks, and its file `passphrase` is gone" if lost else ""


def _file_missing() -> str:
    named = os.environ.get("PULUMI_CONFIG_PASSPHRASE_FILE")
    if named and not Path(named).is_file():
        return "PULUMI_CONFIG_PASSPHRASE_FILE names a file that does not exist"
    return ""


def _sandbox_missing() -> tuple[str, ...]:
    from airis.sandbox.binaries import PROGRAMS, cached  # noqa: PLC0415

    binaries = cached()
    return tuple(each.name for each in PROGRAMS if not binaries.path(each.name).exists())
