"""`airis review` on two commits, up to the comment in the pull request."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from airis.cluster.finding import Finding, State
from airis.diff import Action, Diff, ObjectChange, Totals
from airis.rehearse.verdict import Verdict
from airis.review import gather
from airis.review.comment import MARKER
from airis.review.gather import Places
from airis.stack_file.stacks import stack_names
from airis.terminal.errors import AirisError, EnvironmentProblem
from tests.processes.fake_github import SCRIPTS, fake_github, pull_request
from tests.processes.repositories import git
from tests.unit.conftest import Command
from tests.unit.drawing import ROOT

pytestmark = pytest.mark.timeout(120)

HOST = "config:\n  airis:ingress:\n    host: {}\n"


class Rehearsals:
    """A fake sandbox that records rehearsals, their nodes, and the number of sandboxes."""

    def __init__(self) -> None:
        self.sandboxes = 0
        self.rehearsed: dict[str, Path | None] = {}
        self.snapshots: dict[str, Path | None] = {}
        self.outcomes: dict[str, Verdict | AirisError] = {}
        self.problem: AirisError | None = None

    @contextmanager
    def borrowed_sandbox(self) -> Iterator[object]:
        if self.problem is not None:
            raise self.problem
        self.sandboxes += 1
        yield self

    def rehearse_stack(
        self, name: str, nodes: Path | None, *, cluster: Path | None, timeout_seconds: float, sandbox: object
    ) -> Verdict:
        assert sandbox is self
        assert timeout_seconds == 60
        self.rehearsed[name] = nodes
        self.snapshots[name] = cluster
        ready = Verdict(name, (Finding("Namespace", name, "", State.READY),), 1.0)
        outcome = self.outcomes.get(name, ready)
        if isinstance(outcome, AirisError):
            raise outcome
        return outcome


@pytest.fixture
def rehearsals(monkeypatch: pytest.MonkeyPatch) -> Rehearsals:
    stand_in = Rehearsals()
    monkeypatch.setattr(gather, "borrowed_sandbox", stand_in.borrowed_sandbox)
    monkeypatch.setattr(gather, "rehearse_stack", stand_in.rehearse_stack)
    return stand_in


@pytest.fixture
def repository(project: Path) -> Path:
    """The project as a repository whose only commit has the stacks `one` and `two`."""
    for file in project.glob("Pulumi.*.yaml"):
        file.unlink()
    for name in ("one", "two"):
        (project / f"Pulumi.{name}.yaml").write_text(HOST.format(f"{name}.example.com"))
    git(project, "init", "--quiet", "--initial-branch=main")
    git(project, "add", ".")
    git(project, "commit", "--quiet", "--message=base")
    return project


@pytest.fixture
def everything_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fast fake diff of each stack, for tests of other parts."""

    def diff_stacks(names: Sequence[str], base: str, root: Path) -> list[Diff]:
        changed = ObjectChange("Ingress", "airis", "airis-ingress", Action.CHANGED)
        return [Diff(name, base, "now", (changed,), Totals(), Totals()) for name in names or stack_names(root)]

    monkeypatch.setattr(gather, "diff_stacks", diff_stacks)


def change(repository: Path, name: str, text: str) -> None:
    (repository / f"Pulumi.{name}.yaml").write_text(text)


def reviewed(repository: Path, command: Command, *options: str) -> tuple[int, str, dict[str, Any]]:
    """Exit code, comment and JSON."""
    out, body = repository / "out.md", repository / "out.json"
    code, printed, err = command("review", "--base", "main", "--output", str(out), "--json", str(body), *options)
    assert printed == ""
    assert "Traceback" not in err
    found = {each["stack"]: each for each in json.loads(body.read_text())["stacks"]}
    assert json.loads(body.read_text())["exitCode"] == code
    return code, out.read_text(encoding="utf-8"), found


def test_only_stacks_that_change_are_reviewed(repository: Path, command: Command, rehearsals: Rehearsals) -> None:
    change(repository, "two", HOST.format("three.example.com"))
    code, text, stacks = reviewed(repository, command)
    assert code == 0
    assert list(stacks) == ["two"]
    assert stacks["two"]["rehearsal"]["ok"] is True
    assert stacks["two"]["policy"]["ok"] is True
    assert list(rehearsals.rehearsed) == ["two"]
    assert "three.example.com" in text
    assert "one.example.com" not in text


def test_nothing_is_rehearsed_if_nothing_changes(repository: Path, command: Command, rehearsals: Rehearsals) -> None:
    code, text, stacks = reviewed(repository, command)
    assert (code, stacks) == (0, {})
    assert "No stack changes" in text
    assert rehearsals.sandboxes == 0


def test_a_named_stack_is_always_reviewed(repository: Path, command: Command, rehearsals: Rehearsals) -> None:
    change(repository, "two", HOST.format("three.example.com"))
    code, _, stacks = reviewed(repository, command, "--stack", "one")
    assert code == 0
    assert list(stacks) == ["one"]
    assert list(rehearsals.rehearsed) == ["one"]


