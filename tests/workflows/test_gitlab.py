"""The GitLab example: its jobs, and the note that it writes through the API, with a fake GitLab."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from airis.review.comment import MARKER
from tests.unit.drawing import ROOT

pytestmark = pytest.mark.timeout(60)

RECIPE: dict[str, Any] = yaml.safe_load((ROOT / "examples" / "ci" / "gitlab-ci.yml").read_text(encoding="utf-8"))
TOKEN = "token-of-the-test"
NOTES = "/api/v4/projects/5/merge_requests/7/notes"
ME = 42

needs_tools = pytest.mark.skipif(
    not (shutil.which("curl") and shutil.which("jq")), reason="NOT RUN: the recipe's image has curl and jq"
)


class GitLab:
    """The notes of one merge request."""

    def __init__(self) -> None:
        self.notes: list[dict[str, Any]] = []
        self.writes: list[str] = []
        self.url = ""

    def add(self, body: str, author: int = ME) -> None:
        self.notes.append({"id": len(self.notes) + 1, "body": body, "author": {"id": author}})

    def answer(self, method: str, path: str, body: str) -> Any:
        match method, path:
            case "GET", "/api/v4/user":
                return {"id": ME}
            case "GET", _ if path == NOTES:
                return self.notes
            case "POST", _ if path == NOTES:
                self.writes.append(f"POST {path}")
                self.add(body)
                return self.notes[-1]
            case "PUT", _ if path.startswith(f"{NOTES}/"):
                self.writes.append(f"PUT {path}")
                self.notes[int(path.rpartition("/")[2]) - 1]["body"] = body
                return {}
        return None


@pytest.fixture
def gitlab() -> Iterator[GitLab]:
    gitlab = GitLab()

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            found = None
            if self.headers["PRIVATE-TOKEN"] == TOKEN:
                found = gitlab.answer(self.command, urlsplit(self.path).path, parse_qs(sent).get("body", [""])[0])
            data = json.dumps(found).encode()
            self.send_response(200 if found is not None else 404)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = handle_any

        def log_message(self, format: str, *args: object) -> None:
            """Logs nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    gitlab.url = f"http://127.0.0.1:{server.server_port}/api/v4"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield gitlab
    server.shutdown()
    thread.join()
    server.server_close()


def note(gitlab: GitLab, folder: Path, text: str) -> None:
    """Runs the job's script like GitLab's runner: all lines in one shell, which stops at the first failure."""
    (folder / "comment.md").write_text(text, encoding="utf-8")
    result = subprocess.run(
        ["sh", "-e", "-c", "\n".join(RECIPE["note"]["script"])],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "CI_API_V4_URL": gitlab.url,
            "CI_PROJECT_ID": "5",
            "CI_MERGE_REQUEST_IID": "7",
            "REVIEW_TOKEN": TOKEN,
        },
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert TOKEN not in result.stdout + result.stderr


@needs_tools
def test_the_note_is_written_once_and_then_edited(gitlab: GitLab, tmp_path: Path) -> None:
    gitlab.add(f"{MARKER}\nmine is alike", author=1)
    gitlab.add("a discussion", author=ME)
    hostile = f"{MARKER}\n`$(touch {tmp_path}/run)` & body=1 % + \"'ü\n"
    note(gitlab, tmp_path, hostile)
    note(gitlab, tmp_path, f"{MARKER}\nagain\n")
    assert gitlab.writes == [f"POST {NOTES}", f"PUT {NOTES}/3"]
    assert [each["body"] for each in gitlab.notes] == [
        f"{MARKER}\nmine is alike",
        "a discussion",
        f"{MARKER}\nagain\n",
    ]
    assert not (tmp_path / "run").exists()


@needs_tools
def test_the_text_is_posted_unchanged(gitlab: GitLab, tmp_path: Path) -> None:
    text = f"{MARKER}\n`$(id)` & body=1 % + \"'ü\n"
    note(gitlab, tmp_path, text)
    assert [each["body"] for each in gitlab.notes] == [text]


def test_the_job_with_the_token_runs_no_code_of_the_merge_request() -> None:
    assert RECIPE["note"]["variables"] == {"GIT_STRATEGY": "none"}
    assert RECIPE["note"]["rules"][0]["when"] == "always"
    assert "REVIEW_TOKEN" not in yaml.safe_dump(RECIPE["review"])
    assert RECIPE["review"]["artifacts"]["when"] == "always"
    assert all("timeout" in RECIPE[job] for job in ("review", "note"))
