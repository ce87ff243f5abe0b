"""Layers of Python packages, installed as a lock file pins them and compiled for the Python of the image."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.images.layer import Layer, run
from tests.cluster.images.tools import install

_PLATFORM = ("--python-version", "3.11.2", "--python-platform", "x86_64-manylinux_2_36", "--only-binary=:all:")
"""The Python and the C library of Debian 12."""

_PYTHON_2 = "olefile2[.]py"
"""Modules that no Python 3 compiles; nothing imports them."""


def locked(lock: Path) -> Mapping[str, str]:
    """The requirement of each package in a lock file, with its hashes."""
    text = lock.read_text(encoding="utf-8")
    return {block.partition("==")[0]: block for block in re.split(r"\n(?=\S)", text) if "==" in block}


@dataclass(frozen=True)
class Packages(Layer):
    """Packages at `target`, a path in the image. `base` is the layer with Python."""

    name: str
    base: Layer
    requirements: tuple[str, ...]
    target: str = "usr/local/lib/python3.11/dist-packages"

    def inputs(self) -> Iterable[bytes]:
        """The pins. Not the layer below: any build of its Python compiles the same."""
        return [self.target.encode(), "\n".join(self.requirements).encode()]

    def fill(self, root: Path) -> None:
        """Installs and compiles."""
        lock = root.parent / "lock.txt"
        lock.write_text("\n".join(self.requirements))
        (root / self.target).parent.mkdir(parents=True)
        site = root.parent / "site"
        install(lock, site, *_PLATFORM)
        run(["rm", "--recursive", "--force", *site.rglob("tests"), site / "bin", site / ".lock"])
        compiled(site, self.base, root.parent / "base", f"/{self.target}")
        site.rename(root / self.target)


def compiled(folder: Path, base: Layer, scratch: Path, path: str) -> None:
    """Compiles the modules below `folder`, which is at `path` in the image: else every pod does at each start, for a minute.

    The Python of the layer `base` does, unpacked into `scratch` and started by its own loader: this machine may have
    another one. The compiled files are taken as they are, whatever the times of the sources.
    """
    scratch.mkdir(exist_ok=True)
    run(["tar", "--extract", f"--file={base.tar()}", f"--directory={scratch}"])
    libraries = f"{scratch}/usr/lib/x86_64-linux-gnu"
    run(
        [
            *(scratch / "usr/lib64/ld-linux-x86-64.so.2", "--library-path", libraries, scratch / "usr/bin/python3.11"),
            *("-I", "-m", "compileall", "-qq", "-j", "0", "--invalidation-mode", "unchecked-hash"),
            *("-x", _PYTHON_2, "-s", folder, "-p", path, folder),
        ],
        PYTHONHOME=str(scratch / "usr"),
    )
