"""How Pulumi is found, where its state lives, and what is done before and after it runs. tests/engine has the real one."""

import importlib.metadata
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pulumi import automation
from pulumi.automation import CommandResult
from pulumi.automation.errors import create_command_error

from airis.backup import backup_stack, restore_stack
from airis.deploy import destroy, guard, pulumi_cli, state_backend
from airis.deploy import up as commands
from airis.deploy.database_preparation import Preparing
from airis.deploy.engine import Engine, EngineFailed, EngineKilled, Locked
from airis.deploy.engine_output import Quiet
from airis.deploy.pulumi_cli import Command
from airis.deploy.up import Asking
from airis.rehearse import deploy_or_rehearse as rehearsing
from airis.rehearse.deploy_or_rehearse import deploy_or_rehearse
from airis.stack_file import reference
from airis.stack_file.stacks import StackFile, read_stack, settings_of
from airis.terminal.errors import AirisError, EnvironmentProblem
from settings import load
from settings.stack import StackSettings
from tests.unit.drawing import ROOT

pytestmark = pytest.mark.timeout(60)

KUBECONFIG = """
contexts: [{name: home, context: {cluster: home, user: me}}, {name: work, context: {cluster: work, user: me}}]
clusters:
- {name: home, cluster: {server: "https://home.example.com:6443"}}
- {name: work, cluster: {server: "https://work.example.com"}}
current-context: home
"""
UID = "3b0a1f52-3df2-4ab6-8ae4-3a3b0a3c2f10"
SYSTEM = f'*kube-system*) echo \'{{"kind":"Namespace","metadata":{{"uid":"{UID}"}}}}\' ;;'
"""What a stand-in for kubectl answers when it is asked which cluster that is."""
Script = Callable[[str, str], Path]


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    """Puts a program on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=":")

    def write(name: str, text: str) -> Path:
        program = folder / name
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
        return program

    return write


AWAIT_READY = commands._await_ready
EVERY_COMMAND: list[Callable[[], int]] = [
    lambda: deploy_or_rehearse("test", yes=True),
    lambda: commands.preview("test"),
    lambda: commands.refresh("test", yes=True),
    lambda: destroy.destroy("test", yes=True),
]


class FakeEngine:
    """Stands in for Pulumi: records what it is asked to do."""

    def __init__(self, asked: list[str], changes: Mapping[str, int]) -> None:
        self.asked = asked
        self.changes = changes
        self.stack = None

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def do(**_: object) -> Any:
            self.asked.append(name)
            if name == "failing_since":
                return None
            if name == "export_state":
                return {"version": 3, "deployment": {}}
            return self.changes

        return do


@pytest.fixture
def asked(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: Script) -> list[str]:
    """A kubeconfig, a cluster that tells its UID, and a stand-in for Pulumi; returns what was asked of it so far."""
    record: list[str] = []
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(KUBECONFIG)
    script("kubectl", f'case "$*" in {SYSTEM} esac')
    monkeypatch.setattr(commands, "_await_ready", lambda *_: None)
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    monkeypatch.setattr(Engine, "open", lambda *_, **__: FakeEngine(record, {"create": 1}))
    monkeypatch.chdir(project)
    return record


def write(project: Path, config: str) -> None:
    (project / "Pulumi.test.yaml").write_text(f"config: {config}\n")


def answer(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

        def readline(self) -> str:
            return text

    monkeypatch.setattr(sys, "stdin", Terminal())


# --- what the commands ask of Pulumi, and when


def test_up_says_where_it_goes_looks_first_and_then_deploys(
    asked: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert deploy_or_rehearse("gpu", yes=True) == 0
    assert asked == ["export_state", "failing_since", "preview", "up"]
    said = capfd.readouterr().err
    assert "context home" in said
    assert "server https://home.example.com:6443" in said
    assert "namespace airis" in said
    assert f"airis:cluster.uid {UID}" in said  # how to tie the stack to it


LOG = 'msg="inference compute" id=x library={} compute="" name=x'


@pytest.mark.parametrize(("found", "told"), [(("gpu", "cpu"), True), (("gpu", "CUDA"), False), (("cpu", "cpu"), False)])
def test_up_says_when_ollama_has_a_gpu_and_does_not_use_it(
    found: tuple[str, str], told: bool, asked: list[str], script: Script, capfd: pytest.CaptureFixture[str]
) -> None:
    stack, library = found
    answer = f"*'logs ollama-0 --container=ollama'*) echo '{LOG.format(library)}' ;;"
    script("kubectl", f'case "$*" in {answer} {SYSTEM} esac')

    assert deploy_or_rehearse(stack, yes=True) == 0

    said = capfd.readouterr().err
    assert ("Pod/ollama-0 has a GPU, but Ollama computes on the CPU.\n  check that the node" in said) == told


def test_up_does_not_mind_a_log_that_cannot_be_read(asked: list[str], script: Script) -> None:
    script("kubectl", f'case "$*" in *logs*) exit 1 ;; {SYSTEM} esac')
    assert deploy_or_rehearse("gpu", yes=True) == 0


@pytest.mark.parametrize(("text", "calls"), [("y\n", ["preview", "up"]), ("\n", ["preview"]), ("no\n", ["preview"])])
def test_up_asks_with_the_cluster_in_the_question(
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
def test_without_a_terminal_nothing_is_asked_and_nothing_done(
    asked: list[str], monkeypatch: pytest.MonkeyPatch, command: Callable[[], int]
) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    with pytest.raises(AirisError, match="--yes"):
        command()
    assert asked == []


def test_yes_needs_no_terminal() -> None:
    assert Asking(yes=True)("?")


def test_a_bad_stack_never_reaches_pulumi(asked: list[str], project: Path) -> None:
    write(project, "{airis:ollama: {gpu: {count: 0}}}")
    for command in EVERY_COMMAND:
        with pytest.raises(AirisError, match=r"airis:ollama\.gpu\.count"):
            command()
    assert asked == []


def test_preview_tells_whether_there_is_something_to_change(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert commands.preview("gpu") == 0
    assert commands.preview("gpu", expect_no_changes=True) == 3
    monkeypatch.setattr(Engine, "open", lambda *_, **__: FakeEngine(asked, {"same": 18, "read": 1}))
    assert commands.preview("gpu", expect_no_changes=True) == 0
    assert "up" not in asked


def test_refresh_writes_only_after_a_look(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, "n\n")
    commands.refresh("gpu", yes=False)
    assert asked == ["export_state", "failing_since", "preview_refresh"]
    assert commands.refresh("gpu", yes=True) == 0
    assert asked[-1] == "refresh"


def test_destroy_leaves_the_data_and_says_how_to_delete_it(asked: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert destroy.destroy("gpu", yes=True) == 0
    assert asked == ["export_state", "failing_since", "preview_destroy", "destroy"]
    said = capfd.readouterr().out
    for kept in ("PersistentVolumeClaim/airis-pvc", "PersistentVolumeClaim/ollama-volume-ollama-0", "Namespace/airis"):
        assert kept in said
    assert "StatefulSet" not in said
    assert "kubectl delete namespace airis" in said


def test_a_failed_destroy_promises_nothing(
    asked: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> None:
        raise EngineFailed("pulumi destroy failed")

    monkeypatch.setattr(FakeEngine, "destroy", fail, raising=False)
    with pytest.raises(EngineFailed):
        destroy.destroy("gpu", yes=True)
    assert "These remain" not in capfd.readouterr().out


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
def test_without_a_cluster_every_command_says_what_to_do(
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
    """Without a cluster; returns the stacks that were rehearsed."""
    found: list[str] = []
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setattr(rehearsing, "rehearse_stack", lambda name, *_, **__: found.append(name))
    monkeypatch.setattr(rehearsing, "print_verdict", lambda _: None)
    monkeypatch.setattr(rehearsing, "exit_code", lambda _: 0)
    return found


def test_up_rehearses_only_where_that_is_asked_for(rehearsed: list[str], capfd: pytest.CaptureFixture[str]) -> None:
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
def test_a_stack_that_needs_its_cluster_is_never_rehearsed_in_its_place(
    rehearsed: list[str], project: Path, config: str, because: str
) -> None:
    write(project, config)
    with pytest.raises(EnvironmentProblem, match=f"Pulumi.test.yaml needs one \\({because}\\)"):
        deploy_or_rehearse("test", yes=True, rehearse_without_cluster=True)
    assert rehearsed == []


def test_a_kubeconfig_that_leads_nowhere_is_no_reason_to_rehearse(
    rehearsed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    with pytest.raises(EnvironmentProblem, match=f"{tmp_path}/missing: there is no such file"):
        deploy_or_rehearse("cpu", yes=True, rehearse_without_cluster=True)
    assert rehearsed == []


def test_make_up_asks_for_the_rehearsal() -> None:
    recipe = subprocess.run(
        ["make", "-n", "up"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    ).stdout
    assert "airis up --stack cpu --rehearse-without-cluster" in recipe


def test_a_context_that_no_kubeconfig_has_is_refused(asked: list[str], project: Path) -> None:
    write(project, "{kubernetes:context: moon}")
    with pytest.raises(AirisError, match="the contexts are: home, work"):
        deploy_or_rehearse("test", yes=True)
    assert asked == []


# --- a database that is being prepared


@pytest.fixture
def slow(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Pulumi, whose every `up` fails after `takes` seconds, as many as there are in it; and whether a database is prepared."""
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


