"""Objects that are in the cluster already, and that the stack did not make: found before anything is created."""

from collections.abc import Iterator
from typing import Any

import pytest

from airis.rehearse.rehearsal import clean
from airis.rehearse.sandbox import Sandbox
from airis.stack_file.stacks import UPSERT_VARIABLE
from airis.terminal.errors import ExitCode
from tests.engine.conftest import AIRIS, Project

pytestmark = pytest.mark.timeout(400)

STACK: dict[str, Any] = {"airis:ingress": {"host": "airis.minikube.local"}}
WITH_REDIS = {**STACK, "airis:webui": {"redis": {"bundled": {}}}}
LEFT = "Namespace/airis, PersistentVolumeClaim/airis-pvc, PersistentVolumeClaim/ollama-volume-ollama-0"
MADE = "deployments,statefulsets,services,secrets,configmaps,networkpolicies,ingresses"
PLAIN = ("--yes", "--non-interactive", "--skip-preview")


@pytest.fixture(scope="module", autouse=True)
def empty_sandbox(engine_sandbox: Sandbox) -> Iterator[None]:
    """Nothing of another module's stacks is there before, and nothing of these afterwards."""
    clean(engine_sandbox.kubectl)
    yield
    clean(engine_sandbox.kubectl)


def made(project: Project) -> list[str]:
    """What is in the namespace and a stack makes; each namespace has a ConfigMap of its own."""
    found = [f"{each['kind']}/{each['metadata']['name']}" for each in project.get(MADE)]
    return [each for each in found if each != "ConfigMap/kube-root-ca.crt"]


def test_a_second_stack_does_not_start_in_what_a_destroyed_one_left(project: Project) -> None:
    project.write("first", STACK)
    project.write("second", STACK)
    project.done("up", "--stack", "first", "--yes")
    project.done("destroy", "--stack", "first", "--yes")

    for command in (["up", "--yes"], ["preview"]):
        code, text = project.run(*AIRIS, *command, "--stack", "second")
        assert code == ExitCode.BAD_INPUT
        assert f"error: already in the cluster, and not made by stack second: {LEFT}. Nothing was changed\n" in text
        assert f"{UPSERT_VARIABLE}=true in the environment" in text
        assert "Previewing update" not in text  # Pulumi has not begun
        assert "Traceback" not in text
    assert made(project) == []


def test_plain_pulumi_ends_at_the_namespace_and_says_the_same(project: Project) -> None:
    code, text = project.run("pulumi", "up", "--stack", "second", *PLAIN)

    assert code != 0
    assert "error: Namespace/airis already exists, and this stack did not create it." in text
    assert f"{UPSERT_VARIABLE}=true in the environment" in text
    assert "Traceback" not in text
    assert made(project) == []

    # that Pulumi has failed changes nothing: what exists is older than that
    code, text = project.run(*AIRIS, "preview", "--stack", "second")
    assert code == ExitCode.BAD_INPUT
    assert f"not made by stack second: {LEFT}." in text


def test_it_is_taken_over_with_its_data_on_purpose(project: Project) -> None:
    claims = project.uids("persistentvolumeclaims")

    run = project.start(*AIRIS, "up", "--stack", "second", "--yes", environment={UPSERT_VARIABLE: "true"})

    assert run.end() == 0, run.text
    assert project.uids("persistentvolumeclaims") == claims
    assert "Deployment/airis-deployment" in made(project)
    project.done("preview", "--stack", "second", "--expect-no-changes")


def test_two_stacks_cannot_live_in_one_namespace(project: Project) -> None:
    before = made(project)

    code, text = project.run(*AIRIS, "up", "--stack", "first", "--yes")

    assert code == ExitCode.BAD_INPUT
    assert "not made by stack first: ServiceAccount/" in text
    assert "Deployment/airis-deployment" in text
    assert "set another airis:namespace for this stack" in text
    assert UPSERT_VARIABLE not in text  # what lives belongs to one stack
    assert made(project) == before


def test_an_object_that_somebody_else_made_is_named(project: Project) -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "airis-redis", "namespace": "airis"},
        "spec": {"ports": [{"port": 6379}]},
    }
    project.sandbox.kubectl.apply([service])
    project.write("second", WITH_REDIS)

    code, text = project.run(*AIRIS, "up", "--stack", "second", "--yes")
    assert code == ExitCode.BAD_INPUT
    assert "not made by stack second: Service/airis-redis. Nothing was changed" in text
    assert "If it is not needed, delete it." in text

    code, text = project.run("pulumi", "up", "--stack", "second", *PLAIN)
    assert code != 0
    assert "error: Service/airis-redis already exists, and this stack did not create it." in text
    assert "Traceback" not in text

    project.sandbox.kubectl.run("delete", "service", "airis-redis", "--namespace=airis")
    project.done("up", "--stack", "second", "--yes")
    project.done("preview", "--stack", "second", "--expect-no-changes")
