"""Layers of programs that are built from Go modules: those of the node's services, and those pinned in the folder `go`."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from airis.cluster.programs.binaries import Program, building, cached, ensure
from airis.cluster.programs.cache import cache_root
from tests.cluster.images.layer import Layer
from tests.cluster.node import packages

GO = Path(__file__).with_name("go")


@dataclass(frozen=True)
class Built(Layer):
    """One program, at /usr/bin."""

    program: Program

    @property
    def name(self) -> str:  # type: ignore[override]
        """The program's name."""
        return self.program.name

    def inputs(self) -> Iterable[bytes]:
        """The name of the cached program's folder, which follows from its pins."""
        return [cached(programs=(self.program,)).folder.name.encode()]

    def fill(self, root: Path) -> None:
        """Builds it where it is not cached."""
        if self.program.cgo:
            packages.ensure(["g++"])
        built = ensure([building(cache_root())], programs=(self.program,)).path(self.name)
        (root / "usr/bin").mkdir(parents=True)
        shutil.copy2(built, root / "usr/bin")
