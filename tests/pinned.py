"""What tests need beside the development tools: pinned, got once, and kept in the user's cache."""

import hashlib
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from airis.cluster.programs import toolchain
from airis.cluster.programs.cache import cache_root
from airis.cluster.programs.locking import held, lock_at
from airis.terminal.errors import EnvironmentProblem
from airis.terminal.progress import step


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


def go_program(kind: str, package: str, folder: Path) -> Path:
    """A program built with Go, as the go.mod and go.sum in `folder` pin it. The package `.` is the folder's own main.go.

    Raises EnvironmentProblem when it cannot be built here.
    """
    own = package == "."
    name = folder.name if own else package.rpartition("/")[2]
    pins = b"".join((folder / each).read_bytes() for each in ("go.mod", "go.sum", *(["main.go"] if own else [])))
    program = place(kind, name, pins) / name
    with held(lock_at(program.parent.with_suffix(".lock")), f"it builds {name}"):
        if not program.exists():
            minimum = re.search(r"^go (\S+)$", (folder / "go.mod").read_text(encoding="utf-8"), re.MULTILINE)
            assert minimum is not None
            with step(f"Building {name}"):
                go = toolchain.find_go(minimum[1], cache_root())
                flags = ("-mod=readonly", "-trimpath", "-ldflags=-s -w")
                part = program.with_suffix(".part")
                run([go, "build", *flags, "-o", part, package], folder=folder, CGO_ENABLED="0", GOFLAGS="")
            part.replace(program)
    return program
