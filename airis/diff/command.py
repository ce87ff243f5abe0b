"""`airis diff`: chooses the other side, and prints the diff."""

import json
import sys
from contextlib import suppress
from pathlib import Path

from airis.diff.model import Diff
from airis.diff.revisions import diff_stacks, require
from airis.stack_file.project import project_root
from airis.terminal.errors import AirisError, ExitCode
from airis.terminal.warnings import tell

CLUSTER = "cluster"
MARKDOWN_BYTES = 1_000_000
"""More than anybody reads; what goes into a comment is cut to GitHub's limit by whoever writes it."""


class Usage(AirisError):
    """Options that exclude each other."""

    exit_code = ExitCode.USAGE


def run(
    stack: str,
    base: str | None,
    against: str | None,
    output: str,
    *,
    cluster: Path | None = None,
    expect_no_changes: bool,
) -> ExitCode:
    """Compares the stack with the other side, prints how they differ, and returns what the command returns to the shell.

    `output` is `table`, `markdown` or `json`; `cluster` is a snapshot to hold the stack against. Raises AirisError for a stack,
    revision or file that is wrong.
    """
    snapshot = None
    if cluster is not None:
        from airis.rehearse.snapshot import load_snapshot

        snapshot = load_snapshot(cluster)  # before anything that takes longer
    _warn(stack)
    diff = compared_with(stack, base, against)
    if snapshot is not None:
        from airis.diff.in_cluster import held_against

        diff = held_against(diff, stack, snapshot)
    if output == "json":
        print(json.dumps(diff.to_json(), indent=2, ensure_ascii=False))
    elif output == "markdown":
        from airis.diff.markdown import written

        sys.stdout.write(written(diff, MARKDOWN_BYTES))
    else:
        from airis.diff.terminal import print_diff

        print_diff(diff)
    return exit_code(diff, expect_no_changes=expect_no_changes)


def _warn(stack: str) -> None:
    """Tells what the stack's settings warn of, as every command that renders it does."""
    from airis.stack_file.stacks import read_stack, settings_of

    with suppress(AirisError):  # what is wrong with the stack is in the diff
        for words in settings_of(read_stack(stack, project_root())).warnings():
            tell(words)


def compared_with(stack: str, base: str | None, against: str | None) -> Diff:
    """The diff of the stack with a revision (HEAD if nothing is named), with the cluster, or with a file."""
    if base is not None and against is not None:
        raise Usage("--base and --against exclude each other", "compare with a revision, or with a cluster or file")
    root = project_root()
    if against is None:
        return require(diff_stacks([stack], "HEAD" if base is None else base, root)[0])
    from airis.stack_file.stacks import read_stack

    read = read_stack(stack, root)
    if against == CLUSTER:
        from airis.diff.live import diff_cluster

        return diff_cluster(read)
    from airis.diff.against import diff_file

    return diff_file(read, Path(against))


def exit_code(diff: Diff, *, expect_no_changes: bool = False) -> ExitCode:
    """5 where data is touched, whatever else there is; 3 where a side is not known, or no change was expected."""
    if diff.touches_data:
        return ExitCode.DATA
    if diff.broken or (expect_no_changes and diff.changes):
        return ExitCode.NOT_READY
    return ExitCode.OK
