"""`airis diff`: selects the other side, and prints the diff."""

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
"""Limit of the Markdown output; comments on pull requests are cut to GitHub's limit elsewhere."""


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
    """Compares the stack with the other side, prints the differences, and returns the exit code.

    `output` is `table`, `markdown` or `json`; `cluster` is a snapshot to compare the stack with. Raises AirisError for an
    invalid stack, revision or file.
    """
    snapshot = None
    if cluster is not None:
        from airis.rehearse.snapshot import load_snapshot

        snapshot = load_snapshot(cluster)  # first, because errors in it are found quickly
    _warn(stack)
    diff = compared_with(stack, base, against)
    if snapshot is not None:
        from airis.diff.in_cluster import with_snapshot

        diff = with_snapshot(diff, stack, snapshot)
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
    """Prints the warnings of the stack's settings, as every command that renders it does."""
    from airis.stack_file.stacks import read_stack, settings_of

    with suppress(AirisError):  # the diff reports errors in the stack
        for words in settings_of(read_stack(stack, project_root())).warnings():
            tell(words)


def compared_with(stack: str, base: str | None, against: str | None) -> Diff:
    """The diff of the stack with a revision (by default HEAD), with the cluster, or with a file."""
    if base is not None and against is not None:
        raise Usage(
            "--base and --against are mutually exclusive", "compare with a revision, or with the cluster or a file"
        )
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
    """5 if data is affected, regardless of other findings; 3 if a side is unknown, or a change was not expected."""
    if diff.touches_data:
        return ExitCode.DATA
    if diff.broken or (expect_no_changes and diff.changes):
        return ExitCode.NOT_READY
    return ExitCode.OK
