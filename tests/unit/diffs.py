"""Diffs of stacks rendered in this process, and git repositories that contain the program."""

import subprocess
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from json import dumps, loads
from pathlib import Path
from typing import Any

from airis.diff.changes import whole
from airis.diff.model import Diff, FieldChange, ObjectChange
from airis.diff.registered import taken
from airis.diff.stack_objects import Side, side_of
from tests.unit.drawing import ROOT, stack_of

_SALT = b"the same on both sides"


def side(**settings: object) -> Side:
    """A stack with these settings, as one side of a diff; rendered once."""
    return _drawn(dumps(settings))


@cache
def _drawn(settings: str) -> Side:
    return side_of("drawn", {"problem": "", **taken(stack_of(**loads(settings)), _SALT)})


def render(config: Mapping[str, str]) -> Side:
    """Renders another configuration with this side's program."""
    try:
        return side_of("tried", {"problem": "", **taken(replace(stack_of(), config=dict(config)), _SALT)})
    except Exception as error:
        return Side("tried", problem=str(error))


def diff_of(before: dict[str, Any], after: dict[str, Any], *, why: bool = False) -> Diff:
    """The diff of two stacks; with `why`, including the reasons."""
    return whole("test", side(**before), side(**after), render if why else None)


def change(diff: Diff, kind: str, name: str) -> ObjectChange:
    """The only change of that object."""
    (found,) = [each for each in diff.changes if (each.kind, each.name) == (kind, name)]
    return found


def field(diff: Diff, kind: str, name: str, path: str) -> FieldChange:
    """The only field of that object with this path suffix."""
    (found,) = [each for each in change(diff, kind, name).fields if each.path.endswith(path)]
    return found


def words(diff: Diff, attribute: str) -> str:
    """All sentences of that kind, as one text."""
    told = [each for change in diff.changes for each in getattr(change, attribute)]
    return "\n".join(each if isinstance(each, str) else each.words for each in told)


def git(folder: Path, *args: str) -> str:
    """Runs git in a folder, with a fixed author and without the user's settings."""
    options = ("-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
    result = subprocess.run(
        ["git", "-C", str(folder), *options, *args], capture_output=True, text=True, timeout=30, check=True
    )
    return result.stdout.strip()


def committed_project(folder: Path) -> None:
    """A repository whose only commit contains the folder."""
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / ".gitignore").write_text("__pycache__/\n")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=base")


def copied_program(folder: Path) -> None:
    """A copy of the program, so that a revision may have other code than the tested one."""
    for each in ("__main__.py", "Pulumi.yaml", "Pulumi.cpu.yaml", "Pulumi.gpu.yaml"):
        (folder / each).write_bytes((ROOT / each).read_bytes())
    for package in ("airis", "components", "settings"):
        for file in (ROOT / package).rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts:
                target = folder / file.relative_to(ROOT)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(file.read_bytes())
