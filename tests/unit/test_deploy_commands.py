"""`airis up`, `preview`, `refresh` and `destroy`, with a fake Pulumi. tests/engine uses the real one."""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airis.backup import backup_stack, restore_stack
from airis.deploy import destroy
from airis.deploy import up as commands
from airis.deploy.database_preparation import Preparing
from airis.deploy.engine import Engine, EngineFailed, EngineKilled, Locked
from airis.deploy.up import Asking
from airis.rehearse import deploy_or_rehearse as rehearsing
from airis.rehearse.deploy_or_rehearse import deploy_or_rehearse
from airis.terminal.errors import AirisError, EnvironmentProblem
from tests.unit.deploying import (
    AWAIT_READY,
    EVERY_COMMAND,
    SYSTEM,
    UID,
    FakeEngine,
    Script,
    answer,
    asked,
    script,
    write,
)
from tests.unit.drawing import ROOT

__all__ = ["asked", "script"]  # fixtures

pytestmark = pytest.mark.timeout(60)


def test_up_prints_the_target_previews_and_then_deploys(asked: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert deploy_or_rehearse("gpu", yes=True) == 0
    assert asked == ["export_state", "failing_since", "preview", "up"]
    said = capfd.readouterr().err
    assert "context home" in said
    assert "server https://home.example.com:6443" in said
    assert "namespace airis" in said
    assert f"airis:cluster.uid {UID}" in said  # how to tie the stack to it


LOG = 'msg="inference compute" id=x library={} compute="" name=x'


@pytest.mark.parametrize(("found", "told"), [(("gpu", "cpu"), True), (("gpu", "CUDA"), False), (("cpu", "cpu"), False)])
def test_up_reports_an_ollama_that_does_not_use_its_gpu(
    found: tuple[str, str], told: bool, asked: list[str], script: Script, capfd: pytest.CaptureFixture[str]
) -> None:
    stack, library = found
    answer = f"*'logs ollama-0 --container=ollama'*) echo '{LOG.format(library)}' ;;"
    script("kubectl", f'case "$*" in {answer} {SYSTEM} esac')

    assert deploy_or_rehearse(stack, yes=True) == 0

    said = capfd.readouterr().err
    assert ("Pod/ollama-0 has a GPU, but Ollama computes on the CPU.\n  check that the node" in said) == told


def test_up_ignores_a_log_that_cannot_be_read(asked: list[str], script: Script) -> None:
    script("kubectl", f'case "$*" in *logs*) exit 1 ;; {SYSTEM} esac')
    assert deploy_or_rehearse("gpu", yes=True) == 0


@pytest.mark.parametrize(("text", "calls"), [("y\n", ["preview", "up"]), ("\n", ["preview"]), ("no\n", ["preview"])])
def test_the_confirmation_of_up_names_the_cluster(
    asked: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], text: str, calls: list[str]
) -> None:
    answer(monkeypatch, text)
    assert deploy_or_rehearse("gpu", yes=False) == 0
    assert asked[2:] == calls
    assert "Deploy to context home" in capfd.readouterr().err


@pytest.mark.parametrize(
    "command",
    [
        lambda: deploy_or_rehearse("gpu", yes=False),
        lambda: commands.refresh("gpu", yes=False),
        lambda: destroy.destroy("gpu", yes=False),
    ],
)
def test_without_a_terminal_commands_refuse_and_change_nothing(
    asked: list[str], monkeypatch: pytest.MonkeyPatch, command: Callable[[], int]
) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    with pytest.raises(AirisError, match="--yes"):
        command()
    assert asked == []


def test_yes_needs_no_terminal() -> None:
    assert Asking(yes=True)("?")


def test_an_invalid_stack_never_reaches_pulumi(asked: list[str], project: Path) -> None:
    write(project, "{airis:ollama: {gpu: {count: 0}}}")
    for command in EVERY_COMMAND:
        with pytest.raises(AirisError, match=r"airis:ollama\.gpu\.count"):
            command()
    assert asked == []


