"""As much of GitHub's API as the workflows' scripts use, on loopback, and the scripts run against it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.unit.drawing import ROOT

REPOSITORY = "team/airis"
BOT = "github-actions[bot]"
TOKEN = "token-of-the-test"
SHA = "c0ffee" + "0" * 34
SCRIPTS = ROOT / ".github" / "scripts"


def pull_request(number: int, *, sha: str = SHA, repository: str = "stranger/airis", branch: str = "more") -> Any:
    """An open pull request as the API lists it."""
    return {
        "number": number,
        "head": {"sha": sha, "ref": branch, "repo": {"full_name": repository}},
        "base": {"repo": {"full_name": REPOSITORY}},
    }


@dataclass
class FakeGitHub:
    """What GitHub knows; tests look at it afterwards."""

    runs: dict[int, Any] = field(default_factory=dict)
    pulls: list[Any] = field(default_factory=list)
    comments: dict[int, list[Any]] = field(default_factory=dict)
    """By the number of the issue or pull request."""
    issues: list[Any] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    """Every request that changes something, as `POST issues/7/comments`."""
    url: str = ""

    def run_of(
        self, *, number: int = 1, sha: str = SHA, repository: str = "stranger/airis", branch: str = "more"
    ) -> None:
        """A run of the preview workflow for a pull request."""
        self.runs[number] = {
            "event": "pull_request",
            "head_sha": sha,
            "head_branch": branch,
            "head_repository": {"full_name": repository, "owner": {"login": repository.partition("/")[0]}},
            "html_url": f"https://github.example/{REPOSITORY}/actions/runs/{number}",
        }

    def comment(self, number: int, body: str, login: str = BOT) -> Any:
        """Adds a comment, as if it had been there."""
        ident = 100 + sum(map(len, self.comments.values()))
        made = {"id": ident, "body": body, "user": {"login": login}}
        self.comments.setdefault(number, []).append(made)
        return made

    def script(self, name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Runs a script as the workflow does: no package, no other environment."""
        return subprocess.run(
            [sys.executable, str(SCRIPTS / name), *arguments],
            env={
                "PATH": os.environ["PATH"],
                "GITHUB_API_URL": self.url,
                "GITHUB_REPOSITORY": REPOSITORY,
                "GITHUB_TOKEN": TOKEN,
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Any:  # noqa: PLR0911
        """The answer to a request; None for what does not exist."""
        if method != "GET":
            self.writes.append(f"{method} {path}")
        match method, path.split("/"):
            case "GET", ["actions", "runs", number]:
                return self.runs.get(int(number))
            case "GET", ["pulls"]:
                owner, _, branch = query["head"].partition(":")
                found = [
                    each
                    for each in self.pulls
                    if each["head"]["ref"] == branch and each["head"]["repo"]["full_name"].startswith(f"{owner}/")
                ]
                return _page(found, query)
            case "GET", ["issues"]:
                return _page([each for each in self.issues if each["state"] == query["state"]], query)
            case "POST", ["issues"]:
                made = {**body, "number": len(self.issues) + 1, "state": "open", "user": {"login": BOT}}
                self.issues.append(made)
                return made
            case "PATCH", ["issues", "comments", ident]:
                (found,) = [each for all_ in self.comments.values() for each in all_ if each["id"] == int(ident)]
                found["body"] = body["body"]
                return found
            case "PATCH", ["issues", number]:
                (issue,) = [each for each in self.issues if each["number"] == int(number)]
                issue.update(body)
                return issue
            case "GET", ["issues", number, "comments"]:
                return _page(self.comments.get(int(number), []), query)
            case "POST", ["issues", number, "comments"]:
                return self.comment(int(number), body["body"])
        return None


def _page(items: list[Any], query: dict[str, str]) -> list[Any]:
    size, number = int(query["per_page"]), int(query["page"])
    return items[(number - 1) * size : number * size]


@contextmanager
def fake_github() -> Iterator[FakeGitHub]:
    """Serves it while the block runs."""
    github = FakeGitHub()

    class Handler(BaseHTTPRequestHandler):
        def handle_request(self) -> None:
            url = urlsplit(self.path)
            prefix = f"/repos/{REPOSITORY}/"
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            query = {key: values[0] for key, values in parse_qs(url.query).items()}
            found = None
            if url.path.startswith(prefix) and self.headers["Authorization"] == f"Bearer {TOKEN}":
                found = github.answer(self.command, url.path.removeprefix(prefix), query, body)
            data = json.dumps({"message": "Not Found"} if found is None else found).encode()
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = handle_request

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    github.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield github
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
