"""Failing pods: `up` fails with the reason, also with plain Pulumi, and the next one fixes it. Each test continues
where the previous one ended."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from airis.rehearse.rehearsal import clean
from airis.rehearse.sandbox import Sandbox, load_nodes
from tests.engine.conftest import Project
from tests.pulumi_project import Run
from tests.rehearsal.faulty import MISSING, Faulty

pytestmark = pytest.mark.timeout(400)

STACK: dict[str, Any] = {"airis:cluster": {"readySeconds": 30}}
WITH_A_MODEL = {**STACK, "airis:ollama": {"models": ["llama3.2:1b"]}}
PLAIN = ("pulumi", "up", "--stack", "test", "--yes", "--non-interactive", "--skip-preview")
NODES = [each["metadata"]["name"] for each in load_nodes()]


@pytest.fixture(scope="module", autouse=True)
def empty_sandbox(engine_sandbox: Sandbox) -> Iterator[None]:
    """Removes the stacks of other modules before, and these stacks afterwards. One image cannot be pulled."""
    clean(engine_sandbox.kubectl)
    engine_sandbox.set_nodes([])
    engine_sandbox.kubectl.run(
        "delete", "leases", "--all", "--namespace=kube-node-lease"
    )  # those of the KWOK process that ends here
    Faulty(engine_sandbox).prepare({"kwok-controller": ()})
    engine_sandbox.set_nodes(load_nodes())
    yield
    clean(engine_sandbox.kubectl)


@pytest.fixture(scope="module")
def stack(project: Project) -> Project:
    """A deployed stack, in a project with kubectl on its PATH."""
    folder = project.sandbox.kubectl.binary.parent
    project.environment["PATH"] = f"{folder}{os.pathsep}{project.environment['PATH']}"
    project.write("test", STACK)
    project.done("up", "--stack", "test", "--yes")
    return project


def ready(project: Project) -> bool:
    (deployment,) = project.get("deployments")
    return bool(deployment["status"].get("readyReplicas") == 1)


def job(project: Project) -> Mapping[str, Any]:
    (found,) = project.get("jobs")
    return found


def conditions(project: Project) -> set[str]:
    """The true conditions of the Job."""
    return {each["type"] for each in job(project)["status"].get("conditions", []) if each["status"] == "True"}


def failed(project: Project, run: Run) -> str:
    """Makes the Job of this run fail immediately, not after an hour; returns the output of the run, which must fail too."""
    run.when("Waiting for Job")
    patch = '{"spec":{"activeDeadlineSeconds":1}}'
    project.sandbox.kubectl.run(
        "patch", job(project)["kind"], job(project)["metadata"]["name"], "--namespace=airis", "-p", patch
    )
    assert run.end() != 0, run.text
    assert conditions(project) >= {"Failed"}
    return run.text


def test_plain_pulumi_fails_if_the_new_pod_never_becomes_ready(stack: Project) -> None:
    """While the old pod terminates, the Deployment has no pods, which the provider takes for all pods being ready."""
    stack.write("test", {**STACK, "airis:webui": {"image": MISSING}})

    code, text = stack.run(*PLAIN)

    assert code != 0, text
    assert "error: Not all pods of airis-deployment are ready." in text
    assert f'ImagePullBackOff Back-off pulling image "{MISSING}"' in text
    assert "Traceback" not in text
    assert not ready(stack)


def test_plain_pulumi_fixes_it_and_waits_until_the_pod_is_ready(stack: Project) -> None:
    for image in ("registry.example.com/a:1", "registry.example.com/a:2", "registry.example.com/a:3"):
        stack.write("test", {**STACK, "airis:webui": {"image": image}})
        code, text = stack.run(*PLAIN)
        assert code == 0, text
        assert ready(stack)


def test_a_failed_job_runs_again_with_the_next_up(stack: Project) -> None:
    stack.write("test", WITH_A_MODEL)
    stack.sandbox.kubectl.run("cordon", *NODES)  # its pod cannot be scheduled
    try:
        failed(stack, stack.airis("up", "--stack", "test", "--yes"))
        first = job(stack)["metadata"]
        failed(stack, stack.start(*PLAIN))
        second = job(stack)["metadata"]
    finally:
        stack.sandbox.kubectl.run("uncordon", *NODES)
    assert second["name"] == first["name"]
    assert second["uid"] != first["uid"]

    code, text = stack.run(*PLAIN)

    assert code == 0, text
    assert "Complete" in conditions(stack)
    done = job(stack)["metadata"]
    assert done["name"] == first["name"]
    assert done["uid"] != second["uid"]

    stack.done("preview", "--stack", "test", "--expect-no-changes")  # a Job that has succeeded does not change
