"""`make quick`: the tests that a change concerns, for the loop of writing and trying.

Prints the arguments for pytest. A change is what differs from the branch `main` (on `main` itself: from the last commit), with
files that git does not know yet. `make test` asks everything.
"""

import subprocess
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[1]

_PROGRAM = ("airis/*", "components/*", "settings/*", "policy/*", "__main__.py", "Pulumi*.yaml", "pyproject.toml")
_PAGES = ("docs/*", "README.md", "examples/*", "mkdocs.yml")

CONCERNED: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    ((*_PROGRAM, "tests/unit/conftest.py", "tests/unit/drawing.py"), ("tests/unit",)),
    (("airis/diff/*",), ("tests/processes/test_diff_revisions.py",)),
    (("airis/review/*", ".github/scripts/*"), ("tests/processes/test_review_command.py",)),
    (("airis/deploy/open_webui.py", "airis/deploy/relay.py"), ("tests/processes/test_open.py",)),
    (("airis/backup/*",), ("tests/processes/test_backup_agent.py",)),
    (("components/*.sh", "components/prepare.py", "components/one_process.py"), ("tests/processes/test_start.py",)),
    (_PAGES, ("tests/docs/test_pages.py", "tests/docs/test_settings_named.py", "tests/docs/test_yaml.py")),
    ((".github/*",), ("tests/workflows",)),
)
"""Patterns of changed files, and the tests that such a change concerns."""


def concerned(changed: Iterable[str]) -> list[str]:
    """The files and folders of tests to run for these changed files: the changed tests themselves, and those of `CONCERNED`."""
    found = dict.fromkeys(each for file in changed for each in _of(file))
    return [each for each in found if not any(each.startswith(f"{other}/") for other in found)]


def _of(file: str) -> Iterator[str]:
    for patterns, tests in CONCERNED:
        if any(fnmatch(file, pattern) for pattern in patterns):
            yield from tests
    if fnmatch(file, "tests/*/test_*.py") and (ROOT / file).is_file():
        yield file


def _changed() -> list[str]:
    base = _git("merge-base", "HEAD", "main") or ["HEAD"]
    return [*_git("diff", "--name-only", base[0]), *_git("ls-files", "--others", "--exclude-standard")]


def _git(*args: str) -> list[str]:
    done = subprocess.run(["git", *args], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    return done.stdout.splitlines()


if __name__ == "__main__":
    print(*concerned(_changed()))
