"""`airis diff` on pairs of revisions, in temporary repositories."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from airis.diff import Action, diff_stacks
from airis.diff.registered import configured
from airis.diff.revision import checked_out, resolved
from airis.terminal.errors import AirisError
from tests.unit.conftest import Command
from tests.unit.diffs import change, committed_project, copied_program, field, git, words
from tests.unit.drawing import ROOT

pytestmark = pytest.mark.timeout(120)


def write(file: Path, text: str) -> None:
    """Overwrites a file, but never through the symbolic link of the `project` fixture."""
    file.unlink(missing_ok=True)
    file.write_text(text, encoding="utf-8")


def stack(host: str = "airis.minikube.local", *, ollama: str = "{}") -> str:
    return f"config:\n  airis:ollama: {ollama}\n  airis:ingress:\n    host: {host}\n"


@pytest.fixture
def repository(project: Path) -> Path:
    """The committed project with a stack `test`."""
    write(project / "Pulumi.test.yaml", stack())
    committed_project(project)
    return project


def test_changes_from_the_last_commit_to_the_working_tree(repository: Path, command: Command) -> None:
    write(repository / "Pulumi.test.yaml", stack("chat.example.com"))

    code, out, _ = command("diff", "--stack", "test", "--format", "json")

    told = json.loads(out)
    assert code == 0
    assert told["version"] == 1
    assert told["settings"] == ["airis:ingress.host"]
    assert told["before"].startswith("HEAD (")
    names = {(each["kind"], each["name"], each["action"]) for each in told["changes"]}
    assert names == {("Deployment", "airis-deployment", "changed"), ("Ingress", "airis-ingress", "changed")}
    variables = {each["path"].split("env")[1]: each for each in told["changes"][0]["fields"]}
    assert variables["[WEBUI_URL].value"]["after"] == "http://chat.example.com"
    assert variables["[CORS_ALLOW_ORIGIN].value"]["reasons"] == ["airis:ingress.host"]
    assert told["totals"]["before"] == told["totals"]["after"]
    assert told["totals"]["after"]["pods"] == {"min": 2, "max": 2}
    assert told["problems"] == []


def test_no_change_is_reported_and_the_repository_is_unchanged(repository: Path, command: Command) -> None:
    (repository / "notes.txt").write_text("mine")
    before = git(repository, "status", "--porcelain")

    code, out, _ = command("diff", "--stack", "test", "--expect-no-changes")

    assert code == 0
    assert out.startswith("Stack test: no object changes.")
    assert git(repository, "status", "--porcelain") == before
    assert len(git(repository, "worktree", "list").splitlines()) == 1


def test_a_touched_claim_exits_with_5_and_a_growing_one_does_not(repository: Path, command: Command) -> None:
    write(repository / "Pulumi.test.yaml", stack(ollama="{storage: {size: 60Gi}}"))
    code, out, _ = command("diff", "--stack", "test", "--expect-no-changes")
    assert code == 3
    assert "grows in place from 30Gi to 60Gi" in out

    write(repository / "Pulumi.test.yaml", stack(ollama="{storage: {size: 10Gi}}"))
    code, out, _ = command("diff", "--stack", "test", "--expect-no-changes")
    assert code == 5
    assert "volumes can only grow" in out


def test_a_stack_that_only_one_side_has(repository: Path) -> None:
    write(repository / "Pulumi.new.yaml", stack())
    (repository / "Pulumi.test.yaml").unlink()

    new, gone = diff_stacks(["new", "test"], "HEAD", repository)

    assert {each.action for each in new.changes} == {Action.CREATED}
    assert new.before.endswith("(the stack does not exist there)")
    assert new.totals_before.pods.high == 0
    assert new.totals_after.pods.high == 2
    assert {each.action for each in gone.changes} == {Action.DELETED, Action.KEPT}
    assert change(gone, "PersistentVolumeClaim", "airis-pvc").action is Action.KEPT
    assert change(gone, "Service", "ollama").action is Action.DELETED
    assert gone.touches_data


def test_without_names_all_stacks_of_both_sides_are_compared(repository: Path) -> None:
    write(repository / "Pulumi.new.yaml", stack())
    (repository / "Pulumi.gpu.yaml").unlink()

    diffs = {each.stack: each for each in diff_stacks([], "HEAD", repository)}

    assert list(diffs) == ["cpu", "gpu", "new", "production", "reference", "test"]
    assert diffs["cpu"].changes == diffs["production"].changes == diffs["test"].changes == ()
    assert all(each.problems == () for each in diffs.values())


def test_an_unknown_stack_is_rejected(repository: Path, command: Command) -> None:
    code, out, err = command("diff", "--stack", "nobody")
    assert (code, out) == (1, "")
    assert "there is no stack 'nobody'" in err


def test_a_base_with_invalid_settings_shows_its_error(repository: Path, command: Command) -> None:
    write(repository / "Pulumi.test.yaml", stack(ollama="{replicas: many}"))
    git(repository, "commit", "--quiet", "--all", "--message=wrong")
    write(repository / "Pulumi.test.yaml", stack())

    code, out, _ = command("diff", "--stack", "test", "--format", "json")

    told = json.loads(out)
    assert code == 3
    assert told["problems"][0]["side"] == "before"
    assert "airis:ollama.replicas" in told["problems"][0]["words"]
    assert told["totals"]["after"]["pods"] == {"min": 2, "max": 2}
    assert told["summary"] == "Stack test: the changes are unknown."
    assert told["settings"] == ["airis:ollama.replicas"]
    assert "the changes are unknown" in command("diff", "--stack", "test")[1]


def test_invalid_settings_on_this_side_are_an_error(repository: Path, command: Command) -> None:
    write(repository / "Pulumi.test.yaml", stack(ollama="{replicas: many}"))

    code, out, err = command("diff", "--stack", "test")

    assert (code, out) == (1, "")
    assert "airis:ollama.replicas" in err
    assert len(git(repository, "worktree", "list").splitlines()) == 1


def test_each_revision_is_rendered_by_its_own_code(tmp_path: Path) -> None:
    copied_program(tmp_path)
    ollama = tmp_path / "components" / "ollama.py"
    now = ollama.read_text()
    write(ollama, now.replace("PORT = 11434", "PORT = 4711"))
    (tmp_path / "Pulumi.gpu.yaml").write_text(stack())
    committed_project(tmp_path)
    write(ollama, now)
    (tmp_path / "Pulumi.gpu.yaml").write_text(stack("chat.example.com"))

    (diff,) = diff_stacks(["gpu"], "HEAD", tmp_path)

    port = field(diff, "Service", "ollama-service", "ports[http].port")
    assert (port.before, port.after) == (4711, 11434)
    assert "code since HEAD" in port.reasons[0]
    assert "components/ollama.py" in port.reasons[0]
    url = field(diff, "Deployment", "airis-deployment", "env[WEBUI_URL].value")
    assert url.reasons == ("airis:ingress.host",)
    assert "no longer listens on port 4711" in words(diff, "downtime")


def test_the_settings_of_a_base_with_broken_code_are_compared(tmp_path: Path) -> None:
    copied_program(tmp_path)
    broken = tmp_path / "components" / "ollama.py"
    now = broken.read_text()
    write(broken, "raise RuntimeError('half done')\n")
    committed_project(tmp_path)
    write(broken, now)
    (tmp_path / "Pulumi.gpu.yaml").write_text(
        'config:\n  airis:ingress: {host: chat.example.com}\n  airis:ollama: {gpu: {count: 1}, models: ["llama3.2:1b"]}\n'
    )

    (diff,) = diff_stacks(["gpu"], "HEAD", tmp_path)

    assert diff.broken
    assert [str(each) for each in diff.changes] == ["Deployment/airis-deployment", "Ingress/airis-ingress"]
    assert "rendered with this side's program instead" in diff.problems[1].words
    assert diff.problems[0].side == "before"
    assert "RuntimeError: half done (ollama.py, line 1)" in diff.problems[0].words
    assert diff.totals_after.pods.high == 2


def test_a_project_in_a_subfolder_of_the_repository(tmp_path: Path) -> None:
    inner = tmp_path / "deploy" / "chat"
    inner.mkdir(parents=True)
    for file in (ROOT / "__main__.py", ROOT / "Pulumi.yaml"):
        (inner / file.name).symlink_to(file)
    write(inner / "Pulumi.test.yaml", stack())
    committed_project(tmp_path)
    write(inner / "Pulumi.test.yaml", stack("chat.example.com"))

    (diff,) = diff_stacks(["test"], "HEAD", inner)

    assert [str(each) for each in diff.changes] == ["Deployment/airis-deployment", "Ingress/airis-ingress"]


def test_a_project_that_the_other_revision_does_not_have(tmp_path: Path) -> None:
    (tmp_path / "readme").touch()
    committed_project(tmp_path)
    inner = tmp_path / "deploy" / "chat"
    inner.mkdir(parents=True)
    for file in (ROOT / "__main__.py", ROOT / "Pulumi.yaml"):
        (inner / file.name).symlink_to(file)
    write(inner / "Pulumi.test.yaml", stack())

    (diff,) = diff_stacks([], "HEAD", inner)

    assert {each.action for each in diff.changes} == {Action.CREATED}
    assert diff.problems == ()


def test_a_changed_secret_shows_as_changed_and_never_its_value(repository: Path, command: Command) -> None:
    def secret(value: str) -> str:
        return f"{stack()}  airis:webui: {{database: {{}}}}\n  airis:secrets:\n    databaseUrl: {{secure: {value}}}\n"

    write(repository / "Pulumi.test.yaml", secret("v1:first:hunter2"))
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message=secret")
    write(repository / "Pulumi.test.yaml", secret("v1:second:hunter3"))

    code, out, err = command("diff", "--stack", "test")

    assert code == 5  # the URL may name another database
    assert '+ stringData.DATABASE_URL: "[secret] changed"   (from airis:secrets.databaseUrl)' in out
    assert "stringData.WEBUI_SECRET_KEY" not in out
    assert "Secret/airis-secrets changed" in out
    assert "hunter" not in out + err


def test_the_same_secret_shows_no_change(repository: Path, command: Command) -> None:
    text = f"{stack()}  airis:webui: {{database: {{}}}}\n  airis:secrets:\n    databaseUrl: {{secure: v1:a:b}}\n"
    write(repository / "Pulumi.test.yaml", text)
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message=secret")
    assert command("diff", "--stack", "test", "--expect-no-changes")[0] == 0


def test_values_next_to_an_encrypted_one_are_parsed_by_the_program(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: airis\nruntime: python\n")
    env = "{AT: 1:30, MODE: 0o14, LIST: [08, {secure: v1:c:d}], KEY: {secure: v1:a:b}}"
    (tmp_path / "Pulumi.test.yaml").write_text(f"config:\n  airis:webui: {{env: {env}}}\n")

    told = json.loads(configured(tmp_path, "test").config["airis:webui"])["env"]

    assert (told["AT"], told["MODE"], told["LIST"][0]) == ("1:30", 12, 8)
    assert told["KEY"] != told["LIST"][1]
    assert all(each.startswith("[secret] ") for each in (told["KEY"], told["LIST"][1]))


class TestBadInput:
    def test_outside_a_repository_is_an_error(self, project: Path, command: Command) -> None:
        code, out, err = command("diff", "--stack", "cpu")
        assert (code, out) == (1, "")
        assert "is not in a git repository" in err
        assert "--against FILE" in err

    def test_missing_git_is_an_error(self, project: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(project))
        code, out, err = command("diff", "--stack", "cpu")
        assert (code, out) == (4, "")
        assert "git is missing" in err

    def test_an_unknown_revision(self, repository: Path, command: Command) -> None:
        code, out, err = command("diff", "--stack", "test", "--base", "nowhere")
        assert (code, out) == (1, "")
        assert "--base nowhere: there is no such revision in this repository" in err
        assert "`git branch --all`" in err

    def test_an_unknown_revision_that_a_remote_has(self, repository: Path, command: Command) -> None:
        git(repository, "remote", "add", "upstream", ".")
        git(repository, "update-ref", "refs/remotes/upstream/release", "HEAD")
        assert "--base upstream/release" in command("diff", "--stack", "test", "--base", "release")[2]
        assert "`git fetch upstream`" in command("diff", "--stack", "test", "--base", "other")[2]

    @pytest.mark.parametrize("ref", ["--output=/dev/null", "HEAD:Pulumi.yaml", ""])
    def test_an_invalid_revision_is_rejected(self, ref: str, repository: Path, command: Command) -> None:
        code, out, err = command("diff", "--stack", "test", f"--base={ref}")
        assert (code, out) == (1, "")
        assert "there is no such revision in this repository" in err

    def test_a_shallow_clone(self, repository: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
        first = git(repository, "rev-parse", "HEAD")
        git(repository, "commit", "--quiet", "--allow-empty", "--message=second")
        clone = tmp_path_factory.mktemp("shallow") / "clone"
        git(repository, "clone", "--quiet", "--depth=1", repository.as_uri(), str(clone))
        with pytest.raises(AirisError) as refused:
            diff_stacks(["test"], first, clone)
        assert "there is no such revision in this repository" in refused.value.message
        assert "`git fetch --unshallow`" in refused.value.remedy
        assert "fetch-depth: 0" in refused.value.remedy

    def test_base_and_against_are_mutually_exclusive(self, repository: Path, command: Command) -> None:
        code, out, err = command("diff", "--stack", "test", "--base", "HEAD", "--against", "cluster")
        assert (code, out) == (2, "")
        assert "--base and --against are mutually exclusive" in err


def test_no_hook_runs_and_the_worktree_is_removed_after_a_failure(repository: Path) -> None:
    hook = repository / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ntouch hooked; exit 1\n")
    hook.chmod(0o755)
    with pytest.raises(RuntimeError), checked_out(resolved("HEAD", repository)) as folder:
        assert (folder / "Pulumi.yaml").exists()
        assert not (folder / "hooked").exists()
        raise RuntimeError
    assert not folder.parent.exists()
    assert len(git(repository, "worktree", "list").splitlines()) == 1


def test_an_incomplete_worktree_is_removed(repository: Path) -> None:
    with checked_out(resolved("HEAD", repository)) as folder:
        (record,) = (repository / ".git" / "worktrees").iterdir()
        (record / "gitdir").unlink()
        (record / "HEAD").unlink()
    assert not record.exists()
    assert not folder.parent.exists()


def test_git_ignores_the_variables_of_a_hook(
    repository: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path_factory.mktemp("other")))
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere")
    assert resolved("HEAD", repository).commit


def test_ctrl_c_leaves_no_worktree_and_no_process(repository: Path) -> None:
    main = repository / "__main__.py"
    write(main, "import time\ntime.sleep(100)\n")  # only in the other revision
    git(repository, "commit", "--quiet", "--all", "--message=slow")
    write(main, (ROOT / "__main__.py").read_text())
    process = subprocess.Popen(
        [sys.executable, "-m", "airis.cli.main", "diff", "--stack", "test"],
        cwd=repository,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 60
        while len(listed := git(repository, "worktree", "list").splitlines()) == 1:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert len(git(repository, "worktree", "list").splitlines()) == 1
    assert not Path(listed[1].split()[0]).exists()


def test_reasons_with_secrets_and_settings_that_depend_on_each_other(repository: Path) -> None:
    secret = "  airis:secrets:\n    values: {key: {secure: v1:a:b}}\n"
    write(repository / "Pulumi.test.yaml", stack() + secret)
    git(repository, "commit", "--quiet", "--all", "--message=secret")
    webui = '  airis:webui: {vectorStore: qdrant, qdrant: {url: "http://q:6333"}}\n'
    write(repository / "Pulumi.test.yaml", stack(ollama="{replicas: 2}") + secret + webui)

    (diff,) = diff_stacks(["test"], "HEAD", repository)

    assert field(diff, "StatefulSet", "ollama", "spec.replicas").reasons == ("airis:ollama.replicas",)
    (told,) = field(diff, "Deployment", "airis-deployment", "env[QDRANT_URI]").reasons
    assert told == "airis:webui.qdrant.url, airis:webui.vectorStore"