def test_preview_returns_whether_there_are_changes(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert commands.preview("gpu") == 0
    assert commands.preview("gpu", expect_no_changes=True) == 3
    monkeypatch.setattr(Engine, "open", lambda *_, **__: FakeEngine(asked, {"same": 18, "read": 1}))
    assert commands.preview("gpu", expect_no_changes=True) == 0
    assert "up" not in asked


def test_refresh_previews_before_it_writes(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, "n\n")
    commands.refresh("gpu", yes=False)
    assert asked == ["export_state", "failing_since", "preview_refresh"]
    assert commands.refresh("gpu", yes=True) == 0
    assert asked[-1] == "refresh"


def test_destroy_keeps_the_data_and_prints_how_to_delete_it(
    asked: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert destroy.destroy("gpu", yes=True) == 0
    assert asked == ["export_state", "failing_since", "preview_destroy", "destroy"]
    said = capfd.readouterr().out
    for kept in ("PersistentVolumeClaim/airis-pvc", "PersistentVolumeClaim/ollama-volume-ollama-0", "Namespace/airis"):
        assert kept in said
    assert "StatefulSet" not in said
    assert "kubectl delete namespace airis" in said


def test_a_failed_destroy_does_not_list_what_remains(
    asked: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> None:
        raise EngineFailed("pulumi destroy failed")

    monkeypatch.setattr(FakeEngine, "destroy", fail, raising=False)
    with pytest.raises(EngineFailed):
        destroy.destroy("gpu", yes=True)
    assert "These objects remain" not in capfd.readouterr().out


@pytest.mark.usefixtures("no_cluster")
@pytest.mark.parametrize(
    "command",
    [
        lambda: deploy_or_rehearse("gpu", yes=True),
        lambda: commands.preview("gpu"),
        lambda: commands.refresh("gpu", yes=True),
        lambda: destroy.destroy("gpu", yes=True),
        lambda: backup_stack("gpu", None),
        lambda: restore_stack("gpu", Path("x")),
    ],
)
def test_without_a_cluster_every_command_prints_the_remedy(
    asked: list[str], monkeypatch: pytest.MonkeyPatch, command: Callable[[], object]
) -> None:
    monkeypatch.delenv("KUBECONFIG")  # `asked` has set it
    monkeypatch.setattr("airis.backup.archive.verify", lambda _: None)
    with pytest.raises(EnvironmentProblem) as refused:
        command()
    assert "no cluster is configured" in refused.value.message
    assert "set $KUBECONFIG" in refused.value.remedy
    assert refused.value.exit_code == 4
    assert asked == []


@pytest.fixture
def rehearsed(asked: list[str], monkeypatch: pytest.MonkeyPatch, no_cluster: None) -> list[str]:
    """No configured cluster; returns the rehearsed stacks."""
    found: list[str] = []
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setattr(rehearsing, "rehearse_stack", lambda name, *_, **__: found.append(name))
    monkeypatch.setattr(rehearsing, "print_verdict", lambda _: None)
    monkeypatch.setattr(rehearsing, "exit_code", lambda _: 0)
    return found


def test_up_rehearses_only_with_the_option(rehearsed: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(EnvironmentProblem, match="Nothing was deployed") as refused:
        deploy_or_rehearse("cpu", yes=True)
    assert "airis rehearse --stack cpu" in refused.value.remedy
    assert rehearsed == []
    assert deploy_or_rehearse("cpu", yes=True, rehearse_without_cluster=True) == 0
    assert rehearsed == ["cpu"]
    assert "Nothing is deployed." in capfd.readouterr().out


@pytest.mark.parametrize(
    ("config", "because"),
    [
        ("{airis:production: true, airis:webui: {image: 'a/b:1.2.3'}}", "airis:production"),
        (f"{{airis:cluster: {{uid: {UID}}}}}", "airis:cluster.uid"),
        ("{airis:cluster: {server: 'https://work.example.com'}}", "airis:cluster.server"),
    ],
)
def test_production_and_pinned_stacks_are_not_rehearsed_instead(
    rehearsed: list[str], project: Path, config: str, because: str
) -> None:
    write(project, config)
    with pytest.raises(EnvironmentProblem, match=f"Pulumi.test.yaml needs one \\({because}\\)"):
        deploy_or_rehearse("test", yes=True, rehearse_without_cluster=True)
    assert rehearsed == []


def test_a_broken_kubeconfig_is_an_error_and_not_rehearsed(
    rehearsed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    with pytest.raises(EnvironmentProblem, match=f"{tmp_path}/missing: there is no such file"):
        deploy_or_rehearse("cpu", yes=True, rehearse_without_cluster=True)
    assert rehearsed == []


def test_make_up_passes_rehearse_without_cluster() -> None:
    recipe = subprocess.run(
        ["make", "-n", "up"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    ).stdout
    assert "airis up --stack cpu --rehearse-without-cluster" in recipe


def test_an_unknown_context_is_refused(asked: list[str], project: Path) -> None:
    write(project, "{kubernetes:context: moon}")
    with pytest.raises(AirisError, match="the contexts are: home, work"):
        deploy_or_rehearse("test", yes=True)
    assert asked == []


@pytest.fixture
def slow(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A Pulumi whose `up` fails once for each entry of `takes`, after that many seconds; and whether a database is prepared."""
    given = SimpleNamespace(takes=[600.0], error=EngineFailed("pulumi up failed"), prepares=True, now=0.0)

    def up(_: object) -> Mapping[str, int]:
        asked.append("up")
        if given.takes:
            given.now += given.takes.pop(0)
            raise given.error
        return {"update": 1}

    monkeypatch.setattr(FakeEngine, "up", up, raising=False)
    monkeypatch.setattr(time, "monotonic", lambda: given.now)
    monkeypatch.setattr(Preparing, "under_way", property(lambda _: given.prepares))
    return given


def test_up_keeps_waiting_while_a_database_is_being_prepared(
    slow: SimpleNamespace, asked: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    slow.takes = [600.0, 600.0]
    assert deploy_or_rehearse("gpu", yes=True) == 0
    assert asked.count("up") == 3
    assert capfd.readouterr().err.count("The database is still being prepared: waiting.") == 2


@pytest.mark.parametrize(
    "change",
    [
        {"prepares": False},
        {"takes": [599.0]},  # Pulumi's time was not over: it was something else
        {"error": EngineKilled("killed")},
        {"error": Locked("locked", dead=False)},
        {"error": KeyboardInterrupt()},
    ],
    ids=str,
)
def test_up_does_not_keep_waiting_for_anything_else(
    change: dict[str, Any], slow: SimpleNamespace, asked: list[str]
) -> None:
    vars(slow).update(change)
    with pytest.raises(type(slow.error)):
        deploy_or_rehearse("gpu", yes=True)
    assert asked.count("up") == 1


def test_up_waits_until_the_pods_are_ready_after_pulumi_has_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    def stateful_set(ready: int) -> list[dict[str, Any]]:
        status = {"observedGeneration": 1, "replicas": 1, "readyReplicas": ready, "updatedReplicas": ready}
        metadata = {"name": "ollama", "namespace": "airis", "generation": 1}
        spec = {"replicas": 1, "selector": {"matchLabels": {"app": "ollama"}}}
        return [{"kind": "StatefulSet", "metadata": metadata, "spec": spec, "status": status}]

    class Cluster:
        looks = 0

        def get(self, *_: str) -> list[dict[str, Any]]:
            self.looks += 1
            return stateful_set(int(self.looks > 2))

    monkeypatch.setattr(commands, "_POLL_SECONDS", 0.01)
    cluster: Any = Cluster()
    preparing: Any = SimpleNamespace(under_way=False)
    AWAIT_READY(cluster, stateful_set(0), preparing, 5)
    assert cluster.looks == 3
    cluster.looks = -1000
    with pytest.raises(EngineFailed, match=r"not ready within 0\.05 s: StatefulSet/ollama"):
        AWAIT_READY(cluster, stateful_set(0), preparing, 0.05)
    cluster.looks, preparing.under_way = -20, True  # a migration takes as long as it takes
    AWAIT_READY(cluster, stateful_set(0), preparing, 0.05)
    assert cluster.looks == 3
