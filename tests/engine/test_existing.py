"""Existing objects that the stack did not create are found before anything is created."""

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
    """Removes the stacks of other modules before, and these stacks afterwards."""
    clean(engine_sandbox.kubectl)
    yield
    clean(engine_sandbox.kubectl)


def made(project: Project) -> list[str]:
    """The objects in the namespace that a stack creates; Kubernetes itself creates a ConfigMap in each namespace."""
    found = [f"{each['kind']}/{each['metadata']['name']}" for each in project.get(MADE)]
    return [each for each in found if each != "ConfigMap/kube-root-ca.crt"]


def test_a_second_stack_is_refused_in_the_namespace_of_a_destroyed_one(project: Project) -> None:
    project.write("first", STACK)
    project.write("second", STACK)
    project.done("up", "--stack", "first", "--yes")
    project.done("destroy", "--stack", "first", "--yes")

    for command in (["up", "--yes"], ["preview"]):
        code, text = project.run(*AIRIS, *command, "--stack", "second")
        assert code == ExitCode.BAD_INPUT
        assert f"error: already in the cluster, but not created by stack second: {LEFT}. Nothing was changed\n" in text
        assert f"{UPSERT_VARIABLE}=true for the next" in text
        assert "Previewing update" not in text  # Pulumi has not started
        assert "Traceback" not in text
    assert made(project) == []


def test_plain_pulumi_fails_at_the_namespace_with_the_same_advice(project: Project) -> None:
    code, text = project.run("pulumi", "up", "--stack", "second", *PLAIN)

    assert code != 0
    assert "error: Namespace/airis already exists, and this stack did not create it." in text
    assert f"{UPSERT_VARIABLE}=true for the next" in text
    assert "Traceback" not in text
    assert made(project) == []

    # the failed run of Pulumi does not matter: the existing objects are older
    code, text = project.run(*AIRIS, "preview", "--stack", "second")
    assert code == ExitCode.BAD_INPUT
    assert f"not created by stack second: {LEFT}." in text


def test_a_second_stack_adopts_the_data_with_the_upsert_variable(project: Project) -> None:
    claims = project.uids("persistentvolumeclaims")

    run = project.start(*AIRIS, "up", "--stack", "second", "--yes", environment={UPSERT_VARIABLE: "true"})

    assert run.end() == 0, run.text
    assert project.uids("persistentvolumeclaims") == claims
    assert "Deployment/airis-deployment" in made(project)
    project.done("preview", "--stack", "second", "--expect-no-changes")


def test_two_stacks_cannot_share_a_namespace(project: Project) -> None:
    before = made(project)

    code, text = project.run(*AIRIS, "up", "--stack", "first", "--yes")

    assert code == ExitCode.BAD_INPUT
    assert "not created by stack first: ServiceAccount/" in text
    assert "Deployment/airis-deployment" in text
    assert "set another airis:namespace for this stack" in text
    assert UPSERT_VARIABLE not in text  # what lives belongs to one stack
    assert made(project) == before


def test_a_foreign_object_is_named(project: Project) -> None:
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
    assert "not created by stack second: Service/airis-redis. Nothing was changed" in text
    assert "If it is not needed, delete it." in text

    code, text = project.run("pulumi", "up", "--stack", "second", *PLAIN)
    assert code != 0
    assert "error: Service/airis-redis already exists, and this stack did not create it." in text
    assert "Traceback" not in text

    project.sandbox.kubectl.run("delete", "service", "airis-redis", "--namespace=airis")
    project.done("up", "--stack", "second", "--yes")
    project.done("preview", "--stack", "second", "--expect-no-changes")
