"""Compares stacks in the working tree with those in another revision, each side rendered by its own code."""

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from airis.diff.model import Diff
from airis.diff.revision import Revision, changed_files, checked_out, resolved
from airis.terminal.errors import AirisError

AFTER = "the working tree"

_SECONDS = 300.0
_LAST_LINES = 6
_FILES = 3
"""The maximum number of changed files to list."""


def diff_stacks(names: Sequence[str], base: str, root: Path) -> list[Diff]:
    """The changes from the revision `base` to the working tree, per stack; for all stacks of both sides if none is named.

    `root` is the folder with Pulumi.yaml. A separate process renders the other revision once for all stacks, with that
    revision's code; this process renders this side. If a side of a stack cannot be rendered, its diff contains a problem.

    Raises AirisError if `base` is not a revision of the repository, or a stack is on neither side, and EnvironmentProblem
    without git.
    """
    revision = resolved(base, root)
    salt = secrets.token_hex(16)
    with checked_out(revision) as folder, _started(folder, names, salt) as process:
        # Both revisions render concurrently
        from airis.diff.changes import whole
        from airis.diff.registered import configured, registered, taken
        from airis.diff.stack_objects import Side, side_of

        mine = registered(root, names, salt)
        theirs, broken = _answer(process)
        files = changed_files(revision)
        found = sorted({*mine, *theirs}) if not names else list(names)
        for name in found:
            if name not in mine and name not in theirs and not broken:
                configured(root, name)  # raises an error that lists the stacks

        def diff(name: str) -> Diff:
            before = Side(str(revision), problem=broken) if broken else side_of(str(revision), theirs.get(name))
            after = side_of(AFTER, mine.get(name))

            def render(config: Mapping[str, str]) -> Side:
                from dataclasses import replace

                stack = replace(configured(root, name), config=dict(config))
                try:
                    return side_of(AFTER, {"problem": "", **taken(stack, salt.encode())})
                except Exception as error:
                    return Side(AFTER, problem=str(error))

            return whole(name, before, after, render, _code(revision, files))

        return [diff(name) for name in found]


def _code(revision: Revision, files: Sequence[str]) -> str:
    """The description of changes of the code, with the changed files if they are few."""
    program = [
        each for each in files if not (each.startswith("Pulumi.") and each.endswith(".yaml")) and _is_program(each)
    ]
    return f"the program's code since {revision}" + (f" ({', '.join(program)})" if 0 < len(program) <= _FILES else "")


def _is_program(file: str) -> bool:
    return file.endswith((".py", ".sh", ".yaml")) and not file.startswith(
        ("tests/", "docs/", "benchmarks/", "examples/")
    )


@contextmanager
def _started(folder: Path, names: Sequence[str], salt: str) -> Iterator["subprocess.Popen[str]"]:
    """The process that renders the other revision; it ends with the block."""
    script = Path(__file__).with_name("registered.py")
    process = subprocess.Popen(
        [sys.executable, str(script)],
        cwd=next(
            each for each in (folder, *folder.parents) if each.is_dir()
        ),  # the project may not exist in that revision
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        start_new_session=True,  # Ctrl-C is for airis, which ends it
    )
    try:
        with suppress(BrokenPipeError):  # its error is on stderr
            process.stdin.write(json.dumps({"root": str(folder), "stacks": list(names), "salt": salt}))  # type: ignore[union-attr]
            process.stdin.close()  # type: ignore[union-attr]
        process.stdin = None
        yield process
    finally:
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for each in (process.stdout, process.stderr):
            if each is not None:
                each.close()


def _answer(process: "subprocess.Popen[str]") -> tuple[dict[str, Any], str]:
    """The stacks of the other revision; or none, and the reason."""
    try:
        out, err = process.communicate(timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        return {}, f"it did not render within {_SECONDS:.0f} s"
    if process.returncode == 0:
        with suppress(ValueError):
            return dict(json.loads(out)), ""
    last = [each for each in err.splitlines() if each.strip()][-_LAST_LINES:]
    return {}, "\n".join(last) or f"exit code {process.returncode}"


def require(diff: Diff) -> Diff:
    """The diff, if this side could be rendered. Raises AirisError otherwise."""
    for each in diff.problems:
        if each.side == "after":
            raise AirisError(each.words)
    return diff
