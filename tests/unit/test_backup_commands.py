"""`airis backup` and `airis restore` down to the exact commands, against a kubectl that writes down what it is asked.

It answers from files, and runs the agent on a folder of this machine; tests/rehearsal does the same with the real thing.
"""

import json
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from airis.backup import archive, operations
from airis.backup.archive import Archive
from airis.backup.pods import helper_pod
from airis.backup.remote import START
from airis.backup.target import Target, target_of
from airis.cluster.connection import connected
from airis.stack_file.stacks import StackFile, read_stack
from airis.terminal.errors import AirisError, EnvironmentProblem
from tests.unit.backups import SOURCE, backed_up, contents, data_folder, listing
from tests.unit.conftest import Command
from tests.unit.drawing import ROOT, committed, manifest

KUBECTL = """\
#!/bin/sh
here=$(dirname "$0")
printf '%s\\n' "$*" >> "$here/log"
while [ "${1#--}" != "$1" ]; do shift; done
case "$*" in
exec*)
    shift 5
    [ ! -f "$here/on-$7" ] || . "$here/on-$7"
    exec "$@" ;;
"get deployment"*) cat "$here/deployment.json" ;;
"get pods --selector"*) cat "$here/pods.json" ;;
create*)
    cat > "$here/created.json"
    [ ! -f "$here/on-create" ] || . "$here/on-create" ;;
"scale"*) [ ! -f "$here/on-scale" ] || . "$here/on-scale" ;;
esac
"""

KUBECONFIG = """\
contexts: [{name: mine, context: {cluster: mine}}]
current-context: mine
"""

HELPER = "airis-deployment-data"
SCALE = "scale deployment/airis-deployment --replicas"


@dataclass
class World:
    """A fake cluster made of files: its answers, the recorded calls, and a folder as the volume."""

    place: Path
    volume: Path

    def does(self, on: str, script: str) -> None:
        """A shell command that runs before the answer to an agent's operation, `create` or `scale`."""
        (self.place / f"on-{on}").write_text(script)

    def answers(self, name: str, *objects: Any) -> None:
        body = objects[0] if name == "deployment" and objects else {"kind": "List", "items": list(objects)}
        (self.place / f"{name}.json").write_text(json.dumps(body) if objects or name == "pods" else "")

    def asked(self) -> list[str]:
        """The commands, without their common arguments."""
        log = self.place / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        assert all(each.startswith("--namespace=airis ") for each in lines)
        return [each.removeprefix("--namespace=airis ").replace(f"-c {START} {len(SOURCE)}", "AGENT") for each in lines]


def deployment() -> dict[str, Any]:
    live = json.loads(json.dumps(manifest(committed("cpu"), "Deployment", "airis-deployment"), default=str))
    live["metadata"]["managedFields"] = [{"manager": "pulumi"}, {"manager": "controller", "subresource": "status"}]
    return dict(live)


RUNNING = {
    "kind": "Pod",
    "metadata": {"name": "airis-1"},
    "status": {"containerStatuses": [{"name": "airis", "state": {"running": {}}}]},
}


@cache
def cpu() -> Target:
    return target_of(read_stack("cpu", ROOT))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    place, volume = tmp_path / "bin", tmp_path / "volume"
    for folder in (place, volume):
        folder.mkdir()
    (place / "kubectl").write_text(KUBECTL)
    (place / "kubectl").chmod(0o755)
    (place / "python3").symlink_to(sys.executable)
    (place / "kubeconfig").write_text(KUBECONFIG)
    monkeypatch.setenv("PATH", f"{place}:/usr/bin:/bin")
    monkeypatch.setenv("KUBECONFIG", str(place / "kubeconfig"))
    target = replace(cpu(), folder=str(volume))
    monkeypatch.setattr(operations, "target_of", lambda stack: target)
    made = World(place, volume)
    made.answers("deployment", deployment())
    made.answers("pods", RUNNING)
    return made


@pytest.fixture
def made(tmp_path: Path) -> Archive:
    return backed_up(data_folder(tmp_path / "new"), tmp_path / "a.tar.gz")


def agent_in(pod: str, *arguments: object) -> str:
    return f"exec --stdin {pod} --container=airis -- python3 -I -B AGENT {' '.join(map(str, arguments))}"


def stopping(*within: str) -> list[str]:
    return [
        f"get pod {HELPER} --output=json --ignore-not-found",
        f"{SCALE}=0",
        "get pods --output=json --ignore-not-found",
        *within,
    ]


