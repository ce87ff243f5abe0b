"""Posts the review as a comment on the pull request, or edits the existing comment.

Usage: post_comment.py RUN_ID FOLDER. FOLDER is the artifact of that run: `number` and `comment.md`. The artifact is untrusted:
the run may be from a fork, whose author controls every byte. So the script only treats it as text, and finds the pull request
through GitHub's data on the run, not through the artifact.
"""

import os
import re
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from github_api import BOT, COMMENT_LIMIT, Api

MARKER = "<!-- airis-review -->"
"""The first line of the comment, which identifies it. `airis review` writes it."""

_NUMBER_BYTES = 20
_MENTION = re.compile(r"(?<!\w)@(?=[A-Za-z0-9])")
_NO_BREAK = "\u2060"
"""An invisible character between @ and a name: untrusted text must not notify users."""


class Refused(Exception):
    """The artifact is invalid. Nothing is posted."""


def main(run_id: str, folder: Path) -> None:
    """Posts the comment of a run; prints the result on stdout."""
    api = Api()
    run = api.get(f"actions/runs/{int(run_id)}")
    number = _pull_request(api, run, _claimed_number(folder))
    if number is None:
        return
    body = _body(folder, run)
    for comment in api.pages(f"issues/{number}/comments"):
        if comment["user"]["login"] == BOT and comment["body"].startswith(MARKER):
            api.patch(f"issues/comments/{int(comment['id'])}", {"body": body})
            print(f"edited comment {comment['id']} of pull request {number}")
            return
    made = api.post(f"issues/{number}/comments", {"body": body})
    print(f"wrote comment {made['id']} into pull request {number}")


def _pull_request(api: Api, run: Mapping[str, Any], claimed: int | None) -> int | None:
    """The open pull request with the run's commit as its head; None if it was closed, or has a newer head.

    It is looked up by its branch, because GitHub does not find pull requests from forks by their commit. `claimed` only selects
    between pull requests of the same commit.
    """
    source = run["head_repository"]
    if run["event"] != "pull_request" or source is None:
        print("nothing to comment: the run is not for a pull request, or its fork was deleted")
        return None
    branch = f"{source['owner']['login']}:{run['head_branch']}"
    found = {
        int(each["number"]): each["head"]["sha"]
        for each in api.pages("pulls", state="open", head=branch)
        if (each["head"]["repo"] or {}).get("full_name") == source["full_name"]
        and each["base"]["repo"]["full_name"] == api.repository
    }
    if claimed is not None and found and claimed not in found:
        raise Refused(f"the artifact is for pull request {claimed}, but the run is for another one")
    heads = [number for number, sha in found.items() if sha == run["head_sha"] and claimed in (None, number)]
    if not heads:
        print(f"nothing to comment: no open pull request has {run['head_sha']} as its head; it was closed or updated")
        return None
    if len(heads) > 1:
        raise Refused(f"the artifact does not select one of these pull requests: {sorted(heads)}")
    return heads[0]


def _claimed_number(folder: Path) -> int | None:
    text = _text(folder / "number", _NUMBER_BYTES)
    if text is None:
        return None
    if re.fullmatch(r"[0-9]+", text.strip()) is None:
        raise Refused("the artifact's number is not a number")
    return int(text)


def _body(folder: Path, run: Mapping[str, Any]) -> str:
    """The comment. Without one in the artifact, it states that the review was aborted."""
    text = _text(folder / "comment.md", 4 * COMMENT_LIMIT)
    if text is None:
        why = f"The review was aborted: see [its log]({run['html_url']})."
        return f"{MARKER}\n### Review of {run['head_sha'][:10]}\n\n{why}\n"
    if not text.startswith(f"{MARKER}\n"):
        raise Refused(f"the artifact's comment does not begin with {MARKER}")
    body = _MENTION.sub(f"@{_NO_BREAK}", text)
    if len(body) > COMMENT_LIMIT:
        raise Refused(f"the artifact's comment has {len(body)} characters, but GitHub's limit is {COMMENT_LIMIT}")
    return body


def _text(path: Path, limit: int) -> str | None:
    """The text of a regular file; None if it does not exist. A link is refused: it could point to a file of this machine."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Refused(f"the artifact's {path.name} is not a regular file: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise Refused(f"the artifact's {path.name} is not a regular file")
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise Refused(f"the artifact's {path.name} has more than {limit} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Refused(f"the artifact's {path.name} is not UTF-8 text") from None


if __name__ == "__main__":
    try:
        main(sys.argv[1], Path(sys.argv[2]))
    except Refused as refusal:
        sys.exit(f"refused: {refusal}")
