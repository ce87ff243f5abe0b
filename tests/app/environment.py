"""The released Open WebUI in a separate environment: installed once, pinned by version and hash, kept in the cache.

`python -m tests.app.environment` installs it, and prints its progress.
"""

import hashlib
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from airis.cluster.programs.cache import cache_root
from airis.cluster.programs.locking import held, lock_at
from airis.terminal.errors import AirisError, EnvironmentProblem
from airis.terminal.progress import step
from tests import pinned

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
EXPORTERS = ("image", "newest")
"""Lock files of OpenTelemetry's packages, in `exporters/`: those of the image, and the newest. The package has none."""
FREE_BYTES = 9 * 10**9
"""The installation is 7 GB, of which 5 GB are PyTorch with its CUDA libraries: PyPI has no other build for Linux."""

_INSTALL_SECONDS = 1800


@dataclass(frozen=True)
class Environment:
    """A virtual environment with Open WebUI."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"


def version() -> str:
    """The pinned release."""
    match = re.search(r"^open-webui==(\S+)", REQUIREMENTS.read_text(encoding="utf-8"), re.MULTILINE)
    assert match is not None
    return match[1]


def obstacle() -> str | None:
    """The reason why the application cannot be installed here, if there is one."""
    if sys.platform != "linux":
        return "it takes Linux"
    if not (3, 11) <= sys.version_info < (3, 13):
        return f"Open WebUI {version()} takes Python 3.11 or 3.12, and this is {sys.version.split()[0]}"
    return None


def ensure() -> Environment:
    """The environment, which is first installed if it is missing, outdated or incomplete."""
    environment = Environment(cache_root() / f"open-webui-{version()}")
    marker = environment.folder / "complete"
    key = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()
    with held(lock_at(cache_root() / f"open-webui-{version()}.lock"), "it installs Open WebUI"):
        if not marker.is_file() or marker.read_text() != key:
            _install(environment)
            marker.write_text(key)  # last: an interrupted installation has no marker
    return environment


def exporters(release: str) -> Path:
    """A folder with OpenTelemetry's packages, one of `EXPORTERS`, for PYTHONPATH."""
    return _packages(REQUIREMENTS.parent / "exporters" / f"{release}.txt")


def servers() -> Path:
    """A folder with the packages of the servers that tests start next to the application, for PYTHONPATH."""
    return _packages(REQUIREMENTS.parent / "servers" / "requirements.txt")


def postgresql() -> Path:
    """A folder with the image's packages for PostgreSQL, which the package lacks, for PYTHONPATH."""
    return _packages(REQUIREMENTS.parent / "postgresql" / "requirements.txt")


def _packages(lock: Path) -> Path:
    """The packages of the lock file, which are first installed if they are missing."""
    folder = pinned.place("packages", lock.parent.name, lock.read_bytes() + sys.version.encode())
    with held(lock_at(folder.with_suffix(".lock")), "it installs packages"):
        if not folder.exists():
            part = folder.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            pins = ("--require-hashes", "--no-deps", "--requirement", str(lock))
            _uv("pip", "install", "--quiet", "--python", sys.executable, "--target", str(part), *pins)
            part.rename(folder)
    return folder


def _install(environment: Environment) -> None:
    shutil.rmtree(environment.folder, ignore_errors=True)
    environment.folder.mkdir(parents=True)
    free = shutil.disk_usage(environment.folder).free
    if free < FREE_BYTES:
        raise EnvironmentProblem(
            f"Open WebUI needs {FREE_BYTES / 1e9:.0f} GB, and {environment.folder} has {free / 1e9:.1f} GB left",
            "free some space, or set AIRIS_CACHE to a folder on another disk",
        )
    # On the same disk, uv hard-links files from its cache; deleting the cache afterwards then costs neither time nor space
    downloads = environment.folder / "downloads"
    with step(f"Installing Open WebUI {version()} (7 GB, once)"):
        _uv("venv", "--quiet", "--allow-existing", "--python", sys.executable, str(environment.folder))
        _uv(
            *("pip", "install", "--quiet", "--python", str(environment.python), "--cache-dir", str(downloads)),
            *("--require-hashes", "--no-deps", "--requirement", str(REQUIREMENTS)),
            "--compile-bytecode",  # otherwise, every start on a read-only root compiles its imports again, which takes a minute
        )
        shutil.rmtree(downloads)


def _uv(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "uv", *arguments], capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False
    )
    if done.returncode != 0:
        raise EnvironmentProblem("Open WebUI could not be installed", done.stderr.strip())


if __name__ == "__main__":
    if reason := obstacle():
        print(f"Open WebUI is not installed here: {reason}.", file=sys.stderr)
    else:
        try:
            ensure()
        except AirisError as problem:
            sys.exit(f"error: {problem}")