def helping(*within: str) -> list[str]:
    return [
        "create --filename=-",
        f"wait pod/{HELPER} --for=condition=Ready --timeout=300s",
        *within,
        f"delete pod {HELPER} --ignore-not-found --wait=true --timeout=90s",
    ]


BACK = [
    f"{SCALE}=1",
    'patch deployment/airis-deployment --type=merge --patch={"metadata": {"managedFields": [{"manager": "pulumi"}]}}',
]
LOOK = [
    "get deployment airis-deployment --show-managed-fields --output=json --ignore-not-found",
    "get pods --selector=app=airis --output=json --ignore-not-found",
]


def restoring(world: World, made: Archive, *options: str) -> list[str]:
    """The calls until the archive is sent to the helper pod."""
    receipt = next(each.split()[-1 - len(options)] for each in world.asked() if " restore " in each)
    size = made.path.stat().st_size
    sent = agent_in(HELPER, "restore", world.volume, size, made.sha256, receipt, *options)
    return [*LOOK, agent_in("airis-1", "inspect", world.volume), *stopping(*helping(sent))]


def test_backup_needs_three_kubectl_calls(world: World, command: Command, tmp_path: Path) -> None:
    data_folder(world.volume)
    code, out, err = command("backup", "--stack", "cpu", "--output", str(tmp_path / "b.tar.gz"))

    assert (code, world.asked()) == (0, [*LOOK, agent_in("airis-1", "backup", world.volume)])
    assert archive.verify(tmp_path / "b.tar.gz").manifest["stack"] == "cpu"
    assert out.startswith(f"{tmp_path}/b.tar.gz: 5 files, 0.0 MiB, verified.\n")
    assert "session key" in out
    assert err == "Backing up stack cpu ...\n"


def test_without_a_name_the_backup_is_named_after_stack_and_time(world: World, command: Command, project: Path) -> None:
    data_folder(world.volume)
    before = set(listing(project))
    assert command("backup", "--stack", "cpu")[0] == 0
    name, checksum = sorted(set(listing(project)) - before)
    assert name.startswith("airis-cpu-2")
    assert name.endswith("Z.tar.gz")
    assert checksum == f"{name}.sha256"


def test_backup_with_stop_reads_the_claim_in_a_helper(world: World, command: Command, tmp_path: Path) -> None:
    data_folder(world.volume)
    code, _, err = command("backup", "--stack", "cpu", "--stop", "--output", str(tmp_path / "b.tar.gz"))

    reading = agent_in(HELPER, "backup", world.volume)
    assert (code, world.asked()) == (0, [LOOK[0], *stopping(*helping(reading)), *BACK])
    assert f"`kubectl --namespace=airis {SCALE}=1`" in err
    created = json.loads((world.place / "created.json").read_text())
    assert created == helper_pod(cpu(), deployment())


def test_restore_stops_replaces_and_starts_again(world: World, made: Archive, command: Command) -> None:
    data_folder(world.volume, rows=9)
    code, out, _ = command("restore", "--stack", "cpu", str(made.path), "--overwrite")

    assert (code, world.asked()) == (0, [*restoring(world, made, "--overwrite"), *BACK])
    assert contents(world.volume) == contents(made.path.parent / "new")
    assert "The old data is kept on the volume, in data.before-restore-" in out


@pytest.mark.parametrize(
    ("script", "whose"),
    [
        ("head -c 40000 > /dev/null; kill -9 $$", "the old"),
        ('"$@" > /dev/null; exit 1', "the backup's"),  # all is done, and the answer is lost
    ],
)
def test_a_restore_with_a_broken_connection_reports_which_data_is_on_the_volume(
    script: str, whose: str, world: World, made: Archive, command: Command
) -> None:
    data_folder(world.volume, rows=9)
    old = contents(world.volume)
    world.does("restore", script)
    code, out, err = command("restore", "--stack", "cpu", str(made.path), "--overwrite")

    recovery = helping(agent_in(HELPER, "recover", world.volume))
    assert (code, world.asked()) == (3, [*restoring(world, made, "--overwrite"), *recovery, *BACK])
    assert f"{whose} data is on the volume, and it is consistent" in err
    assert out == ""
    assert contents(world.volume) == (old if whose == "the old" else contents(made.path.parent / "new"))


