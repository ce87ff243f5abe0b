"""Layers of Debian packages, unpacked without running their maintainer scripts: no debootstrap, and a small image."""

import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from airis.terminal.errors import EnvironmentProblem
from tests.cluster.images.layer import Layer, run
from tests.cluster.node import packages

_MERGED = ("bin", "lib", "lib64", "sbin")
"""Debian has had these below /usr since its release 12; the packages of that release still name them as they were."""

_NEEDLESS = (
    *(f"usr/share/{name}" for name in ("bug", "doc", "i18n", "info", "lintian", "locale", "man")),
    *("usr/bin/perl*", "usr/lib/*/perl*", "usr/share/perl*"),  # the packages' scripts want it
)

_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


@dataclass(frozen=True)
class Debian(Layer):
    """Packages of a Debian release with all that they depend on, in their newest version: the archive keeps no older one.

    `drop` are patterns of paths that the images do without.
    """

    suite: str
    packages: tuple[str, ...]
    drop: tuple[str, ...] = ()

    @property
    def name(self) -> str:  # type: ignore[override]
        """The release's name."""
        return self.suite

    def inputs(self) -> Iterable[bytes]:
        """The release and the packages."""
        return [repr(self).encode()]

    def fill(self, root: Path) -> None:
        """Downloads and unpacks; makes the links and the users that the packages' scripts would make."""
        packages.ensure(["debian-archive-keyring"])
        apt = root.parent / "apt"
        for name in _MERGED:
            (root / "usr" / name).mkdir(parents=True)
            (root / name).symlink_to(f"usr/{name}")
        for name in ("run", "var"):
            (root / name).mkdir()
        (root / "var/run").symlink_to("../run")
        for each in sorted(_downloaded(self.suite, self.packages, apt)):
            _unpack(each, root)
        for master in root.glob("usr/share/base-passwd/*.master"):
            (root / "etc" / master.stem).write_bytes(master.read_bytes())
        needless = [path for pattern in (*_NEEDLESS, *self.drop) for path in root.glob(pattern)]
        run(["rm", "--recursive", "--force", *needless])


def _downloaded(suite: str, wanted: Iterable[str], apt: Path) -> Iterable[Path]:
    """The archives of the packages and of their dependencies, fetched with a state of apt's own below `apt`."""
    for each in ("lists/partial", "archives/partial", "empty"):
        (apt / each).mkdir(parents=True)
    (apt / "status").touch()
    main, security = _mirrors()
    (apt / "sources.list").write_text(
        "".join(
            f"deb [signed-by={_KEYRING}] {mirror} {name} main\n"
            for mirror, name in ((main, suite), (main, f"{suite}-updates"), (security, f"{suite}-security"))
        )
    )
    options = {
        "Dir::State": apt,
        "Dir::State::lists": apt / "lists",
        "Dir::State::status": apt / "status",
        "Dir::Cache": apt,
        "Dir::Cache::archives": apt / "archives",
        "Dir::Etc::sourcelist": apt / "sources.list",
        "Dir::Etc::sourceparts": apt / "empty",
        "Dir::Etc::preferencesparts": apt / "empty",
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "root",  # the folder is in root's cache
        "Acquire::Languages": "none",
    }
    command = ["apt-get", "--quiet", "--yes", *(f"--option={name}={value}" for name, value in options.items())]
    run([*command, "update"])
    run([*command, "install", "--download-only", *wanted])
    return (apt / "archives").glob("*.deb")


@cache
def _mirrors() -> tuple[str, str]:
    """Where this machine gets Debian and its security updates from."""
    listed = run(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]).split()
    security = [each for each in listed if "security" in each]
    main = [each for each in listed if each not in security]
    if not main or not security:
        raise EnvironmentProblem("apt knows no mirror of Debian and its security updates", "the images need Debian")
    return main[0], security[0]


def _unpack(package: Path, root: Path) -> None:
    """--keep-directory-symlink: a package's /lib goes where the link leads."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as opened:
        run_tar = ["tar", "--extract", "--keep-directory-symlink", f"--directory={root}"]
        done = subprocess.run(run_tar, stdin=opened.stdout, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode or opened.returncode:
        raise EnvironmentProblem(f"{os.fspath(package.name)} could not be unpacked: {done.stderr[-300:]}", "try again")
