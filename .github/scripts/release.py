"""Checks a release tag, and builds the files of a release.

Usage: release.py check TAG: checks that the tag is `v` and the version in pyproject.toml. release.py build TAG FOLDER: writes
the archive of that tag, SHA256SUMS and notes.md (the subjects of the commits since the previous tag) to FOLDER.
"""

import hashlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

_TAG = re.compile(r"v[0-9]+\.[0-9]+\.[0-9]+[A-Za-z0-9.+-]*")


def check(tag: str) -> None:
    """Exits with an error if the tag does not match the version."""
    version = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    if _TAG.fullmatch(tag) is None or tag != f"v{version}":
        sys.exit(f"error: the tag is {tag!r}, but pyproject.toml has version {version}: the tag must be v{version}")
    print(f"{tag} matches the version in pyproject.toml")


def build(tag: str, folder: Path) -> None:
    """Writes the archive, the checksums and the release notes."""
    check(tag)
    folder.mkdir(parents=True, exist_ok=True)
    name = f"airis-{tag[1:]}"
    archive = folder / f"{name}.tar.gz"
    _git("archive", f"--prefix={name}/", f"--output={archive.resolve()}", f"refs/tags/{tag}")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    (folder / "SHA256SUMS").write_text(f"{digest}  {archive.name}\n", encoding="utf-8")
    (folder / "notes.md").write_text(_notes(tag), encoding="utf-8")
    print(f"{archive.name}: sha256 {digest}")


def _notes(tag: str) -> str:
    merged = _git("tag", "--list", "v*", "--merged", f"refs/tags/{tag}", "--sort=-version:refname").split()
    before = next((each for each in merged if each != tag), None)
    range_ = f"refs/tags/{before}..refs/tags/{tag}" if before else f"refs/tags/{tag}"
    heading = f"Since {before}" if before else "The first release"
    return f"## {heading}\n\n{_git('log', '--no-merges', '--format=- %s', range_)}"


def _git(*arguments: str) -> str:
    result = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(f"error: git {arguments[0]}: {result.stderr.strip()}")
    return result.stdout


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["check", tag]:
            check(tag)
        case ["build", tag, folder]:
            build(tag, Path(folder))
        case _:
            sys.exit(__doc__)