def test_up_waits_on_while_a_database_is_being_prepared(
    slow: SimpleNamespace, asked: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    slow.takes = [600.0, 600.0]
    assert deploy_or_rehearse("gpu", yes=True) == 0
    assert asked.count("up") == 3
    assert capfd.readouterr().err.count("The database is still being prepared: waiting on.") == 2


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
def test_up_fails_for_everything_else(change: dict[str, Any], slow: SimpleNamespace, asked: list[str]) -> None:
    vars(slow).update(change)
    with pytest.raises(type(slow.error)):
        deploy_or_rehearse("gpu", yes=True)
    assert asked.count("up") == 1


# --- the guard


OTHER = "00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("config", "key", "pinned", "found"),
    [
        (f"{{airis:cluster: {{uid: {OTHER}}}}}", "uid", OTHER, UID),
        ("{airis:cluster: {server: 'https://work.example.com'}}", "server", "https://work", "https://home"),
    ],
)
def test_another_cluster_is_refused_by_every_command(
    asked: list[str], project: Path, *, config: str, key: str, pinned: str, found: str
) -> None:
    write(project, config)
    for command in EVERY_COMMAND:
        with pytest.raises(AirisError) as refused:
            command()
        assert f"airis:cluster.{key} is {pinned}" in str(refused.value)
        assert found in str(refused.value)
        assert refused.value.exit_code == 1
    assert asked == []


