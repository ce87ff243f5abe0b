"""Backup and restore against a real API server, through a real `kubectl exec`.

No container runs here, but KWOK can answer `exec` with a process of this machine: the agent then works on a folder that
stands in for the volume, at the other end of the same streams as in a cluster.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml

from airis.backup import backup_stack, operations, pods, restore_stack
from airis.backup.target import target_of
from airis.cluster.kubectl import Kubectl, KubectlError
from airis.rehearse.rehearsal import rehearse
from airis.rehearse.sandbox import Sandbox, load_nodes
from airis.stack_file.stacks import read_stack
from airis.terminal.errors import AirisError
from tests.rehearsal.test_stacks import committed, wanted
from tests.unit.backups import contents, data_folder, listing, rows
from tests.unit.drawing import ROOT, draw

pytestmark = pytest.mark.timeout(180)

Result = TypeVar("Result")

EXEC = {
    "apiVersion": "kwok.x-k8s.io/v1alpha1",
    "kind": "ClusterExec",
    "metadata": {"name": "here"},
    "spec": {"execs": [{"local": {"workDir": "/"}}]},
}


class ExecSandbox(Sandbox):
    """A sandbox whose pods answer `exec`."""

    def create_command(self, folder: Path) -> list[str]:
        command = super().create_command(folder)
        with (folder / f"{self.name}.yaml").open("a", encoding="utf-8") as config:
            config.write(f"---\n{yaml.safe_dump(EXEC)}")
        return command


@dataclass
class Place:
    """The stack `cpu` on a sandbox, and the folder that stands in for its volume."""

    kubectl: Kubectl
    volume: Path
    file: Path
    """Where a backup may go."""

    def get(self, *args: str) -> list[dict[str, Any]]:
        return self.kubectl.get(*args, "--namespace=airis")

    def deployment(self) -> dict[str, Any]:
        (found,) = self.get("deployments", "--show-managed-fields")
        return found

    def settled(self) -> bool:
        """Whether everything is as before: as many pods, and no helper."""
        names = [each["metadata"]["name"] for each in self.get("pods") if "deletionTimestamp" not in each["metadata"]]
        return self.deployment()["spec"]["replicas"] == 1 and "airis-deployment-data" not in names


@pytest.fixture(scope="module")
def exec_sandbox() -> Iterator[Sandbox]:
    """The stack `cpu` on a sandbox whose pods answer `exec`."""
    sandbox = ExecSandbox(f"airis-exec-{os.getpid()}")
    try:
        sandbox.up()
        sandbox.set_nodes(load_nodes())
        assert rehearse("test", committed("cpu"), sandbox.kubectl, timeout_seconds=60).ok
        yield sandbox
    finally:
        sandbox.down()


@pytest.fixture
def place(exec_sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The stack is up, its volume is empty, and `airis` in this process finds the sandbox as the user's own cluster."""
    kubectl = exec_sandbox.kubectl
    kubectl.apply([each for each in committed("cpu") if each["kind"] == "Deployment"], force_conflicts=True)
    kubectl.run("delete", "pod", "airis-deployment-data", "--ignore-not-found", "--namespace=airis")
    kubectl.run("rollout", "status", "deployment/airis-deployment", "--namespace=airis", "--timeout=60s")
    (tmp_path / "volume").mkdir()
    monkeypatch.setattr(
        operations, "target_of", lambda stack: replace(target_of(stack), folder=str(tmp_path / "volume"))
    )
    monkeypatch.setenv("KUBECONFIG", str(exec_sandbox.kubeconfig))
    monkeypatch.setenv("PATH", f"{kubectl.binary.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(ROOT)
    return Place(kubectl, tmp_path / "volume", tmp_path / "a.tar.gz")


def through_kwok(action: Callable[[], Result]) -> Result:
    """The result of `action`, tried again if KWOK, whose exec takes the kubelet's place, closes the connection too early.

    On a busy machine it resets a connection before 20 MiB are sent; a kubelet (tests/cluster) does not.
    """
    for _ in range(2):
        try:
            return action()
        except KubectlError as error:
            if "connection reset by peer" not in error.message:
                raise
    return action()


def test_a_backup_through_exec_is_restored_through_a_helper_pod(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    data_folder(place.volume)
    (place.volume / "uploads" / "large").write_bytes(os.urandom(20 << 20))
    before = contents(place.volume)

    made = through_kwok(lambda: backup_stack("cpu", place.file))
    with closing(sqlite3.connect(place.volume / "webui.db")) as database, database:
        database.execute("INSERT INTO chat (text) VALUES ('after the backup')")
    checked, aside = through_kwok(lambda: restore_stack("cpu", place.file, overwrite=True))

    assert checked == made
    assert aside is not None
    assert contents(place.volume) == before
    assert rows(place.volume / aside / "webui.db")[-1] == (4, "after the backup")
    assert place.settled()
    assert {key: made.manifest[key] for key in ("stack", "namespace", "claim", "image")} == {
        "stack": "cpu",
        "namespace": "airis",
        "claim": "airis-pvc",
        "image": place.deployment()["spec"]["template"]["spec"]["containers"][0]["image"],
    }
    assert "Stopping Open WebUI" in capsys.readouterr().err


def test_what_the_agent_refuses_comes_through_and_webui_is_not_even_stopped(place: Place) -> None:
    data_folder(place.volume)
    backup_stack("cpu", place.file)
    generation = place.deployment()["metadata"]["generation"]

    with pytest.raises(AirisError, match="the claim airis-pvc already has data"):
        restore_stack("cpu", place.file)
    (place.volume / "webui.db").write_bytes(b"not a database")
    with pytest.raises(AirisError, match="not a SQLite database"):
        backup_stack("cpu", place.file.with_name("b.tar.gz"))

    assert place.deployment()["metadata"]["generation"] == generation
    assert listing(place.file.parent) == ["a.tar.gz", "a.tar.gz.sha256", "volume"]


def test_a_paused_stack_is_backed_up_and_restored_and_stays_paused(place: Place) -> None:
    data_folder(place.volume)
    before = contents(place.volume)
    place.kubectl.run("scale", "deployment/airis-deployment", "--replicas=0", "--namespace=airis")
    place.kubectl.run("wait", "pods", "--selector=app=airis", "--for=delete", "--namespace=airis", "--timeout=60s")

    with pytest.raises(AirisError, match="no pod of airis-deployment is running"):
        backup_stack("cpu", place.file)
    backup_stack("cpu", place.file, stop=True)
    with pytest.raises(AirisError, match="the volume already has data"):
        restore_stack("cpu", place.file)
    restore_stack("cpu", place.file, overwrite=True)

    assert contents(place.volume) == before
    assert place.deployment()["spec"]["replicas"] == 0
    assert place.get("pods", "airis-deployment-data") == []


def test_a_helper_that_is_there_already_is_left_alone(place: Place) -> None:
    data_folder(place.volume)
    (deployment,) = place.get("deployments")
    place.kubectl.apply([pods.helper_pod(target_of(read_stack("cpu", ROOT)), deployment)])
    with pytest.raises(AirisError, match="another backup or restore is running") as refused:
        backup_stack("cpu", place.file, stop=True)
    assert "--replicas=1" in refused.value.remedy
    assert place.deployment()["spec"]["replicas"] == 1
    assert len(place.get("pods", "airis-deployment-data")) == 1


def test_the_next_deployment_may_change_the_number_of_pods(place: Place) -> None:
    """Scaling by hand makes kubectl the owner of the field; the fields' owners are brought back with the number."""
    data_folder(place.volume)
    (wanted_deployment,) = [each for each in committed("cpu") if each["kind"] == "Deployment"]
    wanted_deployment["spec"]["replicas"] = 0

    backup_stack("cpu", place.file, stop=True)
    place.kubectl.apply([wanted_deployment])  # refused with a conflict otherwise

    assert place.deployment()["spec"]["replicas"] == 0
    owners = {each["manager"] for each in place.deployment()["metadata"]["managedFields"] if "subresource" not in each}
    assert owners == {"airis"}
    place.kubectl.run("scale", "deployment/airis-deployment", "--replicas=1", "--namespace=airis")
    with pytest.raises(KubectlError, match="conflict"):  # which shows that there is something to bring back
        place.kubectl.apply([wanted_deployment])


@pytest.mark.parametrize("level", ["restricted", "baseline", "privileged"])
def test_the_helper_is_admitted_at_every_level(level: str, exec_sandbox: Sandbox) -> None:
    namespace = f"airis-{level}"
    objects = wanted(draw(podSecurity=level, namespace=namespace))
    exec_sandbox.kubectl.apply([each for each in objects if each["kind"] in ("Namespace", "ServiceAccount")])
    (deployment,) = [each for each in objects if each["kind"] == "Deployment"]

    body = pods.helper_pod(replace(target_of(read_stack("cpu", ROOT)), namespace=namespace), deployment)
    exec_sandbox.kubectl.apply([body], dry_run=True)

    if level == "restricted":
        body["spec"]["containers"][0]["securityContext"].pop("capabilities")
        with pytest.raises(KubectlError, match="violates PodSecurity"):
            exec_sandbox.kubectl.apply([body], dry_run=True)
