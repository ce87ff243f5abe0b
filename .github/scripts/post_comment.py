"""Writes the review into the pull request, or edits the comment that is there.

Usage: post_comment.py RUN_ID FOLDER. FOLDER is the artifact of that run: `number` and `comment.md`. The run may be one of a
fork: whoever opened the pull request chose every byte of it. So it is text, and never anything else; and which pull request
it belongs to is what GitHub says of the run, not what the artifact says.
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
"""The first line of the comment, by which it is found again. `airis review` writes it."""

_NUMBER_BYTES = 20
_MENTION = re.compile(r"(?<!\w)@(?=[A-Za-z0-9])")
_NO_BREAK = "\u2060"
"""Stands between @ and a name, unseen: nobody is called by what a stranger wrote."""


class Refused(Exception):
    """The artifact is not what it should be. Nothing is posted."""


def main(run_id: str, folder: Path) -> None:
    """Posts the comment of a run; says on stdout what was done."""
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
    """The open pull request whose head the run is about; None if there is none any more, or it has moved on.

    It is looked up by the branch, because by the commit GitHub does not find those of forks; and its head must be the
    run's commit. `claimed` only chooses between pull requests of the same commit.
    """
    source = run["head_repository"]
    if run["event"] != "pull_request" or source is None:
        print("nothing to comment: the run is not of a pull request, or its fork is gone")
        return None
    branch = f"{source['owner']['login']}:{run['head_branch']}"
    found = {
        int(each["number"]): each["head"]["sha"]
        for each in api.pages("pulls", state="open", head=branch)
        if (each["head"]["repo"] or {}).get("full_name") == source["full_name"]
        and each["base"]["repo"]["full_name"] == api.repository
    }
    if claimed is not None and found and claimed not in found:
        raise Refused(f"the artifact names pull request {claimed}, and the run is of another one")
    heads = [number for number, sha in found.items() if sha == run["head_sha"] and claimed in (None, number)]
    if not heads:
        print(
            f"nothing to comment: no open pull request has {run['head_sha']} as its head; it was closed or has moved on"
        )
        return None
    if len(heads) > 1:
        raise Refused(f"the artifact does not say which of these pull requests it is about: {sorted(heads)}")
    return heads[0]


def _claimed_number(folder: Path) -> int | None:
    text = _text(folder / "number", _NUMBER_BYTES)
    if text is None:
        return None
    if re.fullmatch(r"[0-9]+", text.strip()) is None:
        raise Refused("the artifact's number is not a number")
    return int(text)


def _body(folder: Path, run: Mapping[str, Any]) -> str:
    """The comment. Where the review did not get that far, it says so."""
    text = _text(folder / "comment.md", 4 * COMMENT_LIMIT)
    if text is None:
        why = f"The review broke off: [its log]({run['html_url']}) says why."
        return f"{MARKER}\n### Review of {run['head_sha'][:10]}\n\n{why}\n"
    if not text.startswith(f"{MARKER}\n"):
        raise Refused(f"the artifact's comment does not begin with {MARKER}")
    body = _MENTION.sub(f"@{_NO_BREAK}", text)
    if len(body) > COMMENT_LIMIT:
        raise Refused(f"the artifact's comment has {len(body)} characters, and GitHub takes {COMMENT_LIMIT}")
    return body


def _text(path: Path, limit: int) -> str | None:
    """What the file holds, which is a plain file: a link could lead to something of this machine."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Refused(f"the artifact's {path.name} is no plain file: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise Refused(f"the artifact's {path.name} is no plain file")
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise Refused(f"the artifact's {path.name} has more than {limit} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Refused(f"the artifact's {path.name} is not text in UTF-8") from None


if __name__ == "__main__":
    try:
        main(sys.argv[1], Path(sys.argv[2]))
    except Refused as refusal:
        sys.exit(f"refused: {refusal}")
