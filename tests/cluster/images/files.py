"""Layers of files that lie in the folder `files` as they are in the image, and of folders for what is written at run time."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.images.layer import Layer, run

FILES = Path(__file__).with_name("files")


@dataclass(frozen=True)
class Files(Layer):
    """The files below `files/<name>`."""

    name: str

    def inputs(self) -> Iterable[bytes]:
        """Names, modes and contents."""
        for each in sorted((FILES / self.name).rglob("*")):
            yield f"{each.relative_to(FILES)} {each.lstat().st_mode:o}".encode()
            if each.is_file():
                yield each.read_bytes()

    def fill(self, root: Path) -> None:
        """Copies them."""
        run(["cp", "--recursive", "--no-dereference", "--preserve=mode", f"{FILES / self.name}/.", root])


@dataclass(frozen=True)
class Writable(Layer):
    """Empty folders that everybody may write to, as /tmp is."""

    paths: tuple[str, ...] = ("tmp",)

    name = "writable"

    def inputs(self) -> Iterable[bytes]:
        """The paths."""
        return [repr(self.paths).encode()]

    def fill(self, root: Path) -> None:
        """Makes them."""
        for each in self.paths:
            (root / each).mkdir(parents=True)
            (root / each).chmod(0o1777)