@pytest.mark.parametrize(
    "config",
    [
        f"{{airis:cluster: {{uid: {UID}}}}}",
        "{airis:cluster: {server: 'https://HOME.example.com:6443/'}}",
        "{airis:cluster: {server: 'https://work.example.com:443'}, kubernetes:context: work}",
        "{airis:cluster: {context: work}, kubernetes:context: work}",
    ],
)
def test_its_own_cluster_is_not(asked: list[str], project: Path, config: str) -> None:
    write(project, config)
    assert deploy_or_rehearse("test", yes=True) == 0


def test_a_stack_with_a_uid_asks_the_cluster_or_goes_nowhere(asked: list[str], project: Path, script: Script) -> None:
    script("kubectl", 'echo "Error from server (Forbidden): namespaces is forbidden" >&2; exit 1')
    assert deploy_or_rehearse("gpu", yes=True) == 0  # nobody asked for it
    asked.clear()
    write(project, f"{{airis:cluster: {{uid: {UID}}}}}")
    with pytest.raises(EnvironmentProblem, match="is forbidden"):
        deploy_or_rehearse("test", yes=True)
    assert asked == []


def test_a_cluster_that_does_not_answer_is_no_success(asked: list[str], script: Script) -> None:
    script("kubectl", 'echo "dial tcp 10.0.0.1:6443: connect: connection refused" >&2; exit 1')
    with pytest.raises(EnvironmentProblem, match="connection refused"):
        commands.preview("gpu")
    assert asked == []


