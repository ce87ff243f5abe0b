"""The shell scripts of the workflows, run as the runner runs them: with what it sets, in a repository as checkout makes it."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.processes.repositories import git
from tests.unit.drawing import ROOT

pytestmark = pytest.mark.timeout(60)


def script(workflow: str, job: str, name: str) -> str:
    """The script of a step."""
    read: dict[str, Any] = yaml.safe_load(
        (ROOT / ".github" / "workflows" / f"{workflow}.yml").read_text(encoding="utf-8")
    )
    (step,) = [each for each in read["jobs"][job]["steps"] if each.get("name") == name]
    found: str = step["run"]
    return found


def run(text: str, folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """As GitHub's runner does: a file, run by `bash -e`."""
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", text],
        cwd=folder,
        env={"PATH": path, "HOME": str(folder), **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def stub(file: Path, code: int) -> Path:
    """A program that writes down its arguments and ends with `code`."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{file}.called"\necho "said by $0"\nexit {code}\n')
    file.chmod(0o755)
    return Path(f"{file}.called")


@pytest.fixture
def merged(tmp_path: Path) -> Path:
    """What checkout makes of a pull request: the merge of its branch with `main`, which has moved on since."""
    origin, work = tmp_path / "origin", tmp_path / "work"
    origin.mkdir()
    git(origin, "init", "--quiet", "--initial-branch=main")
    for branch, name in (("main", "first"), ("more", "theirs"), ("main", "ours")):
        if branch == "more":
            git(origin, "checkout", "--quiet", "-b", branch)
        elif name == "ours":
            git(origin, "checkout", "--quiet", branch)
        (origin / name).touch()
        git(origin, "add", ".")
        git(origin, "commit", "--quiet", "--message", name)
    git(tmp_path, "clone", "--quiet", str(origin), str(work))
    git(work, "checkout", "--quiet", "--detach")
    git(work, "merge", "--quiet", "--no-edit", "origin/more")
    return work


@pytest.mark.parametrize("code", [0, 3, 5])
def test_a_pull_request_is_compared_with_what_it_is_merged_into(code: int, merged: Path, tmp_path: Path) -> None:
    called = stub(merged / ".venv" / "bin" / "airis", code)
    text = script("preview", "review", "Review the stacks that change")
    result = run(text, merged, BASE_REF="main", RUNNER_TEMP=str(tmp_path))
    assert result.returncode == code, result.stderr
    base = git(merged, "rev-parse", "origin/main").strip()
    output = str(tmp_path / "review" / "comment.md")
    assert called.read_text().splitlines() == ["review", "--base", base, "--output", output]


def test_the_number_is_there_before_anything_can_fail(tmp_path: Path) -> None:
    result = run(script("preview", "review", "Note the pull request"), tmp_path, NUMBER="7", RUNNER_TEMP=str(tmp_path))
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "review" / "number").read_text() == "7\n"


@pytest.mark.parametrize("there", [True, False])
def test_the_summary_shows_the_comment_where_there_is_one(there: bool, tmp_path: Path) -> None:
    (tmp_path / "review").mkdir()
    if there:
        (tmp_path / "review" / "comment.md").write_text("the comment\n")
    summary = tmp_path / "summary.md"
    text = script("preview", "review", "Show it in the run's summary")
    result = run(text, tmp_path, RUNNER_TEMP=str(tmp_path), GITHUB_STEP_SUMMARY=str(summary))
    assert result.returncode == 0, result.stderr
    assert (summary.read_text() if summary.exists() else "") == ("the comment\n" if there else "")


@pytest.mark.parametrize("code", [0, 7, 1])
def test_what_the_refresh_ends_with_is_handed_on(code: int, tmp_path: Path) -> None:
    called = stub(tmp_path / "bin" / "pulumi", code)
    outputs = tmp_path / "outputs"
    text = script("drift", "drift", "Compare the state with the cluster")
    result = run(text, tmp_path, STACK="gpu", RUNNER_TEMP=str(tmp_path), GITHUB_OUTPUT=str(outputs))
    assert result.returncode == 0, result.stderr
    assert outputs.read_text() == f"code={code}\n"
    assert (tmp_path / "refresh.txt").read_text().startswith("said by")
    arguments = called.read_text().splitlines()
    assert arguments[0] == "refresh"
    assert {"--preview-only", "--expect-no-changes", "--non-interactive"} <= {*arguments}
    assert arguments[-2:] == ["--stack", "gpu"]


@pytest.mark.parametrize(("workflow", "job"), [("preview", "pulumi"), ("drift", "drift")])
def test_a_kubeconfig_is_for_its_owner_alone(workflow: str, job: str, tmp_path: Path) -> None:
    variables = tmp_path / "variables"
    text = script(workflow, job, "Write the kubeconfig")
    result = run(
        text, tmp_path, KUBECONFIG_TEXT="a: $(id)\nb: 'c'", RUNNER_TEMP=str(tmp_path), GITHUB_ENV=str(variables)
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    file = tmp_path / "kubeconfig"
    assert file.read_text() == "a: $(id)\nb: 'c'\n"
    assert file.stat().st_mode & 0o077 == 0
    assert variables.read_text() == f"KUBECONFIG={file}\n"
