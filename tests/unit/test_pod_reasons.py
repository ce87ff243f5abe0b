"""Error messages of a Deployment whose pods do not become ready. tests/engine tests them with the real engine."""

import asyncio
import json
import stat
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components import pod_reasons
from tests.unit.drawing import draw

pytestmark = pytest.mark.timeout(60)

INPUTS = {
    "metadata": {"namespace": "airis", "name": "airis-deployment"},
    "spec": {"selector": {"matchLabels": {"app": "airis"}}},
}
NOT_LIVE = (
    'the Kubernetes API server reported that "airis/airis-deployment" failed to fully initialize or become live: timed out '
    "waiting for the condition"
)
INTERRUPTED = NOT_LIVE.replace("timed out waiting for the condition", "context canceled")
KUBECTL = """#!/bin/sh
echo "$@" >> "$0.asked"
for each in "$@"; do case "$each" in --kubeconfig=*) /bin/cat "${each#--kubeconfig=}" >> "$0.kubeconfig" ;; esac; done
/bin/cat "$0.pods"
"""


def pod(name: str, first: dict[str, Any], server: dict[str, Any], **conditions: str) -> dict[str, Any]:
    """A pod with the statuses of the prepare container and of the server."""
    told = [{"type": type_, "status": "False", "message": message} for type_, message in conditions.items()]
    status = {
        "conditions": told,
        "initContainerStatuses": [{"name": "prepare", **first}],
        "containerStatuses": [{"name": "airis", **server}],
    }
    return {"metadata": {"name": name}, "status": status}


def waiting(reason: str, message: str) -> dict[str, Any]:
    return {"state": {"waiting": {"reason": reason, "message": message}}}


UNPULLED = pod("airis-7f9", {}, waiting("ImagePullBackOff", 'Back-off pulling image "ghcr.io/x:y"'))
PREPARES = pod("airis-8f0", {"state": {"running": {}}}, waiting("PodInitializing", ""))


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fake kubectl, the only program on PATH."""
    program = tmp_path / "bin" / "kubectl"
    program.parent.mkdir()
    program.write_text(KUBECTL)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    found(program, UNPULLED)
    monkeypatch.setenv("PATH", str(program.parent))
    return program


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The errors that the program logs."""
    found: list[str] = []
    monkeypatch.setattr(pulumi.log, "error", found.append)
    return found


def found(kubectl: Path, *pods: dict[str, Any]) -> None:
    """Has kubectl find these pods."""
    Path(f"{kubectl}.pods").write_text(json.dumps({"kind": "List", "items": pods}))


def configured(monkeypatch: pytest.MonkeyPatch, **config: str) -> None:
    monkeypatch.setattr(pulumi.Config, "get", lambda self, key: config.get(key) if self.name == "kubernetes" else None)


def failed(error: str = NOT_LIVE, *, operation: str = "update", known: bool = True) -> bool:
    """Runs the hook as the engine does after the provider has given up."""
    args = pulumi.ErrorHookArgs(
        "", "", "airis-deployment", "", new_inputs=INPUTS, failed_operation=operation, errors=[error]
    )
    return asyncio.run(pod_reasons._say_why(args, known=known))


def test_the_reason_comes_from_the_status_of_the_pods(
    kubectl: Path, logged: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    configured(monkeypatch)

    assert failed() is False  # no retry

    (said,) = logged
    assert "airis-deployment" in said
    assert 'ImagePullBackOff Back-off pulling image "ghcr.io/x:y"' in said
    asked = Path(f"{kubectl}.asked").read_text()
    assert asked == "get pods --namespace=airis --selector=app=airis --output=json\n"


def test_only_the_prepare_containers_message_is_included(
    kubectl: Path, logged: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    configured(monkeypatch)
    ended = {
        "reason": "Error",
        "exitCode": 1,
        "message": "[parameters: private]\nairis: the database could not be prepared: x",
    }
    found(
        kubectl,
        pod("airis-1", {**waiting("CrashLoopBackOff", "back-off"), "lastState": {"terminated": ended}}, {}),
        pod("airis-2", {"state": {"terminated": {**ended, "message": "Traceback: private"}}}, {}),
        pod("airis-3", {}, {"state": {}, "lastState": {"terminated": ended}}),
        pod("airis-4", {}, {}, PodScheduled="0/1 nodes"),
    )

    failed()

    (said,) = logged
    assert said == (
        "Not all pods of airis-deployment are ready. "
        "airis-1: CrashLoopBackOff back-off Error 1 airis: the database could not be prepared: x\n"
        "airis-2: Error\n"
        "airis-3: Error 1\n"
        "airis-4: 0/1 nodes"
    )


@pytest.mark.parametrize(("error", "operation"), [(NOT_LIVE, "update"), (NOT_LIVE, "create"), (INTERRUPTED, "update")])
def test_a_database_that_is_being_prepared_is_waited_for(
    error: str, operation: str, kubectl: Path, logged: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An existing object cannot be created; and after an interruption, do not wait."""
    again = (error, operation) == (NOT_LIVE, "update")
    configured(monkeypatch)
    told: list[str] = []
    monkeypatch.setattr(pulumi.log, "info", told.append)
    found(kubectl, UNPULLED, PREPARES)

    assert failed(error, operation=operation) is again

    assert told == (["The database of airis-deployment is still being prepared: waiting."] if again else [])
    assert [each.rpartition("\n")[2] for each in logged] == {
        (NOT_LIVE, "update"): [],
        (NOT_LIVE, "create"): ["The database is still being prepared. This continues, and the next `up` waits for it."],
        (INTERRUPTED, "update"): ["airis-8f0: PodInitializing"],
    }[error, operation]


CONTENT = "apiVersion: v1\nkind: Config\n"


@pytest.mark.parametrize("given", ["path", "content"])
def test_kubectl_uses_the_cluster_of_the_stack(
    given: str, kubectl: Path, logged: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config"
    file.write_text(CONTENT)
    configured(monkeypatch, kubeconfig=CONTENT if given == "content" else str(file), context="work")

    failed()

    asked = Path(f"{kubectl}.asked").read_text()
    assert asked.startswith("--context=work --kubeconfig=")
    assert Path(f"{kubectl}.kubeconfig").read_text() == CONTENT
    left = Path(asked.split("--kubeconfig=")[1].split()[0])
    assert left.exists() == (given == "path")  # no credentials remain


@pytest.mark.parametrize("why", ["no kubectl", "kubectl fails", "another provider"])
def test_without_kubectl_the_command_is_printed(
    why: str, kubectl: Path, logged: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    configured(monkeypatch)
    if why == "no kubectl":
        kubectl.unlink()
    elif why == "kubectl fails":
        kubectl.write_text("#!/bin/sh\necho half an answer; exit 1\n")

    failed(known=why != "another provider")

    (said,) = logged
    assert said.endswith("`kubectl describe pods --namespace=airis --selector=app=airis` shows the reason.")
    assert not Path(f"{kubectl}.asked").exists()


def test_other_failures_have_no_pod_reasons(kubectl: Path, logged: list[str]) -> None:
    assert failed("conflict with another field manager") is False
    assert logged == []
    assert not Path(f"{kubectl}.asked").exists()


def test_the_deployment_has_the_hook_and_statefulsets_do_not(registrations: list[Any]) -> None:
    draw(webui={"redis": {"bundled": {}}})
    hooks = {
        each.name: {*each.hooks.on_error} - {"exists-already"}
        for each in registrations
        if each.type.startswith("kubernetes:apps/")
    }
    assert hooks == {"airis-deployment": {"airis-pods"}, "ollama": set(), "airis-redis": set()}
