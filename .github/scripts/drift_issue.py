"""Keeps one issue for each stack that has drifted: opens it, brings it up to date, closes it.

Usage: drift_issue.py STACK EXIT_CODE FILE. The exit code and the output are those of `pulumi refresh --preview-only
--expect-no-changes`. A refresh that failed says nothing about drift: no issue is touched, and this ends with 1.
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
"""Pulumi's own exit code for changes where none were expected. Older ones end with 255 and only say so."""
_SAYS_CHANGED = re.compile(r"no changes were expected\b.* but changes")
_CHANGE = re.compile(r"\s*[-+~]+\s+\S+ \S+ (?:updat|delet|creat|replac)")
"""A line of Pulumi's progress that tells a difference; the others tell what it looks at."""
_ROOM = 1_000
_STACK = re.compile(r"[A-Za-z0-9_.-]+")


def main(stack: str, code: int, output: str) -> int:
    """Brings the issue in line with what the refresh found; returns the exit code."""
    if _STACK.fullmatch(stack) is None:
        sys.exit(f"error: {stack!r} is no name of a stack")
    drifted = code == _CHANGED or (code != 0 and _SAYS_CHANGED.search(output) is not None)
    if code and not drifted:
        print(f"the refresh itself failed (exit code {code}): whether stack {stack} has drifted is not known")
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
        api.post(f"issues/{number}/comments", {"body": f"The cluster is what stack {stack} says again."})
        api.patch(f"issues/{number}", {"state": "closed", "state_reason": "completed"})
        print(f"closed issue {number}")
    else:
        print(f"stack {stack} has not drifted")
    return 0


def _marker(stack: str) -> str:
    return f"<!-- airis-drift: {stack} -->"


def _open_issue(api: Api, marker: str) -> Mapping[str, Any] | None:
    for each in api.pages("issues", state="open", labels=LABEL):
        # Pull requests are issues, too
        if "pull_request" not in each and each["user"]["login"] == BOT and (each["body"] or "").startswith(marker):
            issue: Mapping[str, Any] = each
            return issue
    return None


def _body(stack: str, output: str) -> str:
    changes = [line.strip() for line in output.splitlines() if _CHANGE.match(line)]
    shown = "\n".join(changes) or output.strip()
    # Longer than every run of backticks within
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", shown))])
    if len(shown) > COMMENT_LIMIT - _ROOM:
        shown = f"{shown[: COMMENT_LIMIT - _ROOM]}\n... the rest is in the log"
    server, repository, run = (os.environ.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    log = f"[The log]({server}/{repository}/actions/runs/{run}) shows it whole.\n" if run else ""
    return (
        f"{_marker(stack)}\nSomebody or something else has changed what stack `{stack}` deployed. `airis preview -s {stack} "
        f"--diff` shows every field; `airis up -s {stack}` undoes it, and `airis refresh -s {stack}` takes it over into the "
        f"state.\n{log}\n{fence}text\n{shown}\n{fence}\n"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]).read_text(encoding="utf-8", errors="replace")))
