"""Pinned programs and Python packages that build images: CMake, Ninja, and the packages that write models."""

import sys
from pathlib import Path

from airis.cluster.programs.locking import held, lock_at
from tests import pinned
from tests.cluster.images.layer import run, scratch

LOCKS = Path(__file__).with_name("locks")


def install(requirements: Path, target: Path, *options: str) -> None:
    """Installs locked packages into a folder. Raises EnvironmentProblem if it cannot."""
    downloads = target.with_name("downloads")  # on the same disk, uv hard-links files from it
    uv = (sys.executable, "-m", "uv", "pip", "install", "--quiet", "--require-hashes", "--no-deps")
    run([*uv, "--cache-dir", downloads, "--target", target, "--requirement", requirements, *options])


def tools() -> Path:
    """The folder with the packages of locks/build-requirements.txt, for PYTHONPATH; the first call installs them."""
    lock = LOCKS / "build-requirements.txt"
    folder = pinned.place("images", "tools", lock.read_bytes() + sys.version.encode())
    with held(lock_at(folder.with_suffix(".lock")), "it installs what builds images"):
        if not folder.exists():
            with scratch(folder) as temporary:
                install(lock, temporary / "site")
                (temporary / "site").rename(folder)
    return folder
