"""`airis review`: writes the comment, and the same data as JSON."""

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from airis.review.comment import comment, failure
from airis.review.gather import Failed, StackReview, gather, worst
from airis.stack_file.stacks import project_root
from airis.terminal.errors import AirisError, ExitCode

VERSION = 1
"""Version of the JSON. Adding keys keeps it; renaming or removing keys increments it."""


def review(
    base: str,
    names: Sequence[str],
    *,
    rehearse: bool,
    nodes: Path | None,
    cluster: Path | None,
    output: Path | None,
    json_file: Path | None,
    timeout_seconds: float,
) -> ExitCode:
    """Reviews the named stacks, or all that change, and writes the comment to `output` or stdout. Returns the exit code.

    If the stacks cannot be compared, writes a comment with the reason, and raises AirisError.
    """
    root = project_root()
    try:
        reviews = gather(
            base, names, root, rehearse=rehearse, nodes=nodes, cluster=cluster, timeout_seconds=timeout_seconds
        )
    except AirisError as error:
        _write(failure(str(error), base), output)
        raise
    code = worst(each.exit_code for each in reviews)
    _write(comment(reviews, base), output)
    if json_file is not None:
        body = {"version": VERSION, "base": base, "exitCode": int(code), "stacks": [_stack(each) for each in reviews]}
        _write(json.dumps(body, indent=2) + "\n", json_file)
    return code


def _write(text: str, path: Path | None) -> None:
    if path is None:
        sys.stdout.write(text)
        return
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise AirisError(f"{path} cannot be written: {error.strerror}") from None


def _stack(review: StackReview) -> dict[str, Any]:
    return {
        **review.diff.to_json(),
        "exitCode": int(review.exit_code),
        "rehearsal": _outcome(review.rehearsal),
        "policy": _outcome(review.policy),
    }


def _outcome(outcome: Any) -> dict[str, Any] | None:
    if outcome is None:
        return None
    if isinstance(outcome, Failed):
        return {"ok": False, "error": outcome.words}
    ok = outcome.ok if hasattr(outcome, "ok") else outcome.exit_code is ExitCode.OK
    return {"ok": ok, "summary": outcome.summary(), **dataclasses.asdict(outcome)}