@pytest.fixture
def heeding_ctrl_c() -> Iterator[None]:
    """Restores SIGINT: a shell ignores it in background processes."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeding_ctrl_c")
def test_ctrl_c_makes_the_volume_consistent_and_starts_webui_again(
    world: World, made: Archive, command: Command
) -> None:
    data_folder(world.volume, rows=9)
    world.does("restore", "kill -INT $PPID; sleep 20")
    code, _, err = command("restore", "--stack", "cpu", str(made.path), "--overwrite")

    recovery = helping(agent_in(HELPER, "recover", world.volume))
    assert (code, world.asked()) == (130, [*restoring(world, made, "--overwrite"), *recovery, *BACK])
    assert "the old data is on the volume, and it is consistent" in err


def test_kill_during_a_backup_starts_webui_again_and_leaves_no_file(
    world: World, command: Command, tmp_path: Path
) -> None:
    world.does("backup", "kill -TERM $PPID; sleep 20")
    code, _, _ = command("backup", "--stack", "cpu", "--stop", "--output", str(tmp_path / "b.tar.gz"))
    reading = agent_in(HELPER, "backup", world.volume)
    assert (code, world.asked()) == (130, [LOOK[0], *stopping(*helping(reading)), *BACK])
    assert not [each for each in listing(tmp_path) if "b.tar.gz" in each]


def test_webui_is_not_started_on_inconsistent_data(world: World, made: Archive, command: Command) -> None:
    world.does("restore", "kill -9 $$")
    world.does("recover", "echo 'error: the node is gone' >&2; exit 1")
    code, _, err = command("restore", "--stack", "cpu", str(made.path))

    assert code == 3
    assert f"{SCALE}=1" not in world.asked()
    assert "the volume could not be made consistent: kubectl exec airis-deployment-data: error: the node is gone" in err
    assert "Open WebUI stays stopped, because its data is inconsistent: run `airis restore` again, then `kubectl" in err


@pytest.mark.parametrize(
    ("on", "script"),
    [
        ("create", "echo 'Error: exceeded quota' >&2; exit 1"),
        ("restore", 'echo \'{"message": "exceeded quota", "remedy": "", "refused": true}\' >&2; exit 1'),
    ],
)
def test_webui_starts_again_if_no_data_was_changed(
    on: str, script: str, world: World, made: Archive, command: Command
) -> None:
    world.does(on, script)
    code, _, err = command("restore", "--stack", "cpu", str(made.path))
    assert code in (1, 3)
    assert "exceeded quota" in err
    assert world.asked()[-2:] == BACK
    assert not [each for each in world.asked() if "recover" in each]


def test_a_webui_that_cannot_be_started_again_is_reported_with_the_command(
    world: World, made: Archive, command: Command
) -> None:
    world.does("scale", 'case "$*" in *=1) echo forbidden >&2; exit 1 ;; esac')
    code, _, err = command("restore", "--stack", "cpu", str(made.path))
    assert code == 3
    assert "WebUI is stopped and could not be started again" in err
    assert f"`kubectl --namespace=airis {SCALE}=1`" in err
    assert contents(world.volume) == contents(made.path.parent / "new")


def test_a_second_helper_is_refused_and_the_first_is_left_alone(world: World, made: Archive, command: Command) -> None:
    world.does("create", "echo 'Error from server (AlreadyExists): pods' >&2; exit 1")
    code, _, err = command("restore", "--stack", "cpu", str(made.path))
    assert code == 3
    assert "another backup or restore is running" in err
    assert not [each for each in world.asked() if each.startswith("delete") or each == f"{SCALE}=1"]


def test_a_damaged_archive_changes_nothing(world: World, made: Archive, command: Command) -> None:
    with made.path.open("r+b") as file:
        file.seek(100)
        file.write(b"?")
    code, _, err = command("restore", "--stack", "cpu", str(made.path), "--overwrite")
    assert (code, world.asked()) == (1, [])
    assert "the archive is damaged" in err


def test_existing_data_and_missing_space_are_reported_while_webui_runs(
    world: World, made: Archive, command: Command
) -> None:
    (world.volume / "webui.db").touch()
    assert "the claim airis-pvc already has data" in command("restore", "-s", "cpu", str(made.path))[2]
    world.does("inspect", 'echo \'{"empty": true, "free": 7}\'; exit 0')
    assert "the volume has 0 MiB left" in command("restore", "-s", "cpu", str(made.path))[2]
    assert not [each for each in world.asked() if each.startswith("scale")]


def test_a_missing_deployment_claim_or_pod_is_reported(world: World, command: Command) -> None:
    world.answers("pods", {**RUNNING, "status": {"containerStatuses": [{"name": "airis", "state": {"waiting": {}}}]}})
    assert "no pod of airis-deployment is running" in command("backup", "-s", "cpu")[2]
    other = deployment()
    other["spec"]["template"]["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"] = "other"
    world.answers("deployment", other)
    assert "does not use the claim airis-pvc" in command("backup", "-s", "cpu")[2]
    world.answers("deployment")
    assert "stack cpu is not deployed" in command("backup", "-s", "cpu")[2]
    world.answers("deployment", deployment())
    world.answers("pods", RUNNING)
    world.does("backup", "echo 'exec: \"python3\": executable file not found in $PATH' >&2; exit 126")
    code, _, err = command("backup", "-s", "cpu")
    assert (code, "executable file not found" in err) == (3, True)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            "airis:webui: {database: {urlFrom: {name: s, key: k}}}",
            ("pg_dump", "the uploads on the claim: a VolumeSnapshot"),
        ),
        (
            "airis:webui: {vectorStore: pgvector, database: {urlFrom: {name: s, key: k}}, objectStorage: {bucket: mine, "
            "accessKeyIdFrom: {name: s, key: k}, secretAccessKeyFrom: {name: s, key: k}}}",
            ("pg_dump", "the uploads in bucket mine"),
        ),
    ],
)
def test_data_outside_of_the_volume_is_refused_with_the_tools_to_use(
    settings: str, said: tuple[str, ...], project: Path, command: Command
) -> None:
    (project / "Pulumi.test.yaml").write_text(f"config:\n  {settings}\n")
    for arguments in (["backup"], ["restore", "x.tar.gz"]):
        code, out, err = command(*arguments, "--stack", "test")
        assert (code, out) == (1, "")
        assert all(each in err for each in ("Pulumi.test.yaml: this stack's data is not on a single volume", *said))


def test_the_helper_is_webuis_pod_without_its_credentials() -> None:
    live = deployment()
    spec = live["spec"]["template"]["spec"]
    spec["volumes"].append({"name": "key", "secret": {"secretName": "airis-secrets"}})
    spec["containers"][0]["volumeMounts"].append({"name": "key", "mountPath": "/key"})
    body = helper_pod(cpu(), live)
    (container,) = body["spec"]["containers"]

    assert "airis-secrets" not in json.dumps(body)
    assert "env" not in container
    assert container["volumeMounts"][0]["mountPath"] == cpu().folder == "/app/backend/data"
    for key in ("image", "securityContext", "resources"):
        assert container[key] == spec["containers"][0][key]
    for key in ("securityContext", "serviceAccountName"):
        assert body["spec"][key] == spec[key]
    assert {
        key: body["spec"][key] for key in ("restartPolicy", "automountServiceAccountToken", "activeDeadlineSeconds")
    } == {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "activeDeadlineSeconds": 43200,
    }
    assert not {"app", "pod-template-hash"} & body["metadata"]["labels"].keys()


def test_the_cluster_is_the_one_that_pulumi_would_deploy_to(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def options(config: dict[str, str], given: Path | None = None, secret: str = "") -> list[str]:
        keyed = {f"kubernetes:{key}": value for key, value in config.items()}
        stack = StackFile("test", tmp_path / "Pulumi.test.yaml", keyed, frozenset({secret} if secret else ()))
        with connected(stack, "airis", given) as cluster:
            for each in cluster.options:
                if each.endswith(".kubeconfig"):
                    path = Path(each.removeprefix("--kubeconfig="))
                    assert (path.read_text(), path.stat().st_mode & 0o777) == (config["kubeconfig"], 0o600)
                    return ["its own file"]
            return list(cluster.options)

    mine = world.place / "kubeconfig"
    (tmp_path / "mine.yaml").write_text(KUBECONFIG)
    assert options({}) == []
    assert options({"context": "mine"}) == ["--context=mine"]
    assert options({"context": "mine"}, mine) == [f"--kubeconfig={mine}"]
    assert options({"kubeconfig": "mine.yaml"}) == [f"--kubeconfig={tmp_path / 'mine.yaml'}"]
    assert options({"kubeconfig": KUBECONFIG}) == ["its own file"]
    with pytest.raises(AirisError, match="no kubeconfig has"):
        options({"context": "other"})
    with pytest.raises(AirisError, match="encrypted"):
        options({}, secret="kubernetes:kubeconfig")
    with pytest.raises(AirisError, match="no such file"):
        options({}, tmp_path / "missing")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    with pytest.raises(EnvironmentProblem, match="there is no such file"):
        options({})
