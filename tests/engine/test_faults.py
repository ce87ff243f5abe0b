"""The API server restarts while Pulumi is at work: the run says so or gets over it, and the next one has lost nothing."""

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
    """Nothing of another module's stacks is there before, and nothing of these afterwards."""
    clean(engine_sandbox.kubectl)
    yield
    clean(engine_sandbox.kubectl)


def uids(project: Project) -> dict[str, str]:
    return {f"{kind}/{name}": uid for kind in KINDS for name, uid in project.uids(kind).items()}


def restarted(project: Project, stop: Stop, when: str) -> tuple[int, str]:
    """`airis up`, and the API server goes away for some seconds once `up` has said `when`."""
    run = project.airis("up", "--stack", "gpu", "--yes")
    run.when(when)
    restart = stop()
    time.sleep(3)  # it is away, and Pulumi has asked for it
    restart()
    return run.end(400), run.text


def ended_well(code: int, text: str) -> None:
    """Pulumi gets over a restart that it does not notice; else it says what it could not do."""
    assert code in (0, 3), text
    assert "Traceback" not in text
    assert code == 0 or "run the same command again" in text or "see Pulumi's output above" in text


def settled(project: Project) -> str:
    """The next run, which must succeed and leave nothing to do; what it said."""
    said = project.done("up", "--stack", "gpu", "--yes")
    project.done("preview", "--stack", "gpu", "--expect-no-changes")
    return said


def test_in_the_middle_of_the_first_up(project: Project, api_server: Stop) -> None:
    project.write("gpu", STACK)

    code, text = restarted(project, api_server, "PersistentVolumeClaim airis-pvc creating")

    ended_well(code, text)
    made = uids(project)
    settled(project)
    assert made.items() <= uids(project).items()  # what was made is kept, and nothing is made twice
    assert set(project.uids("persistentvolumeclaims")) == {"airis-pvc", "ollama-volume-ollama-0"}


def test_in_the_middle_of_a_change(project: Project, api_server: Stop) -> None:
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
def test_an_object_is_made_and_the_answer_gets_lost(engine_sandbox: Sandbox, tmp_path: Path, lost: str) -> None:
    """Pulumi would refuse to make it a second time."""
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
        settled(project)  # who took it over may also change it