def test_all_stacks_share_one_sandbox_and_each_has_its_nodes(
    repository: Path, command: Command, rehearsals: Rehearsals, everything_changes: None
) -> None:
    nodes = repository / "examples" / "nodes"
    nodes.mkdir(parents=True)
    (nodes / "two.yaml").write_text("nodes: []\n")
    for name in ("three", "four", "five"):
        change(repository, name, HOST.format("new.example.com"))
    assert reviewed(repository, command)[0] == 0
    assert rehearsals.sandboxes == 1
    assert rehearsals.rehearsed == dict.fromkeys(("five", "four", "one", "three")) | {"two": nodes / "two.yaml"}


def test_nodes_and_snapshots_are_a_file_for_all_stacks_or_a_folder_by_stack(tmp_path: Path) -> None:
    own, named = tmp_path / "own", tmp_path / "own" / "two.yaml"
    own.mkdir()
    named.touch()

    def places(name: str, nodes: Path | None = None, cluster: Path | None = None, root: Path = tmp_path) -> Places:
        return gather.places_of(name, nodes, cluster, root)

    assert places("two") == Places()
    assert places("two", own) == Places(named)
    assert places("one", own) == Places()
    assert places("one", named) == Places(named)
    assert places("two", cluster=own) == Places(None, named)
    assert places("one", cluster=own) == Places()
    assert places("one", cluster=named) == Places(None, named)
    assert places("two", named, own) == Places(named, named)
    assert places("production", root=ROOT) == Places(ROOT / "examples" / "nodes" / "production.yaml")
    for option, given in (("--nodes", {"nodes": tmp_path / "none"}), ("--cluster", {"cluster": tmp_path / "none"})):
        with pytest.raises(AirisError, match=option):
            places("one", **given)


def test_a_default_snapshot_replaces_default_nodes(tmp_path: Path) -> None:
    for folder in (gather.NODES, gather.CLUSTERS):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "two.yaml").touch()
    assert gather.places_of("two", None, None, tmp_path) == Places(None, tmp_path / gather.CLUSTERS / "two.yaml")


def test_no_sandbox_is_started_without_rehearsal(repository: Path, command: Command, rehearsals: Rehearsals) -> None:
    change(repository, "two", HOST.format("three.example.com"))
    code, text, stacks = reviewed(repository, command, "--no-rehearsal")
    assert (code, rehearsals.sandboxes) == (0, 0)
    assert stacks["two"]["rehearsal"] is None
    assert "not run" in text


def test_a_stack_that_does_not_come_up_exits_with_3_and_a_reason(
    repository: Path, command: Command, rehearsals: Rehearsals, everything_changes: None
) -> None:
    pending = Finding("Pod", "ollama-0", "airis", State.PENDING, reason="0/2 nodes are available")
    rehearsals.outcomes["two"] = Verdict("two", (pending,), 9.0)
    code, text, stacks = reviewed(repository, command)
    assert code == 3
    assert "Pod/ollama-0  pending  0/2 nodes are available" in text
    assert stacks["two"]["rehearsal"]["findings"][0]["reason"] == "0/2 nodes are available"


def test_a_failing_rehearsal_does_not_stop_the_others(
    repository: Path, command: Command, rehearsals: Rehearsals, everything_changes: None
) -> None:
    rehearsals.outcomes["one"] = AirisError("nodes.yaml: there is no such key")
    code, text, stacks = reviewed(repository, command)
    assert code == 3
    assert stacks["one"]["rehearsal"] == {"ok": False, "error": "nodes.yaml: there is no such key"}
    assert stacks["two"]["rehearsal"]["ok"] is True
    assert "nodes.yaml: there is no such key" in text


def test_without_a_sandbox_changes_are_still_reviewed(
    repository: Path, command: Command, rehearsals: Rehearsals, everything_changes: None
) -> None:
    rehearsals.problem = EnvironmentProblem("no Go toolchain", "install Go")
    code, text, stacks = reviewed(repository, command)
    assert code == 4
    assert stacks["two"]["rehearsal"] == {"ok": False, "error": "no Go toolchain\n  install Go"}
    assert "1 changed" in text


def test_an_invalid_stack_is_reported_next_to_the_others(
    repository: Path, command: Command, rehearsals: Rehearsals
) -> None:
    change(repository, "one", HOST.format("new.example.com"))
    change(repository, "two", "config:\n  airis:ollama: {replicas: -1}\n")
    code, text, stacks = reviewed(repository, command)
    assert code == 1
    assert "airis:ollama.replicas" in text
    assert "**does not validate**" in text
    assert list(rehearsals.rehearsed) == ["one"]
    assert stacks["two"]["rehearsal"] is None
    assert stacks["one"]["rehearsal"]["ok"] is True


