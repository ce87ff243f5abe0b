"""What a Deployment says whose pods do not become ready. tests/engine has it with the real engine."""

import asyncio
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
KUBECTL = """#!/bin/sh
echo "$@" >> "$0.asked"
for each in "$@"; do case "$each" in --kubeconfig=*) /bin/cat "${each#--kubeconfig=}" >> "$0.kubeconfig" ;; esac; done
echo 'airis-deployment-7f9: ImagePullBackOff Back-off pulling image "ghcr.io/x:y"'
"""


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for kubectl, the only program on PATH."""
    program = tmp_path / "bin" / "kubectl"
    program.parent.mkdir()
    program.write_text(KUBECTL)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(program.parent))
    return program


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The errors that the program has logged."""
    found: list[str] = []
    monkeypatch.setattr(pulumi.log, "error", found.append)
    return found


def configured(monkeypatch: pytest.MonkeyPatch, **config: str) -> None:
    monkeypatch.setattr(pulumi.Config, "get", lambda self, key: config.get(key) if self.name == "kubernetes" else None)


def failed(error: str = NOT_LIVE, *, known: bool = True) -> bool:
    """Runs the hook as the engine does after the provider has given up."""
    args = pulumi.ErrorHookArgs(
        "", "", "airis-deployment", "", new_inputs=INPUTS, failed_operation="update", errors=[error]
    )
    return asyncio.run(pod_reasons._say_why(args, known=known))


def test_the_reason_is_what_kubectl_says_about_the_pods(
    kubectl: Path, logged: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    configured(monkeypatch)

    assert failed() is False  # it is not tried again

    (said,) = logged
    assert "airis-deployment" in said
    assert 'ImagePullBackOff Back-off pulling image "ghcr.io/x:y"' in said
    asked = Path(f"{kubectl}.asked").read_text()
    assert asked.startswith("get pods --namespace=airis --selector=app=airis --output=jsonpath=")


CONTENT = "apiVersion: v1\nkind: Config\n"


@pytest.mark.parametrize("given", ["path", "content"])
def test_it_is_asked_on_the_cluster_of_the_stack(
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
    assert left.exists() == (given == "path")  # credentials are not left behind


@pytest.mark.parametrize("why", ["no kubectl", "kubectl fails", "another provider"])
def test_where_it_cannot_be_asked_the_command_is_named(
    why: str, kubectl: Path, logged: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    configured(monkeypatch)
    if why == "no kubectl":
        kubectl.unlink()
    elif why == "kubectl fails":
        kubectl.write_text("#!/bin/sh\necho half an answer; exit 1\n")

    failed(known=why != "another provider")

    (said,) = logged
    assert said.endswith("`kubectl describe pods --namespace=airis --selector=app=airis` says why.")
    assert not Path(f"{kubectl}.asked").exists()


def test_other_failures_are_not_about_pods(kubectl: Path, logged: list[str]) -> None:
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
