"""The Pulumi CLI: found on PATH, or installed by Pulumi's own installer."""

import os
import secrets
import subprocess
from pathlib import Path

from pulumi.automation import PulumiCommand

from airis.errors import EnvironmentProblem, ExitCode
from airis.progress import step
from airis.stacks import StackFile

STATE_FOLDER = ".state"
"""Where the state lives when no other backend is chosen: beside the stack files. Back it up."""


def find_or_install() -> PulumiCommand:
    """The Pulumi CLI that fits the SDK.

    Raises EnvironmentProblem with the manual steps where there is none and it cannot be downloaded.
    """
    try:
        return PulumiCommand()
    except Exception as found:  # the Automation API raises bare exceptions: not found, too old
        reason = str(found) or type(found).__name__
    try:
        with step(f"Installing the Pulumi CLI ({reason})"):
            return PulumiCommand.install()
    except Exception as error:
        raise EnvironmentProblem(
            f"the Pulumi CLI is missing and could not be installed: {error}",
            "install it as https://www.pulumi.com/docs/install/ says, put `pulumi` on PATH, and run this again",
        ) from None


def up(stack: StackFile, *, yes: bool) -> int:
    """Runs `pulumi up` for the stack with its native output, creating the stack in the backend if it is new.

    With `yes` it does not ask. Returns Pulumi's exit code.
    """
    return _run(stack, "up", *(["--yes"] if yes else []))


def destroy(stack: StackFile, *, yes: bool) -> int:
    """Runs `pulumi destroy`, without what is protected: the claims, their namespace and the session key stay.

    With `yes` it does not ask. Returns Pulumi's exit code.
    """
    return _run(stack, "destroy", "--exclude-protected", *(["--yes"] if yes else []))


def _run(stack: StackFile, command: str, *options: str) -> int:
    """Runs one command of Pulumi's in the program's folder; its input and output are the user's."""
    pulumi = find_or_install().command
    folder = stack.path.parent
    environment = {**os.environ, **backend(folder)}
    select = [pulumi, "stack", "select", stack.name, "--create", "--non-interactive"]
    selected = subprocess.run(select, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if selected.returncode:
        raise EnvironmentProblem(f"pulumi stack select {stack.name}: {selected.stderr.strip()}")
    try:
        return subprocess.run(
            [pulumi, command, "--stack", stack.name, *options], cwd=folder, env=environment, check=False
        ).returncode
    except KeyboardInterrupt:  # Pulumi has had the same Ctrl-C and has said what it means
        return ExitCode.INTERRUPTED


def backend(folder: Path) -> dict[str, str]:
    """The variables that choose a backend: the user's own choice, else a folder beside the stack files.

    The passphrase for that folder's secrets is made up on first use, in a file that only its owner can read.
    """
    if "PULUMI_BACKEND_URL" in os.environ or (Path.home() / ".pulumi" / "credentials.json").is_file():
        return {}
    state = folder / STATE_FOLDER
    state.mkdir(exist_ok=True, mode=0o700)
    variables = {"PULUMI_BACKEND_URL": state.as_uri()}
    if not {"PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"} & os.environ.keys():
        passphrase = state / "passphrase"
        if not passphrase.exists():
            descriptor = os.open(passphrase, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(32))
        variables["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(passphrase)
    return variables
