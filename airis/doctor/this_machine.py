"""The programs and the state on this machine, as plain values."""

import os
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from airis.deploy.state_backend import STATE_FOLDER, logged_in
from airis.terminal.errors import AirisError

_VERSION_SECONDS = 20.0


@dataclass(frozen=True)
class Machine:
    """Installed programs, and the location of the state."""

    python: tuple[int, int]
    pulumi: str | None
    """Version of the CLI on PATH; None without one, empty if it reports none."""
    minimum_pulumi: str
    provider: str | None
    """Version of the pinned Kubernetes provider package; None if it is not installed."""
    provider_there: bool
    kubectl: str | None
    """Path of the kubectl that airis uses."""
    backend: str
    """Location of Pulumi's state."""
    passphrase: str
    """What is wrong with the state's passphrase; empty if nothing is."""
    sandbox_missing: tuple[str, ...] = ()
    """Programs of the sandbox that are not installed."""


def this_machine(folder: Path) -> Machine:
    """Observes this machine, for the project in `folder`. Changes nothing."""
    from airis.cluster.connection import kubectl_binary  # noqa: PLC0415  (imports below what the engine needs)
    from airis.deploy.pulumi_cli import MINIMUM_CLI, provider_is_there  # noqa: PLC0415

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
    """Location of the state, and what is wrong with its passphrase. Creates nothing, unlike airis/deploy/state_backend.py."""
    chosen = os.environ.get("PULUMI_BACKEND_URL")
    if chosen or logged_in():
        return "the backend of `pulumi login`" if not chosen else "the backend in PULUMI_BACKEND_URL", _file_missing()
    here = folder / STATE_FOLDER
    given = {"PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"} & os.environ.keys()
    words = f"{STATE_FOLDER} next to the stack files" + ("" if here.is_dir() else ", created by the first `airis up`")
    if given:
        return words, _file_missing()
    lost = here.is_dir() and any(here.glob(".pulumi/stacks/**/*.json")) and not (here / "passphrase").is_file()
    return words, f"{STATE_FOLDER} contains stacks, but its file `passphrase` is missing" if lost else ""


def _file_missing() -> str:
    named = os.environ.get("PULUMI_CONFIG_PASSPHRASE_FILE")
    if named and not Path(named).is_file():
        return "PULUMI_CONFIG_PASSPHRASE_FILE names a file that does not exist"
    return ""


def _sandbox_missing() -> tuple[str, ...]:
    from airis.cluster.programs.binaries import PROGRAMS, cached  # noqa: PLC0415

    binaries = cached()
    return tuple(each.name for each in PROGRAMS if not binaries.path(each.name).exists())
