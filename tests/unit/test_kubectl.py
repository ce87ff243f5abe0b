"""kubectl only runs against the given cluster; failures become errors with its message."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from airis.cluster.kubectl import Kubectl, KubectlError
from airis.terminal.errors import ExitCode

pytestmark = pytest.mark.timeout(20)

Fake = Callable[[str], Kubectl]
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe"}}


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    """A kubectl that is this shell script."""

    def make(script: str) -> Kubectl:
        binary = tmp_path / "kubectl"
        binary.write_text(f"#!/bin/sh\n{script}\n")
        binary.chmod(0o755)
        return Kubectl(binary, tmp_path / "one.kubeconfig")

    return make


def test_the_users_cluster_and_cache_are_not_used(fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERC", "on")
    written = fake('printf "%s\\n" "$@" "$KUBERC"').run("get", "--raw", "/readyz")
    kubeconfig, cache, *rest = written.splitlines()
    assert kubeconfig == f"--kubeconfig={tmp_path / 'one.kubeconfig'}"
    assert cache.startswith(f"--cache-dir={tmp_path}/")
    assert rest == ["get", "--raw", "/readyz", "off"]


def test_a_failure_has_kubectls_message(fake: Fake) -> None:
    kubectl = fake("echo 'pods \"x\" is forbidden' >&2; exit 1")
    with pytest.raises(KubectlError) as error:
        kubectl.run("get", "pod", "x")
    assert str(error.value) == 'kubectl get pod x: pods "x" is forbidden'
    assert error.value.exit_code is ExitCode.NOT_READY
    assert error.value.__cause__ is None


def test_a_failure_without_output_has_its_exit_code(fake: Fake) -> None:
    with pytest.raises(KubectlError, match=r"^kubectl version: exit code 7$"):
        fake("exit 7").run("version")


def test_a_timeout_is_reported_and_ends_the_program(fake: Fake, tmp_path: Path) -> None:
    kubectl = fake(f"echo $$ > {tmp_path / 'pid'}; exec sleep 60")
    with pytest.raises(KubectlError, match=r"^kubectl get pods: no answer within 0\.5 s$"):
        kubectl.run("get", "pods", timeout=0.5)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    kubectl = Kubectl(tmp_path / "kubectl", tmp_path / "kubeconfig")
    with pytest.raises(KubectlError, match=f"^kubectl version: No such file or directory: {tmp_path}/kubectl$"):
        kubectl.run("version")


def test_a_program_that_cannot_be_run_is_named(fake: Fake) -> None:
    kubectl = fake("")
    kubectl.binary.write_text("no program")
    with pytest.raises(KubectlError, match=f"^kubectl version: Exec format error: {kubectl.binary}$"):
        kubectl.run("version")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("", []),
        (json.dumps(POD), [POD]),
        (json.dumps({"kind": "List", "items": [POD, POD]}), [POD, POD]),
        (json.dumps({"kind": "List", "items": []}), []),
    ],
    ids=["nothing", "one", "several", "empty list"],
)
def test_get_is_always_a_list(fake: Fake, answer: str, expected: list[object]) -> None:
    assert fake(f"echo '{answer}'").get("pods") == expected


def test_apply_is_server_side_and_reads_the_objects_in_their_order(fake: Fake, tmp_path: Path) -> None:
    kubectl = fake(f'printf "%s\\n" "$@" > {tmp_path}/args; cat > {tmp_path}/stdin')
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "probe"}}
    kubectl.apply([POD, service], dry_run=True, force_conflicts=True)
    arguments = (tmp_path / "args").read_text().splitlines()[2:]
    assert arguments[0] == "apply"
    assert set(arguments[1:]) == {
        "--server-side",
        "--field-manager=airis",
        "--filename=-",
        "--dry-run=server",
        "--force-conflicts",
    }
    assert json.loads((tmp_path / "stdin").read_text())["items"] == [POD, service]


def test_nothing_to_apply_or_delete_runs_no_command(tmp_path: Path) -> None:
    kubectl = Kubectl(tmp_path / "missing", tmp_path / "kubeconfig")
    kubectl.apply([])
    kubectl.delete([])


def test_delete_ignores_missing_objects_and_waits_only_on_request(fake: Fake, tmp_path: Path) -> None:
    kubectl = fake(f'cat >/dev/null; printf "%s\\n" "$@" > {tmp_path}/args')
    kubectl.delete([POD], wait=False)
    assert {"delete", "--ignore-not-found", "--wait=false"} <= set((tmp_path / "args").read_text().splitlines())
