"""What tests need beside the development tools: pinned, got once, and kept in the user's cache."""

import hashlib
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from airis.errors import EnvironmentProblem
from airis.sandbox import toolchain
from airis.sandbox.places import cache_root


def place(kind: str, name: str, pins: bytes) -> Path:
    """A folder of the cache, another one as soon as a pin changes."""
    return cache_root() / kind / f"{name}-{hashlib.sha256(pins).hexdigest()[:12]}"


def run(command: Sequence[Path | str], *, folder: Path, **environment: str) -> str:
    """Runs an installer in `folder`, and returns what it printed.

    Raises EnvironmentProblem when it cannot; what is not what was pinned is a failure, though.
    """
    result = subprocess.run(
        command, cwd=folder, env={**toolchain.environment(), **environment}, capture_output=True, text=True, check=False
    )
    if result.returncode:
        assert not re.search("do not match the hashes|checksum mismatch", result.stderr, re.IGNORECASE), result.stderr
        raise EnvironmentProblem(
            result.stderr.strip().rpartition("\n")[2], "the package registries must be reachable once"
        )
    return result.stdout
