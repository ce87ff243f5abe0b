"""The scripts of the workflows, against a stand-in for GitHub: what they write, and what they refuse to."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from airis.review.comment import LIMIT, MARKER
from tests.processes.fake_github import BOT, REPOSITORY, SCRIPTS, SHA, TOKEN, FakeGitHub, fake_github, pull_request
from tests.processes.repositories import git

pytestmark = pytest.mark.timeout(60)

COMMENT = f"{MARKER}\n### What this change does\n\nNothing.\n"


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    """Run 1 is of pull request 7, from a fork."""
    with fake_github() as github:
        github.run_of()
        github.pulls.append(pull_request(7))
        yield github


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    folder = tmp_path / "review"
    folder.mkdir()
    (folder / "number").write_text("7\n")
    (folder / "comment.md").write_text(COMMENT)
    return folder


def post(github: FakeGitHub, artifact: Path) -> tuple[int, str]:
    result = github.script("post_comment.py", "1", str(artifact))
    assert TOKEN not in result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    return result.returncode, result.stdout + result.stderr


def refusal(github: FakeGitHub, artifact: Path) -> str:
    """What it says when it posts nothing, because something is not right."""
    code, said = post(github, artifact)
    assert code == 1
    assert said.startswith("refused: ")
    assert github.writes == []
    return said.removeprefix("refused: ").strip()


def test_the_comment_is_written_once_and_then_edited_in_place(github: FakeGitHub, artifact: Path) -> None:
    code, said = post(github, artifact)
    assert (code, said) == (0, "wrote comment 100 into pull request 7\n")
    (artifact / "comment.md").write_text(f"{COMMENT}And more.\n")
    code, said = post(github, artifact)
    assert (code, said) == (0, "edited comment 100 of pull request 7\n")
    assert [each["body"] for each in github.comments[7]] == [f"{COMMENT}And more.\n"]
    assert github.writes == ["POST issues/7/comments", "PATCH issues/comments/100"]


def test_the_comment_is_found_behind_many_others_and_only_the_bots_own_is_edited(
    github: FakeGitHub, artifact: Path
) -> None:
    github.comment(7, f"{MARKER}\nI have the same first line", login="stranger")
    github.comment(7, f"quoting: {MARKER}")
    for _ in range(150):
        github.comment(7, "a discussion", login="somebody")
    old = github.comment(7, f"{MARKER}\nthe last review")
    assert post(github, artifact)[0] == 0
    assert old["body"] == COMMENT
    assert github.writes == [f"PATCH issues/comments/{old['id']}"]


def test_a_number_of_another_pull_request_is_refused(github: FakeGitHub, artifact: Path) -> None:
    github.pulls.append(pull_request(8, sha="0" * 40, repository="somebody/airis"))
    (artifact / "number").write_text("8")
    assert refusal(github, artifact) == "the artifact names pull request 8, and the run is of another one"


@pytest.mark.parametrize("number", ["", "7; rm -rf /", "../7", "-7", "\u0667", "7" * 30])
def test_a_number_that_is_none_is_refused(number: str, github: FakeGitHub, artifact: Path) -> None:
    (artifact / "number").write_text(number)
    assert "number" in refusal(github, artifact)


def test_the_number_only_chooses_between_pull_requests_of_the_same_commit(github: FakeGitHub, artifact: Path) -> None:
    github.pulls.append(pull_request(9))
    (artifact / "number").write_text("9")
    assert post(github, artifact)[0] == 0
    assert list(github.comments) == [9]
    (artifact / "number").unlink()
    github.writes.clear()
    assert "does not say which" in refusal(github, artifact)


def test_a_pull_request_of_the_same_branch_name_in_another_fork_is_not_commented(
    github: FakeGitHub, artifact: Path
) -> None:
    github.pulls[:] = [pull_request(7, repository="stranger/another")]
    code, said = post(github, artifact)
    assert code == 0
    assert said.startswith("nothing to comment: no open pull request")
    assert github.writes == []


def test_a_review_of_an_older_commit_is_not_posted(github: FakeGitHub, artifact: Path) -> None:
    github.pulls[:] = [pull_request(7, sha="1" * 40)]
    code, said = post(github, artifact)
    assert code == 0
    assert "has moved on" in said
    assert github.writes == []


@pytest.mark.parametrize("change", [{"event": "push"}, {"head_repository": None}])
def test_a_run_of_no_pull_request_is_not_commented(
    change: dict[str, object], github: FakeGitHub, artifact: Path
) -> None:
    github.runs[1].update(change)
    code, said = post(github, artifact)
    assert (code, github.writes) == (0, [])
    assert said.startswith("nothing to comment")


def test_a_text_without_the_marker_is_refused(github: FakeGitHub, artifact: Path) -> None:
    (artifact / "comment.md").write_text("Buy now\n")
    assert MARKER in refusal(github, artifact)


def test_what_github_does_not_take_is_refused(github: FakeGitHub, artifact: Path) -> None:
    text = f"{MARKER}\n"
    (artifact / "comment.md").write_text(text + "x" * (LIMIT - len(text) + 1))
    assert refusal(github, artifact) == f"the artifact's comment has {LIMIT + 1} characters, and GitHub takes {LIMIT}"
    (artifact / "comment.md").write_text(text + "x" * (5 * LIMIT))
    assert refusal(github, artifact) == f"the artifact's comment.md has more than {4 * LIMIT} bytes"
    (artifact / "comment.md").write_text(text + "ü" * (LIMIT - len(text)), encoding="utf-8")
    assert post(github, artifact)[0] == 0


def test_what_is_no_text_or_no_file_is_refused(github: FakeGitHub, artifact: Path, tmp_path: Path) -> None:
    comment = artifact / "comment.md"
    comment.write_bytes(MARKER.encode() + b"\n\xff")
    assert "not text" in refusal(github, artifact)
    comment.unlink()
    (tmp_path / "secret").write_text(f"{MARKER}\na credential of this machine")
    comment.symlink_to(tmp_path / "secret")
    assert "no plain file" in refusal(github, artifact)
    comment.unlink()
    comment.mkdir()
    assert "no plain file" in refusal(github, artifact)
    comment.rmdir()
    os.mkfifo(comment)
    assert "no plain file" in refusal(github, artifact)


def test_nobody_is_called_by_a_comment(github: FakeGitHub, artifact: Path) -> None:
    (artifact / "comment.md").write_text(f"{COMMENT}@everybody (@team/all) `@code` image@sha256:0 mail@example.com\n")
    assert post(github, artifact)[0] == 0
    body = github.comments[7][0]["body"]
    assert body.replace("\u2060", "").endswith("@everybody (@team/all) `@code` image@sha256:0 mail@example.com\n")
    assert "@everybody" not in body
    assert "@team" not in body
    assert "image@sha256:0 mail@example.com" in body


@pytest.mark.parametrize("with_number", [True, False])
def test_a_review_that_broke_off_is_said_in_the_comment(with_number: bool, github: FakeGitHub, tmp_path: Path) -> None:
    if with_number:
        (tmp_path / "number").write_text("7")
    assert post(github, tmp_path)[0] == 0
    (made,) = github.comments[7]
    assert made["body"].startswith(f"{MARKER}\n")
    assert SHA[:10] in made["body"]
    assert github.runs[1]["html_url"] in made["body"]


def test_an_answer_that_is_an_error_ends_without_a_traceback(github: FakeGitHub, artifact: Path) -> None:
    github.runs.clear()
    code, said = post(github, artifact)
    assert code == 1
    assert said.startswith("error: GET actions/runs/1: 404")


# --- drift ---------------------------------------------------------------------------------------------------------------

CHANGED = """Previewing refresh (gpu):
 ~  kubernetes:core/v1:Namespace namespace refreshing
 ~  kubernetes:core/v1:Secret airis-secrets refreshing [diff: +stringData-data]
    kubernetes:core/v1:Namespace namespace
 ~  kubernetes:apps/v1:Deployment airis-deployment update [diff: ~spec];
