"""Where Pulumi keeps a stack's state: the backend that the user has chosen, or a folder next to the stack files."""

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

STATE_FOLDER = ".state"
"""The folder with the state if no other backend is chosen, next to the stack files. Back it up."""


def backend(folder: Path) -> dict[str, str]:
    """The variables that select a backend: none if the user has chosen one, else a folder next to the stack files.

    The passphrase for that folder's secrets is generated on first use, in a file that only its owner can read.
    """
    if "PULUMI_BACKEND_URL" in os.environ or logged_in():
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


def logged_in() -> bool:
    """Whether `pulumi login` has chosen a backend. After `pulumi logout`, the file exists without one."""
    try:
        credentials = json.loads((pulumi_home(os.environ) / "credentials.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(isinstance(credentials, dict) and credentials.get("current"))


def pulumi_home(environment: Mapping[str, str]) -> Path:
    """Pulumi's own folder, with its plugins and its credentials."""
    return Path(environment.get("PULUMI_HOME") or os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
