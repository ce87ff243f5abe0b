"""Replacing a claim by another one, and going back, on purpose; the data stays on its claim."""

import pytest

from airis.rehearse.rehearsal import clean
from airis.rehearse.sandbox import Sandbox
from airis.stack_file.stacks import UPSERT_VARIABLE
from airis.terminal.errors import ExitCode
from tests.engine.conftest import AIRIS, Project, new_project
from tests.rehearsal.moving import marked, markers

pytestmark = pytest.mark.timeout(600)

OWN = "ollama-volume-ollama-0"
CONFIG = {"airis:ingress": {"host": "airis.minikube.local"}}
MINE = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "mine", "namespace": "airis"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "30Gi"}}},
}


def mounted(project: Project) -> list[str]:
    """The claims of Ollama's pod."""
    (pod,) = project.get("pods", "--selector=app=ollama")
    return [
        each["persistentVolumeClaim"]["claimName"]
        for each in pod["spec"]["volumes"]
        if each.get("persistentVolumeClaim")
    ]


def test_ollama_moves_to_another_claim_and_back(
    engine_sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> None:
    clean(engine_sandbox.kubectl)
    project = new_project(tmp_path_factory.mktemp("claims") / "airis", engine_sandbox)
    project.write("cpu", CONFIG)
    project.done("up", "--stack", "cpu", "--yes")
    marked(engine_sandbox)
    claims, written, made = project.uids("pvc"), markers(engine_sandbox), project.uids("statefulsets")
    assert mounted(project) == [OWN]

    engine_sandbox.kubectl.apply([MINE])
    project.write("cpu", {**CONFIG, "airis:ollama": {"storage": {"existingClaim": "mine"}}})
    refused = project.airis("up", "--stack", "cpu", "--yes")
    assert refused.end() == ExitCode.NOT_READY
    assert "protect" in refused.text
    assert (mounted(project), project.uids("statefulsets")) == ([OWN], made)

    _, urns = project.run("pulumi", "stack", "--stack", "cpu", "--show-urns")
    (urn,) = [line.split("URN: ")[1] for line in urns.splitlines() if line.endswith(f"::{OWN}")]
    code, said = project.run("pulumi", "state", "unprotect", urn.strip(), "--stack", "cpu", "--yes")
    assert code == 0, said
    project.done("up", "--stack", "cpu", "--yes")

    assert mounted(project) == ["mine"]
    assert project.uids("statefulsets") != made  # the old one would still mount the old claim
    assert claims.items() < project.uids("pvc").items()
    assert written.items() <= markers(engine_sandbox).items()
    project.done("preview", "--stack", "cpu", "--expect-no-changes")

    project.write("cpu", CONFIG)
    there = project.airis("up", "--stack", "cpu", "--yes")
    assert there.end() == ExitCode.BAD_INPUT
    assert f"already in the cluster, but not created by stack cpu: PersistentVolumeClaim/{OWN}. Nothing" in there.text
    assert mounted(project) == ["mine"]

    run = project.start(*AIRIS, "up", "--stack", "cpu", "--yes", environment={UPSERT_VARIABLE: "true"})
    assert run.end() == 0, run.text
    assert mounted(project) == [OWN]
    project.done("preview", "--stack", "cpu", "--expect-no-changes")
    assert claims.items() < project.uids("pvc").items()
    assert written.items() <= markers(engine_sandbox).items()
