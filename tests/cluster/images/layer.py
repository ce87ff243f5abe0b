"""Layers of images: a folder that is built once, and cached as a tar archive."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from airis.cluster.programs.cache import cache_root
from airis.cluster.programs.locking import held, lock_at
from airis.terminal.errors import EnvironmentProblem
from airis.terminal.progress import step

_TAR = ("tar", "--create", "--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "--format=gnu")
"""Options for reproducible archives, in which root owns the files, as in most images."""

_SECONDS = 7200


class Layer(ABC):
    """A part of images' file systems. Each kind of layer is in a separate module with the code that builds it."""

    name: str

    @abstractmethod
    def inputs(self) -> Iterable[bytes]:
        """The inputs of the content: a change creates another layer."""

    @abstractmethod
    def fill(self, root: Path) -> None:
        """Writes the files into the empty folder `root`, which becomes the root of the file system.

        Raises EnvironmentProblem if it cannot.
        """

    @property
    def key(self) -> str:
        """A name for the cache, which depends on the inputs and the code."""
        code = Path(sys.modules[type(self).__module__].__file__ or "").read_bytes()
        digest = hashlib.sha256()
        for each in (code, *self.inputs()):
            digest.update(hashlib.sha256(each).digest())
        return f"{self.name}-{digest.hexdigest()[:12]}"

    def tar(self) -> Path:
        """Returns the layer as an uncompressed tar archive; the first call builds it.

        An interrupted build leaves no archive, and the next one removes its temporary files.
        """
        archive = folder() / f"{self.key}.tar"
        with held(lock_at(archive.with_suffix(".lock")), f"it builds the layer {self.name}"):
            if not archive.exists():
                with step(f"Building the layer {self.name}"), scratch(archive) as temporary:
                    root = temporary / "root"
                    root.mkdir()
                    self.fill(root)
                    part = temporary / "layer.tar"
                    run([*_TAR, f"--file={part}", f"--directory={root}", *sorted(each.name for each in root.iterdir())])
                    part.replace(archive)
        return archive


def folder() -> Path:
    """The folder of the cache with layers and images."""
    return cache_root() / "images"


@contextmanager
def scratch(target: Path) -> Iterator[Path]:
    """A temporary folder next to `target` while the block runs. First removes those of interrupted runs.

    The caller holds the lock of `target`, so no other process uses a folder with its name.
    """
    prefix = f".{target.name}-"
    for left in target.parent.glob(f"{prefix}*"):
        shutil.rmtree(left)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=target.parent) as temporary:
        yield Path(temporary)


def run(command: Sequence[Path | str], **environment: str) -> str:
    """Runs a build command, and returns its output.

    Raises EnvironmentProblem with the end of its stderr if it fails or takes longer than two hours.
    """
    name = Path(command[0]).name
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentProblem(f"{name} did not run: {error}", "see tests/cluster/images") from None
    if done.returncode:
        last = "\n".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-12:])
        raise EnvironmentProblem(f"{name} failed:\n{last}", "the build needs access to the package registries")
    return done.stdout