NOISE = """ +  kubernetes:core/v1:Secret airis create
    pulumi:pulumi:Stack airis-gpu running Traceback (most recent call last):
    pulumi:pulumi:Stack airis-gpu running   File "x.py", line 232, in <module>
 ~  kubernetes:apps/v1:Deployment airis update
    pulumi:pulumi:Stack airis-gpu running     loop.run()
    pulumi:pulumi:Stack airis-gpu running KeyboardInterrupt
    pulumi:pulumi:Stack airis-gpu running During handling of the above exception, another exception occurred:
    pulumi:pulumi:Stack airis-gpu running Traceback (most recent call last):
    pulumi:pulumi:Stack airis-gpu running KeyboardInterrupt
 +  pulumi:pulumi:Stack airis-gpu creating (1s) Traceback (most recent call last):
 +  pulumi:pulumi:Stack airis-gpu creating (1s)   File "x.py", line 232, in <module>
 +  pulumi:pulumi:Stack airis-gpu creating (2s) KeyboardInterrupt
Diagnostics:
  pulumi:pulumi:Stack (airis-gpu):
    error: preview failed

    Traceback (most recent call last):
      File "x.py", line 232, in <module>
        ^^^^^^
    KeyboardInterrupt

Resources:
    1 errored"""


def test_a_program_that_the_engine_ended_leaves_no_traceback() -> None:
    told: list[str] = []
    quiet = Quiet(told.append)
    for line in NOISE.splitlines():
        quiet(line)
    quiet.close()
    assert [line for line in told if line] == [
        " +  kubernetes:core/v1:Secret airis create",
        " ~  kubernetes:apps/v1:Deployment airis update",
        "Diagnostics:",
        "  pulumi:pulumi:Stack (airis-gpu):",
        "    error: preview failed",
        "Resources:",
        "    1 errored",
    ]


def test_what_the_program_itself_raised_is_told_whole() -> None:
    told: list[str] = []
    quiet = Quiet(told.append)
    lines = NOISE.replace("KeyboardInterrupt", "ValueError: x").splitlines()
    for line in lines:
        quiet(line)
    quiet.close()
    assert sorted(told) == sorted(lines)


def test_data_of_another_cluster_is_not_touched_either(asked: list[str], project: Path, tmp_path: Path) -> None:
    write(project, f"{{airis:cluster: {{uid: {OTHER}}}}}")
    for command in (lambda: backup_stack("test", tmp_path / "x.tar.gz"), lambda: restore_stack("test", tmp_path / "x")):
        with pytest.raises(AirisError, match=f"airis:cluster.uid is {OTHER}, and the configured one has {UID}"):
            command()


def test_a_kubeconfig_in_the_stack_file_tells_its_server(asked: list[str], project: Path, tmp_path: Path) -> None:
    write(
        project,
        f"{{kubernetes:kubeconfig: {tmp_path / 'kubeconfig'}, airis:cluster: {{server: 'https://x.example.com'}}}}",
    )
    with pytest.raises(AirisError, match=r"https://home\.example\.com:6443"):
        guard.target_of(read_stack("test", project))


