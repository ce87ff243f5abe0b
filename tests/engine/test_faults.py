"""The API server restarts while Pulumi runs: the run reports it or continues, and the next one has lost nothing."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from airis.rehearse.rehearsal import clean
from airis.rehearse.sandbox import Sandbox
from airis.terminal.errors import ExitCode
from tests.engine.conftest import Project, new_project
from tests.engine.unheard import way_to
from tests.rehearsal.moving import marked, markers

pytestmark = pytest.mark.timeout(600)

Stop = Callable[[], Callable[[], None]]

STACK = {"airis:ollama": {"gpu": {"count": 1}}, "airis:ingress": {"host": "airis.minikube.local"}}
KINDS = ("persistentvolumeclaims", "statefulsets", "deployments", "services", "secrets")


@pytest.fixture(scope="module", autouse=True)
def empty_sandbox(engine_sandbox: Sandbox) -> Iterator[None]:
    """Removes the stacks of other modules before, and these stacks afterwards."""
    clean(engine_sandbox.kubectl)
    yield
    clean(engine_sandbox.kubectl)


def uids(project: Project) -> dict[str, str]:
    return {f"{kind}/{name}": uid for kind in KINDS for name, uid in project.uids(kind).items()}


def restarted(project: Project, stop: Stop, when: str) -> tuple[int, str]:
    """Runs `airis up`, and stops the API server for some seconds once `up` has printed `when`."""
    run = project.airis("up", "--stack", "gpu", "--yes")
    run.when(when)
    restart = stop()
    time.sleep(3)  # long enough for a request by Pulumi
    restart()
    return run.end(400), run.text


def ended_well(code: int, text: str) -> None:
    """Pulumi does not notice the restart, or reports which operations failed."""
    assert code in (0, 3), text
    assert "Traceback" not in text
    assert code == 0 or "run the same command again" in text or "see Pulumi's output above" in text


def settled(project: Project) -> str:
    """Runs `up` again, which must succeed and leave nothing to do; returns its output."""
    said = project.done("up", "--stack", "gpu", "--yes")
    project.done("preview", "--stack", "gpu", "--expect-no-changes")
    return said


def test_the_api_server_restarts_during_the_first_up(project: Project, api_server: Stop) -> None:
    project.write("gpu", STACK)

    code, text = restarted(project, api_server, "PersistentVolumeClaim airis-pvc creating")

    ended_well(code, text)
    made = uids(project)
    settled(project)
    assert made.items() <= uids(project).items()  # created objects are kept, and none is created twice
    assert set(project.uids("persistentvolumeclaims")) == {"airis-pvc", "ollama-volume-ollama-0"}


def test_the_api_server_restarts_during_a_change(project: Project, api_server: Stop) -> None:
    marked(project.sandbox)
    before, written = uids(project), markers(project.sandbox)
    assert len(written) == 2
    project.write("gpu", {**STACK, "airis:webui": {"image": "ghcr.io/airis/airis:v2"}})

    code, text = restarted(project, api_server, "Deployment airis-deployment updating")

    ended_well(code, text)
    settled(project)
    assert uids(project) == before
    assert markers(project.sandbox) == written
    (deployment,) = project.get("deployments")
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == "ghcr.io/airis/airis:v2"
    assert deployment["status"]["readyReplicas"] == 1


@pytest.mark.parametrize("lost", ["/api/v1/namespaces", "/api/v1/namespaces/airis/services"])
def test_an_object_is_created_and_the_response_is_lost(engine_sandbox: Sandbox, tmp_path: Path, lost: str) -> None:
    """Pulumi would refuse to create it a second time."""
    clean(engine_sandbox.kubectl)
    project = new_project(tmp_path / "airis", engine_sandbox)
    project.write("gpu", STACK)
    with way_to(engine_sandbox, tmp_path) as way:
        project.environment["KUBECONFIG"] = str(way.kubeconfig)
        way.losing = lost

        run = project.airis("up", "--stack", "gpu", "--yes")

        assert run.end(400) == ExitCode.NOT_READY, run.text
        assert way.lost == [f"{lost}?fieldManager=pulumi-kubernetes"]
        ended_well(ExitCode.NOT_READY, run.text)
        made = uids(project)
        said = settled(project)
        assert ", but got no answer from the API server: this run takes over these objects." in said
        assert made.items() <= uids(project).items()
        project.write("gpu", {**STACK, "airis:webui": {"service": {"annotations": {"example.com/a": "b"}}}})
        settled(project)  # the stack owns it now, so it can also change it