Resources:
    ~ 1 to update
    17 unchanged

error: no changes were expected for refresh but changes were proposed
"""


def drift(github: FakeGitHub, folder: Path, code: int, output: str = "", stack: str = "gpu") -> tuple[int, str]:
    (folder / "refresh.txt").write_text(output)
    result = github.script("drift_issue.py", stack, str(code), str(folder / "refresh.txt"))
    assert "Traceback" not in result.stderr
    return result.returncode, result.stdout + result.stderr


def test_drift_opens_one_issue_updates_it_and_closes_it(github: FakeGitHub, tmp_path: Path) -> None:
    assert drift(github, tmp_path, 0) == (0, "stack gpu has not drifted\n")
    assert github.writes == []

    assert drift(github, tmp_path, 7, CHANGED) == (0, "opened issue 1\n")
    (issue,) = github.issues
    assert issue["title"] == "Stack gpu has drifted"
    assert issue["labels"] == ["drift"]
    assert "~  kubernetes:apps/v1:Deployment airis-deployment update [diff: ~spec];" in issue["body"]
    assert "refreshing" not in issue["body"]  # what did not change is not in the way

    assert drift(github, tmp_path, 7, "~ something else\n") == (0, "updated issue 1\n")
    assert len(github.issues) == 1
    assert "something else" in github.issues[0]["body"]
    assert "airis-deployment" not in github.issues[0]["body"]

    assert drift(github, tmp_path, 7, CHANGED, stack="cpu") == (0, "opened issue 2\n")
    assert drift(github, tmp_path, 0) == (0, "closed issue 1\n")
    assert [each["state"] for each in github.issues] == ["closed", "open"]
    assert github.comments[1][0]["body"] == "The cluster is what stack gpu says again."


@pytest.mark.parametrize("output", [CHANGED, "error: no changes were expected but changes occurred\n"])
def test_a_cli_without_an_exit_code_of_its_own_for_changes_is_understood(
    output: str, github: FakeGitHub, tmp_path: Path
) -> None:
    assert drift(github, tmp_path, 255, output) == (0, "opened issue 1\n")


@pytest.mark.parametrize("code", [1, 255, -9])
def test_a_refresh_that_failed_says_nothing_about_drift(code: int, github: FakeGitHub, tmp_path: Path) -> None:
    github.issues.append(
        {"number": 1, "state": "open", "user": {"login": BOT}, "body": "<!-- airis-drift: gpu -->\nold"}
    )
    failed, said = drift(github, tmp_path, code, "error: the cluster does not answer\n")
    assert failed == 1
    assert "is not known" in said
    assert github.writes == []


def test_an_issue_that_somebody_else_wrote_is_left_alone(github: FakeGitHub, tmp_path: Path) -> None:
    body = "<!-- airis-drift: gpu -->\nmine"
    github.issues.append({"number": 1, "state": "open", "user": {"login": "stranger"}, "body": body})
    github.issues.append({"number": 2, "state": "open", "user": {"login": BOT}, "body": body, "pull_request": {}})
    assert drift(github, tmp_path, 7, CHANGED) == (0, "opened issue 3\n")
    assert [each["body"] for each in github.issues[:2]] == [body, body]


def test_output_cannot_break_out_of_its_block_and_fits(github: FakeGitHub, tmp_path: Path) -> None:
    assert drift(github, tmp_path, 7, "````\n@team <!-- " + "x" * 100_000)[0] == 0
    body = github.issues[0]["body"]
    assert len(body) <= LIMIT
    assert body.rstrip().endswith("\n`````")
    assert "the rest is in the log" in body


# --- release -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Three commits: v0.1.0, one more, and v0.2.0."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    for version, subject, tag in (("0.1.0", "Begin", "v0.1.0"), ("0.2.0", "Add", ""), ("0.2.0", "Mend", "v0.2.0")):
        (folder / "pyproject.toml").write_text(f'[project]\nversion = "{version}"\n')
        (folder / "file").write_text(subject)
        git(folder, "add", ".")
        git(folder, "commit", "--quiet", "--message", subject)
        if tag:
            git(folder, "tag", tag)
    return folder


def release(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(SCRIPTS / "release.py"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=30, check=False)


def test_a_release_is_the_tags_files_with_their_checksum_and_what_happened_since(
    repository: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    result = release(repository, "build", "v0.2.0", str(out))
    assert result.returncode == 0, result.stderr
    assert sorted(each.name for each in out.iterdir()) == ["SHA256SUMS", "airis-0.2.0.tar.gz", "notes.md"]
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=out, check=True)
    listed = subprocess.run(["tar", "-tzf", "airis-0.2.0.tar.gz"], cwd=out, capture_output=True, text=True, check=True)
    assert "airis-0.2.0/pyproject.toml" in listed.stdout.split()
    assert (out / "notes.md").read_text() == "## Since v0.1.0\n\n- Mend\n- Add\n"


def test_the_first_release_tells_everything(repository: Path, tmp_path: Path) -> None:
    git(repository, "checkout", "--quiet", "v0.1.0")
    assert release(repository, "build", "v0.1.0", str(tmp_path / "out")).returncode == 0
    assert (tmp_path / "out" / "notes.md").read_text() == "## The first release\n\n- Begin\n"


@pytest.mark.parametrize("tag", ["v0.1.0", "0.2.0", "v0.2", "v0.2.0; true", "--help"])
def test_a_tag_that_is_not_the_version_is_refused(tag: str, repository: Path, tmp_path: Path) -> None:
    result = release(repository, "build", tag, str(tmp_path / "out"))
    assert result.returncode == 1
    assert "the tag must be v0.2.0" in result.stderr
    assert not (tmp_path / "out").exists()


def test_the_repository_is_the_one_of_the_run(github: FakeGitHub, artifact: Path) -> None:
    github.pulls[0]["base"]["repo"]["full_name"] = "team/elsewhere"
    code, said = post(github, artifact)
    assert (code, github.writes) == (0, [])
    assert REPOSITORY not in said
