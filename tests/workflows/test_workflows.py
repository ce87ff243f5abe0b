"""The workflows: findings of actionlint, and the rules that make it safe to run untrusted code in them."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from airis.terminal.errors import EnvironmentProblem
from tests import pinned
from tests.unit.drawing import ROOT

pytestmark = pytest.mark.timeout(300)  # the first run builds actionlint

HERE = Path(__file__).parent
FOLDER = ROOT / ".github" / "workflows"
WORKFLOWS = sorted(FOLDER.glob("*.y*ml"))
NAMES = [each.stem for each in WORKFLOWS]

USES = re.compile(r"^\s*(?:- )?uses: (?P<action>\S+?)(?:@(?P<version>\S+))?(?:\s+#\s*(?P<comment>.*))?$", re.MULTILINE)
FOREIGN = re.compile(r"\$\{\{[^}]*\b(?:github\.event\b|github\.head_ref\b|inputs\b|matrix\b|steps\b|vars\b|secrets\b)")
"""Expressions with untrusted text or credentials: a shell would execute them."""

every_workflow = pytest.mark.parametrize("file", WORKFLOWS, ids=NAMES)


def read(file: Path) -> dict[Any, Any]:
    loaded: dict[Any, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return loaded


def triggers(workflow: dict[Any, Any]) -> Any:
    return workflow[True]  # YAML 1.1 parses `on` as a Boolean


def jobs(workflow: dict[Any, Any]) -> dict[str, Any]:
    found: dict[str, Any] = workflow["jobs"]
    return found


def steps(workflow: dict[Any, Any]) -> list[dict[str, Any]]:
    return [step for job in jobs(workflow).values() for step in job["steps"]]


def lint(*files: Path) -> list[str]:
    """The findings of actionlint, one line each."""
    try:
        actionlint = pinned.go_program("scanners", "github.com/rhysd/actionlint/cmd/actionlint", HERE)
    except EnvironmentProblem as problem:
        pytest.skip(f"NOT CHECKED, because actionlint cannot be built here: {problem.message}")
    shellcheck = shutil.which("shellcheck") or ""
    options = ("-oneline", "-no-color", f"-shellcheck={shellcheck}", "-pyflakes=")
    result = subprocess.run(
        [actionlint, *options, *files], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode in (0, 1), result.stderr
    return result.stdout.splitlines()


def test_there_is_a_workflow_for_each_purpose() -> None:
    assert NAMES == ["ci", "comment", "drift", "preview", "release"]


def test_actionlint_finds_nothing() -> None:
    assert lint(*WORKFLOWS) == []


def test_actionlint_finds_errors(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yml"
    bad.write_text(
        "on: push\njobs:\n  one:\n    needs: two\n    runs-on: ubuntu-24.04\n    steps:\n"
        "      - run: echo ${{ github.event.pull_request.title }}\n"
    )
    found = "\n".join(lint(bad))
    assert "potentially untrusted" in found
    assert '"one" needs job "two" which does not exist' in found


@every_workflow
def test_every_action_is_pinned_by_commit_with_its_version(file: Path) -> None:
    found = list(USES.finditer(file.read_text(encoding="utf-8")))
    assert len(found) == sum("uses" in step for step in steps(read(file)))
    assert found
    for each in found:
        assert re.fullmatch(r"[0-9a-f]{40}", each["version"] or ""), each[0]
        assert re.match(r"v\d+\.\d+\.\d+\b", each["comment"] or ""), each[0]


def test_an_action_has_the_same_commit_and_version_everywhere() -> None:
    pins: dict[str, set[tuple[str, str]]] = {}
    for file in WORKFLOWS:
        for each in USES.finditer(file.read_text(encoding="utf-8")):
            pins.setdefault(each["action"], set()).add((each["version"], each["comment"].split()[0]))
    assert all(len(each) == 1 for each in pins.values()), pins


@every_workflow
def test_workflows_only_read_and_jobs_add_permissions(file: Path) -> None:
    workflow = read(file)
    assert workflow["permissions"] == {"contents": "read"}
    asked = {
        name: {key for key, value in job.get("permissions", {}).items() if value == "write"}
        for name, job in jobs(workflow).items()
    }
    expected = {
        "comment": {"comment": {"pull-requests"}},
        "drift": {"drift": {"issues"}},
        "release": {"test": set(), "release": {"contents"}},
    }
    assert asked == expected.get(file.stem, {name: set() for name in jobs(workflow)})


@every_workflow
def test_every_job_has_a_timeout(file: Path) -> None:
    for name, job in jobs(read(file)).items():
        assert 1 <= job["timeout-minutes"] <= 90, name


@every_workflow
def test_no_untrusted_text_is_in_a_shell_script(file: Path) -> None:
    for step in steps(read(file)):
        assert FOREIGN.search(step.get("run", "")) is None, step


@every_workflow
def test_no_token_is_left_in_the_working_tree(file: Path) -> None:
    checkouts = [step for step in steps(read(file)) if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


@every_workflow
def test_code_of_a_pull_request_never_runs_with_a_write_token(file: Path) -> None:
    on = triggers(read(file))
    assert "pull_request_target" not in on
    if "workflow_run" not in on:
        return
    for job in jobs(read(file)).values():
        (checkout,) = [step for step in job["steps"] if step.get("uses", "").startswith("actions/checkout@")]
        assert checkout["with"]["ref"] == "${{ github.event.repository.default_branch }}"
        # the download is outside of the working tree, and nothing in it is executed
        (download,) = [step for step in job["steps"] if step.get("uses", "").startswith("actions/download-artifact@")]
        assert download["with"]["path"].startswith("${{ runner.temp }}/")
        (run,) = [step["run"] for step in job["steps"] if "run" in step]
        assert run == 'python3 .github/scripts/post_comment.py "$RUN_ID" "$RUNNER_TEMP/review"'


def test_jobs_for_forks_have_no_credentials() -> None:
    preview = read(FOLDER / "preview.yml")
    for name, job in jobs(preview).items():
        uses_secrets = "secrets." in yaml.safe_dump(job)
        assert uses_secrets == (name == "pulumi")
    assert "github.event.pull_request.head.repo.full_name == github.repository" in jobs(preview)["pulumi"]["if"]
    for each in ("ci", "comment"):
        assert "secrets." not in (FOLDER / f"{each}.yml").read_text(encoding="utf-8")


def test_the_comment_is_uploaded_even_after_failures() -> None:
    review = jobs(read(FOLDER / "preview.yml"))["review"]["steps"]
    assert "review/number" in review[0]["run"]
    assert review[-1]["uses"].startswith("actions/upload-artifact@")
    assert review[-1]["if"] == "${{ !cancelled() }}"
    comment = read(FOLDER / "comment.yml")
    assert triggers(comment)["workflow_run"]["workflows"] == [read(FOLDER / "preview.yml")["name"]]
    assert review[-1]["with"]["name"] == "review"


def test_a_release_uses_no_cache() -> None:
    release = read(FOLDER / "release.yml")
    assert not [step for step in steps(release) if "cache" in step.get("uses", "") or "cache" in step.get("with", {})]
