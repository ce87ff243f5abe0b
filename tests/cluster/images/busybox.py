"""A layer of busybox, linked statically, with all its commands."""

from collections.abc import Iterable
from pathlib import Path

from tests.cluster.images.debian import Debian
from tests.cluster.images.layer import Layer, run

_PACKAGE = Debian("bookworm", ("busybox-static",))


class Busybox(Layer):
    """Debian's busybox-static."""

    name = "busybox"

    def inputs(self) -> Iterable[bytes]:
        """The package."""
        return [_PACKAGE.key.encode()]

    def fill(self, root: Path) -> None:
        """Unpacks it; each command is a link."""
        _PACKAGE.fill(root)
        program = root / "bin/busybox"
        for command in run([program, "--list"]).split():
            if not (link := root / "bin" / command).exists():
                link.symlink_to("busybox")
        (root / "tmp").mkdir()
        (root / "tmp").chmod(0o1777)