# --- state


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("PULUMI_HOME", str(home))
    for name in ("PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    return home


def test_the_state_is_beside_the_stacks_with_a_passphrase_that_only_its_owner_reads(
    own_home: Path, tmp_path: Path
) -> None:
    chosen = state_backend.backend(tmp_path)

    passphrase = tmp_path / ".state" / "passphrase"
    state = (tmp_path / ".state").as_uri()
    assert chosen == {"PULUMI_BACKEND_URL": state, "PULUMI_CONFIG_PASSPHRASE_FILE": str(passphrase)}
    assert stat.S_IMODE(passphrase.stat().st_mode) == 0o600
    assert stat.S_IMODE(passphrase.parent.stat().st_mode) == 0o700
    first = passphrase.read_text()
    assert len(first) >= 32

    state_backend.backend(tmp_path)
    assert passphrase.read_text() == first


@pytest.mark.parametrize("name", ["PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"])
def test_a_passphrase_of_ones_own_is_used(
    own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "mine")
    assert set(state_backend.backend(tmp_path)) == {"PULUMI_BACKEND_URL"}
    assert not (tmp_path / ".state" / "passphrase").exists()


def test_a_backend_of_ones_own_is_left_alone(own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://team")
    assert state_backend.backend(tmp_path) == {}
    assert not (tmp_path / ".state").exists()


@pytest.mark.parametrize(
    ("credentials", "logged_in"),
    [({"current": "https://api.pulumi.com"}, True), ({"current": ""}, False), ({}, False), ([], False)],
)
def test_a_login_counts_until_the_logout(own_home: Path, tmp_path: Path, credentials: object, logged_in: bool) -> None:
    (own_home / "credentials.json").write_text(json.dumps(credentials))
    assert (state_backend.backend(tmp_path) == {}) == logged_in


# --- the CLI and its provider


@pytest.mark.parametrize(
    ("version", "reason"), [("v3.100.0", "3.100.0"), ("nonsense", "parse"), (None, "none on PATH")]
)
def test_without_a_cli_that_fits_and_without_network_the_manual_steps_are_told(
    script: Script, monkeypatch: pytest.MonkeyPatch, version: str | None, reason: str, tmp_path: Path
) -> None:
    def offline(**_: object) -> Command:
        raise OSError("Name or service not known")

    monkeypatch.setattr(Command, "install", offline)
    if version is None:
        monkeypatch.setenv("PATH", str(tmp_path))
    else:
        script("pulumi", f"echo {version}")
    with pytest.raises(EnvironmentProblem, match="put `pulumi` on PATH") as told:
        pulumi_cli.find_or_install()
    assert reason in str(told.value)
    assert "3.260.0 or newer" in str(told.value)


def test_a_cli_that_fits_is_used(script: Script) -> None:
    script("pulumi", "echo v3.999.0")
    assert pulumi_cli.find_or_install().command == "pulumi"


def test_a_provider_that_is_there_is_not_downloaded(own_home: Path, script: Script) -> None:
    script("pulumi", '[ "$1" = version ] && echo v3.999.0 || exit 1')
    command = pulumi_cli.find_or_install()
    with pytest.raises(EnvironmentProblem, match="plugin install resource kubernetes v4") as told:
        pulumi_cli.ensure_provider(command, {})
    assert "--file" in str(told.value)
    version = importlib.metadata.version("pulumi-kubernetes")
    (own_home / "plugins" / f"resource-kubernetes-v{version}").mkdir(parents=True)
    assert pulumi_cli.ensure_provider(command, {}) == version


# --- how it runs


def running(script: Script, text: str) -> Command:
    script("pulumi", f'[ "$1" = version ] && echo v3.999.0 && exit\n{text}')
    return Command()


def test_its_words_arrive_while_it_runs(script: Script, tmp_path: Path) -> None:
    command = running(script, 'echo "$1"; echo trouble >&2; sleep 1; echo last')
    said: list[tuple[float, str]] = []
    start = time.monotonic()
    result = command.run(
        ["up"], str(tmp_path), {}, lambda line: said.append((time.monotonic() - start, line)), lambda line: None
    )
    assert [line for _, line in said] == ["--non-interactive", "last"]
    assert said[0][0] < 0.8 < said[1][0]
    assert (result.stderr, result.code) == ("trouble", 0)


def test_it_asks_nothing(script: Script, tmp_path: Path) -> None:
    assert running(script, "cat").run(["up"], str(tmp_path), {}).stdout == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_ends_it_once_and_well(
    script: Script, tmp_path: Path, capfd: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    command = running(script, "trap 'echo ended well; exit 255' INT\necho started\nwhile :; do sleep 0.05; done")
    before = signal.getsignal(number)
    started = threading.Event()

    def interrupt() -> None:
        if started.wait(10):
            os.kill(os.getpid(), number)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(automation.CommandError):
        command.run(["up"], str(tmp_path), {}, lambda line: started.set())
    assert command.interrupted
    assert command.last.stdout == "started\nended well"
    assert "Pulumi ends what is under way" in capfd.readouterr().err
    assert signal.getsignal(number) is before


class FakeStack:
    name = "test"

    def __init__(self, error: Exception) -> None:
        self.error = error

    def up(self, **_: object) -> None:
        raise self.error


def failing(result: CommandResult, *, interrupted: bool = False) -> Engine:
    command = Command.__new__(Command)
    command.last, command.interrupted = result, interrupted
    stack: Any = FakeStack(create_command_error(result))
    return Engine(stack, command)


def test_failing_runs_count_since_the_last_that_changed_the_cluster_well() -> None:
    """A refresh in between changes nothing in it. The newest come first."""

    def since(*runs: tuple[str, str]) -> datetime | None:
        entries = [
            SimpleNamespace(kind=kind, result=result, start_time=datetime(2026, 5, 1, 12, minute))
            for minute, (kind, result) in zip(range(50, 0, -10), runs, strict=False)
        ]
        command = Command.__new__(Command)
        stack: Any = SimpleNamespace(name="gpu", history=lambda **_: entries)
        return Engine(stack, command).failing_since()

    good, bad, read = ("update", "succeeded"), ("update", "failed"), ("refresh", "succeeded")
    assert since() is None
    assert since(good, bad) is None
    assert since(read, good, bad) is None
    assert since(bad, good) == datetime(2026, 5, 1, 12, 50, tzinfo=UTC)
    assert since(read, bad, read, bad, good) == datetime(2026, 5, 1, 12, 20, tzinfo=UTC)
    assert since(bad, ("destroy", "succeeded"), bad) == datetime(2026, 5, 1, 12, 50, tzinfo=UTC)
    assert since(("refresh", "failed"), good) is None


def lock_of(pid: int, host: str) -> str:
    return (
        "error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or delete the lock "
        f"file with `pulumi cancel`.\n  file:///x.json: created by me@{host} (pid {pid}) at 2026-01-02T03:04:05Z"
    )


def test_a_failure_is_told_in_pulumis_words_and_not_twice() -> None:
    with pytest.raises(EngineFailed) as failed:
        failing(CommandResult("secret words", "more", 255)).up()
    assert "words" not in str(failed.value).replace("Pulumi's own words", "")
    assert failed.value.exit_code == 3


def test_fields_of_somebody_else_have_a_remedy() -> None:
    with pytest.raises(EngineFailed, match="--force-conflicts"):
        failing(CommandResult("server-side apply field conflict detected", "", 255)).up()


def test_killed_is_not_failed() -> None:
    with pytest.raises(EngineKilled, match="SIGKILL"):
        failing(CommandResult("", "", -9)).up()


def test_told_to_stop_is_not_failed() -> None:
    with pytest.raises(KeyboardInterrupt):
        failing(CommandResult("", "", 255), interrupted=True).up()


def test_a_lock_tells_whose_it_is_and_whether_they_live(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "here")
    ended = subprocess.Popen(["true"])
    ended.wait()
    for pid, host, dead in ((ended.pid, "here", True), (ended.pid, "there", False), (1, "here", False)):
        with pytest.raises(Locked) as locked:
            failing(CommandResult("", lock_of(pid, host), 255)).up()
        assert locked.value.dead is dead
        assert f"me@{host} (process {pid}) since 2026-01-02T03:04:05Z" in str(locked.value)
        assert "pulumi cancel" in str(locked.value)


def test_the_secrets_passphrase_is_never_printed(
    own_home: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    state_backend.backend(tmp_path)
    passphrase = (tmp_path / ".state" / "passphrase").read_text()
    said = capfd.readouterr()
    assert passphrase not in said.out + said.err


def test_a_stack_file_of_the_project_is_enough(project: Path) -> None:
    stack: StackFile = read_stack("gpu", project)
    assert settings_of(stack).cluster.uid is None


def test_what_pulumi_yaml_gives_a_stack_is_what_it_would_have_without() -> None:
    """The engine hands the program the project's defaults as if the stack file said them."""
    given = {
        key: each["default"] if isinstance(each["default"], str) else json.dumps(each["default"])
        for key, each in reference.pulumi_config().items()
        if key.startswith("airis:")
    }
    assert len(given) > 10
    assert load(given, source="Pulumi.test.yaml") == StackSettings()


def test_up_waits_for_what_pulumi_takes_for_done(monkeypatch: pytest.MonkeyPatch) -> None:
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
