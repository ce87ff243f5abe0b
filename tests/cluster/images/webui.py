"""Layers of Open WebUI in the layout of its own image: /app/backend with the program, /app/build with the frontend."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.images.layer import Layer, run
from tests.cluster.images.python import Packages, compiled, locked
from tests.cluster.images.tools import install

_OWN = "open-webui"

_NEEDLESS = ("pyodide", "wasm")
"""Folders of the frontend: Python, and speech, inside the browser; 82 MB. Its source maps (80 MB) are left out, too."""


@dataclass(frozen=True)
class Release:
    """A release of Open WebUI, as a lock file pins it with its dependencies."""

    lock: Path
    base: Layer

    @property
    def version(self) -> str:
        """As `0.12.4`."""
        match = re.match(r"\S+?==(\S+)", locked(self.lock)[_OWN])
        assert match is not None
        return match[1]

    def dependencies(self) -> Packages:
        """The layer with everything but the program."""
        pins = tuple(each for name, each in locked(self.lock).items() if name != _OWN)
        return Packages("open-webui-dependencies", self.base, pins)

    def differences(self, other: "Release") -> Packages:
        """The layer with the dependencies that `other` does not have in the same version, for PYTHONPATH to put first."""
        same = set(locked(other.lock).items())
        pins = tuple(each for name, each in locked(self.lock).items() if name != _OWN and (name, each) not in same)
        return Packages(f"open-webui-{self.version}-differences", self.base, pins, DIFFERENCES)

    def program(self) -> "Program":
        """The layer with the program."""
        return Program(self.version, locked(self.lock)[_OWN], self.base)


DIFFERENCES = "opt/differences"
"""Where an image has the packages that come before those of the shared layer."""


@dataclass(frozen=True)
class Program(Layer):
    """/app, without start.sh."""

    version: str
    requirement: str
    base: Layer

    @property
    def name(self) -> str:  # type: ignore[override]
        """With the version."""
        return f"{_OWN}-{self.version}"

    def inputs(self) -> Iterable[bytes]:
        """The pin of the package."""
        return [self.requirement.encode()]

    def fill(self, root: Path) -> None:
        """Moves the package's parts to where the image has them."""
        lock, site, app = root.parent / "lock.txt", root.parent / "site", root / "app"
        lock.write_text(self.requirement)
        install(lock, site)
        package = app / "backend" / "open_webui"
        (app / "backend" / "data").mkdir(parents=True)
        (site / "open_webui").rename(package)
        (package / "frontend").rename(app / "build")
        (package / "CHANGELOG.md").rename(app / "CHANGELOG.md")
        (app / "package.json").write_text(json.dumps({"name": _OWN, "version": self.version}))
        run(["rm", "--recursive", *(app / "build").rglob("*.map"), *(app / "build" / each for each in _NEEDLESS)])
        compiled(package, self.base, root.parent / "base", "/app/backend/open_webui")
        (root / "root").mkdir(mode=0o700)
