"""Maintains one issue for each stack that has drifted: opens, updates and closes it.

Usage: drift_issue.py STACK EXIT_CODE FILE. The exit code and the output are those of `pulumi refresh --preview-only
--expect-no-changes`. If the refresh failed, drift is unknown: the script changes no issue, and exits with 1.
"""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from github_api import BOT, COMMENT_LIMIT, Api

LABEL = "drift"

_CHANGED = 7
"""Pulumi's exit code for unexpected changes. Older versions exit with 255 and print a message."""
_SAYS_CHANGED = re.compile(r"no changes were expected\b.* but changes")
_CHANGE = re.compile(r"\s*[-+~]+\s+\S+ \S+ (?:updat|delet|creat|replac)")
"""A line of Pulumi's progress that reports a difference. Other lines report what Pulumi reads."""
_ROOM = 1_000
_STACK = re.compile(r"[A-Za-z0-9_.-]+")


def main(stack: str, code: int, output: str) -> int:
    """Updates the issue with the result of the refresh; returns the exit code."""
    if _STACK.fullmatch(stack) is None:
        sys.exit(f"error: {stack!r} is not a stack name")
    drifted = code == _CHANGED or (code != 0 and _SAYS_CHANGED.search(output) is not None)
    if code and not drifted:
        print(f"the refresh failed (exit code {code}): the drift of stack {stack} is unknown")
        return 1
    api = Api()
    issue = _open_issue(api, _marker(stack))
    if drifted:
        body = _body(stack, output)
        if issue is None:
            title = f"Stack {stack} has drifted"
            issue = api.post("issues", {"title": title, "body": body, "labels": [LABEL]})
            print(f"opened issue {issue['number']}")
        else:
            api.patch(f"issues/{int(issue['number'])}", {"body": body})
            print(f"updated issue {issue['number']}")
    elif issue is not None:
        number = int(issue["number"])
        api.post(f"issues/{number}/comments", {"body": f"Stack {stack} matches the cluster again."})
        api.patch(f"issues/{number}", {"state": "closed", "state_reason": "completed"})
        print(f"closed issue {number}")
    else:
        print(f"stack {stack} has not drifted")
    return 0


def _marker(stack: str) -> str:
    return f"<!-- airis-drift: {stack} -->"


def _open_issue(api: Api, marker: str) -> Mapping[str, Any] | None:
    for each in api.pages("issues", state="open", labels=LABEL):
        # The API lists pull requests as issues, too
        if "pull_request" not in each and each["user"]["login"] == BOT and (each["body"] or "").startswith(marker):
            issue: Mapping[str, Any] = each
            return issue
    return None


def _body(stack: str, output: str) -> str:
    changes = [line.strip() for line in output.splitlines() if _CHANGE.match(line)]
    shown = "\n".join(changes) or output.strip()
    # Longer than any run of backticks inside
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", shown))])
    if len(shown) > COMMENT_LIMIT - _ROOM:
        shown = f"{shown[: COMMENT_LIMIT - _ROOM]}\n... the rest is in the log"
    server, repository, run = (os.environ.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    log = f"For the full output, see [the log]({server}/{repository}/actions/runs/{run}).\n" if run else ""
    return (
        f"{_marker(stack)}\nThe objects of stack `{stack}` were changed outside of Pulumi. `airis preview -s {stack} --diff` "
        f"shows every field; `airis up -s {stack}` reverts the changes, and `airis refresh -s {stack}` writes them to the "
        f"state.\n{log}\n{fence}text\n{shown}\n{fence}\n"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]).read_text(encoding="utf-8", errors="replace")))