def test_an_invalid_base_is_reported_and_the_review_continues(
    repository: Path, command: Command, rehearsals: Rehearsals
) -> None:
    change(repository, "two", "config:\n  airis:ollama: {replicas: -1}\n")
    git(repository, "commit", "--quiet", "--all", "--message=broken")
    change(repository, "two", HOST.format("three.example.com"))
    code, text, stacks = reviewed(repository, command)
    assert code == 0
    assert list(stacks) == ["two"]
    assert "airis:ollama.replicas" in text
    assert stacks["two"]["rehearsal"]["ok"] is True


def test_a_removed_stack_is_compared_but_not_rehearsed(
    repository: Path, command: Command, rehearsals: Rehearsals
) -> None:
    (repository / "Pulumi.two.yaml").unlink()
    code, text, stacks = reviewed(repository, command)
    assert list(stacks) == ["two"]
    assert code == 5  # its claims are left behind
    assert "CAUTION" in text
    assert (stacks["two"]["rehearsal"], stacks["two"]["policy"]) == (None, None)
    assert rehearsals.sandboxes == 0


def test_a_touched_claim_exits_with_5_whatever_else_fails(
    repository: Path, command: Command, rehearsals: Rehearsals
) -> None:
    change(repository, "two", f"{HOST.format('two.example.com')}  airis:webui:\n    storage: {{size: 1Gi}}\n")
    rehearsals.outcomes["two"] = AirisError("it broke off")
    code, text, stacks = reviewed(repository, command)
    assert code == 5
    assert stacks["two"]["touchesData"] is True
    assert "PersistentVolumeClaim/airis-pvc" in text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--base", "nowhere"), "there is no such revision"),
        (("--base", "main", "--stack", "three"), "there is no stack 'three'"),
        (("--base", "main", "--nodes", "nowhere.yaml"), "there is no such file or folder"),
    ],
)
def test_a_failed_comparison_is_also_written_to_the_comment(
    options: tuple[str, ...], words: str, repository: Path, command: Command, rehearsals: Rehearsals
) -> None:
    code, out, err = command("review", *options)
    assert code == 1
    assert err.startswith("error: ")
    assert words in err
    assert out.startswith(f"{MARKER}\n")
    assert words in out
    assert rehearsals.sandboxes == 0


def test_a_review_needs_a_repository(project: Path, command: Command) -> None:
    code, out, err = command("review", "--base", "main")
    assert code == 1
    assert "not in a git repository" in err
    assert "not in a git repository" in out


def test_a_shallow_clone_says_how_to_get_the_history(
    repository: Path, command: Command, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(repository, "commit", "--quiet", "--allow-empty", "--message=second")
    clone = tmp_path_factory.mktemp("clone")
    git(clone, "clone", "--quiet", "--depth=1", repository.as_uri(), ".")
    monkeypatch.setattr("airis.review.command.project_root", lambda: clone)
    code, out, _ = command("review", "--base", "HEAD~1")
    assert code == 1
    assert "this clone is shallow" in out
    assert "fetch-depth: 0" in out


def test_an_unwritable_output_is_rejected(repository: Path, command: Command, rehearsals: Rehearsals) -> None:
    code, _, err = command("review", "--base", "main", "--output", "nowhere/comment.md")
    assert code == 1
    assert "nowhere/comment.md cannot be written" in err


def test_from_two_commits_to_the_comment_in_the_pull_request(
    repository: Path, command: Command, rehearsals: Rehearsals, tmp_path_factory: pytest.TempPathFactory
) -> None:
    git(repository, "checkout", "--quiet", "-b", "more")
    change(repository, "two", HOST.format("three.example.com"))
    git(repository, "commit", "--quiet", "--all", "--message=change")
    artifact = tmp_path_factory.mktemp("review")
    (artifact / "number").write_text("7\n")
    with fake_github() as github:
        sha = git(repository, "rev-parse", "HEAD").strip()
        github.run_of(sha=sha)
        github.pulls.append(pull_request(7, sha=sha))

        code, _, _ = command("review", "--base", "main", "--output", str(artifact / "comment.md"))
        assert code == 0
        assert github.script("post_comment.py", "1", str(artifact)).returncode == 0
        (made,) = github.comments[7]
        assert "three.example.com" in made["body"]

        change(repository, "two", HOST.format("four.example.com"))
        git(repository, "commit", "--quiet", "--all", "--message=another")
        sha = git(repository, "rev-parse", "HEAD").strip()
        github.run_of(number=2, sha=sha)
        github.pulls[:] = [pull_request(7, sha=sha)]
        assert command("review", "--base", "main", "--output", str(artifact / "comment.md"))[0] == 0
        assert github.script("post_comment.py", "2", str(artifact)).returncode == 0
        (made,) = github.comments[7]
        assert "four.example.com" in made["body"]
        assert "three.example.com" not in made["body"]
        # the run of the previous commit finishes late
        result = github.script("post_comment.py", "1", str(artifact))
        assert (result.returncode, "it was closed or updated" in result.stdout) == (0, True)


def test_script_and_command_use_the_same_marker() -> None:
    assert f'MARKER = "{MARKER}"' in (SCRIPTS / "post_comment.py").read_text(encoding="utf-8")
