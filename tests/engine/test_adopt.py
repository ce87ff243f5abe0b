"""Moving in and out with the real engine: what ran before keeps its claims, its volumes and its data."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from airis.rehearse.rehearsal import clean
from airis.rehearse.sandbox import Sandbox, load_nodes
from tests.engine.conftest import Project, new_project
from tests.rehearsal.moving import apply_helm, apply_reference, marked, markers, versions

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def moving(engine_sandbox: Sandbox, tmp_path: Path) -> Project:
    """A project of its own for each test, on a sandbox with nothing in it."""
    engine_sandbox.up()
    clean(engine_sandbox.kubectl)
    engine_sandbox.set_nodes(load_nodes())
    return new_project(tmp_path / "airis", engine_sandbox)


def identities(project: Project, namespace: str) -> dict[str, Any]:
    """What must be the same before and after: the claims, their volumes and what is on them, and who has which address."""
    volumes = {
        each["metadata"]["name"]: each["metadata"]["uid"]
        for each in project.sandbox.kubectl.get("persistentvolumes")
        if each["spec"]["claimRef"]["namespace"] == namespace and each["status"]["phase"] == "Bound"
    }
    return {
        "claims": project.uids("persistentvolumeclaims", namespace),
        "volumes": volumes,
        "markers": markers(project.sandbox),
    }


def addresses(project: Project) -> dict[str, tuple[str, str]]:
    return {
        each["metadata"]["name"]: (each["metadata"]["uid"], each["spec"]["clusterIP"])
        for each in project.get("services")
    }


def one(project: Project, kind: str, name: str, namespace: str = "airis") -> dict[str, Any]:
    (found,) = project.get(kind, name, "--show-managed-fields", namespace=namespace)
    return found


def deployers(body: Mapping[str, Any]) -> set[str]:
    controllers = ("kube-controller-manager", "kwok")
    return {each["manager"] for each in body["metadata"]["managedFields"]} - set(controllers)


def adopted(project: Project) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((project.folder / "Pulumi.moved.yaml").read_text())["config"]
    return loaded


def take_the_switch_out(project: Project) -> None:
    switch = ("airis:takeover", "kubernetes:upsertExistingObjects")
    path = project.folder / "Pulumi.moved.yaml"
    document = yaml.safe_load(path.read_text())
    document["config"] = {key: value for key, value in document["config"].items() if key not in switch}
    path.write_text(yaml.safe_dump(document))


def rendered_by(project: Project, stack: str) -> str:
    """What `airis render --show-secrets` writes on stdout alone."""
    command = [sys.executable, "-m", "airis.cli.main", "render", "-s", stack, "--show-secrets"]
    return subprocess.run(
        command, cwd=project.folder, env=project.environment, capture_output=True, text=True, check=True
    ).stdout


def ready_pods(project: Project, namespace: str = "airis") -> dict[str, str]:
    """Uids of the pods that run, by the value of their `app` label."""
    return {
        each["metadata"]["labels"]["app"]: each["metadata"]["uid"]
        for each in project.get("pods", "--selector=app in (airis,ollama)", namespace=namespace)
        if any(it["type"] == "Ready" and it["status"] == "True" for it in each["status"].get("conditions", []))
        and "deletionTimestamp" not in each["metadata"]
    }


@pytest.mark.parametrize("overlay", ["base", "gpu"])
def test_the_reference_is_taken_over_with_its_data(overlay: str, moving: Project) -> None:
    apply_reference(moving.sandbox, overlay)
    marked(moving.sandbox)
    before, services = identities(moving, "airis"), addresses(moving)
    workloads = moving.uids("statefulsets"), moving.uids("deployments")
    assert len(before["markers"]) == 2

    # on the GPU nodes the reference's pod waits for ever: it lacks a toleration
    stuck = "its controller would wait for it for ever" in moving.done("adopt", "-s", "moved", "--yes")
    moving.done("up", "-s", "moved", "--yes")

    assert stuck == (overlay == "gpu")
    assert identities(moving, "airis") == before
    assert (moving.uids("statefulsets"), moving.uids("deployments")) == workloads
    assert services.items() <= addresses(moving).items()
    assert ready_pods(moving).keys() == {"airis", "ollama"}
    ollama = one(moving, "statefulset", "ollama")
    container = ollama["spec"]["template"]["spec"]["containers"][0]
    assert container["resources"]["limits"].get("nvidia.com/gpu") == (None if overlay == "base" else "1")
    assert {each["mountPath"] for each in container["volumeMounts"]} == {"/root/.ollama", "/tmp"}
    for kind, name in (
        ("statefulset", "ollama"),
        ("deployment", "airis-deployment"),
        ("service", "airis-service"),
        ("ingress", "airis-ingress"),
    ):
        body = one(moving, kind, name)
        assert deployers(body) == {"airis"}
        assert "kubectl.kubernetes.io/last-applied-configuration" not in body["metadata"].get("annotations", {})

    running = ready_pods(moving)
    take_the_switch_out(moving)
    moving.done("up", "-s", "moved", "--yes")

    assert ready_pods(moving) == running  # no pod restarts for that
    assert identities(moving, "airis") == before
    ollama = one(moving, "statefulset", "ollama")
    assert deployers(ollama) == {"airis"}
    assert "pulumi.com/patchFieldManager" not in ollama["metadata"].get("annotations", {})


def test_what_the_reference_left_behind_is_gone_and_what_others_set_stays(moving: Project) -> None:
    """tty, an old mount and a stale condition, as earlier versions and hands left them."""
    stale = {
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [
                        {"matchExpressions": [{"key": "nvidia.com/gpu.present", "operator": "In", "values": ["true"]}]}
                    ]
                }
            }
        },
        "containers": [
            {"name": "ollama", "tty": True, "volumeMounts": [{"name": "old", "mountPath": "/old"}]},
        ],
        "volumes": [{"name": "old", "emptyDir": {}}],
    }
    apply_reference(moving.sandbox, "base")
    kubectl = moving.sandbox.kubectl
    patch = json.dumps({"spec": {"template": {"spec": stale}}})
    kubectl.run("patch", "statefulset", "ollama", "--namespace=airis", f"--patch={patch}")
    kubectl.run("label", "namespace", "airis", "istio-injection=disabled", "--field-manager=kubectl-label")
    marked(moving.sandbox)
    before = identities(moving, "airis")

    told = moving.done("adopt", "-s", "moved", "--yes")
    moving.done("up", "-s", "moved", "--yes")

    assert "the condition on nvidia.com/gpu.present: only GPU nodes meet it" in told
    pod = one(moving, "statefulset", "ollama")["spec"]["template"]["spec"]
    assert "affinity" not in pod
    assert "tty" not in pod["containers"][0]
    assert [each["name"] for each in pod["volumes"]] == ["tmp"]
    assert ready_pods(moving).keys() == {"airis", "ollama"}
    assert identities(moving, "airis") == before
    (namespace,) = kubectl.get("namespace", "airis")
    assert namespace["metadata"]["labels"]["istio-injection"] == "disabled"


def test_without_the_handover_up_refuses_instead_of_mixing(moving: Project) -> None:
    """Whoever leaves the question open is refused in the preview: half of the old strategy would be left beside the new one."""
    apply_reference(moving.sandbox, "base")
    moving.done("adopt", "-s", "moved")  # nobody answers, so nothing is handed over
    before = versions(moving.sandbox, "airis")

    run = moving.airis("up", "-s", "moved", "--yes")

    assert run.end(120) != 0
    assert "spec.strategy.rollingUpdate: Forbidden" in run.text
    assert versions(moving.sandbox, "airis") == before


def test_a_helm_release_is_moved_over_and_its_pods_never_run_beside_the_new_ones(moving: Project) -> None:
    apply_helm(moving.sandbox)
    marked(moving.sandbox)
    before = identities(moving, "chat")
    old = versions(moving.sandbox, "chat")
    assert len(before["markers"]) == 3

    told = moving.done("adopt", "-s", "moved", "--namespace", "chat")
    refused = moving.airis("up", "-s", "moved", "--yes")

    assert "airis:takeover" in adopted(moving)
    assert "helm uninstall open-webui` DELETES THE CLAIMS" in told
    assert refused.end(120) != 0
    assert "StatefulSet/open-webui and Deployment/open-webui-ollama still have pods" in refused.text
    assert moving.get("deployments", "airis-deployment", namespace="chat") == []
    assert old == {key: value for key, value in versions(moving.sandbox, "chat").items() if key in old}

    moving.done("adopt", "-s", "moved", "--yes")
    assert moving.get("pods", "--selector=app.kubernetes.io/component=open-webui", namespace="chat") == []
    moving.done("up", "-s", "moved", "--yes")

    assert identities(moving, "chat") == before
    assert ready_pods(moving, "chat").keys() == {"airis", "ollama"}
    pod = one(moving, "deployment", "airis-deployment", "chat")["spec"]["template"]["spec"]
    assert {"name": "webui-volume", "persistentVolumeClaim": {"claimName": "open-webui"}} in pod["volumes"]
    # nothing of the release is uninstalled
    (secret,) = moving.get("secrets", "--selector=owner=helm", namespace="chat")
    assert secret["metadata"]["name"] == "sh.helm.release.v1.open-webui.v1"
    assert one(moving, "statefulset", "open-webui", "chat")["spec"]["replicas"] == 0

    # as `helm upgrade` would do
    moving.sandbox.kubectl.run("scale", "statefulset/open-webui", "--replicas=1", "--namespace=chat")
    again = moving.airis("up", "-s", "moved", "--yes")
    assert again.end(120) != 0
    assert "StatefulSet/open-webui still has pods" in again.text


def test_moving_out_leaves_everything_running(moving: Project) -> None:
    """Rendered once more and applied by kubectl, it lives on without Pulumi's state, and with the same session key."""
    moving.write("out", {"airis:ingress": {"host": "chat.example.com"}})
    moving.done("up", "-s", "out", "--yes")
    marked(moving.sandbox)
    before = identities(moving, "airis")
    key = one(moving, "secret", "airis-secrets")["data"]
    moving.write(
        "out",
        {
            "airis:ingress": {"host": "chat.example.com"},
            "airis:webui": {"sessionKeyFrom": {"name": "airis-secrets", "key": "WEBUI_SECRET_KEY"}},
        },
    )

    rendered = rendered_by(moving, "out")
    moving.sandbox.kubectl.run("apply", "--server-side", "--force-conflicts", "--filename=-", stdin=rendered)
    exported = json.loads(moving.run("pulumi", "stack", "export", "--stack", "out")[1])
    (urn,) = [each["urn"] for each in exported["deployment"]["resources"] if each["urn"].endswith("::airis-deployment")]
    code, text = moving.run("pulumi", "state", "delete", urn, "--stack", "out", "--yes", "--force")
    assert code == 0, text
    code, text = moving.run("pulumi", "stack", "rm", "out", "--yes", "--force", "--preserve-config")

    assert code == 0, text
    assert identities(moving, "airis") == before
    moving.sandbox.kubectl.run("rollout", "status", "deployment/airis-deployment", "--namespace=airis", "--timeout=60s")
    assert ready_pods(moving).keys() == {"airis", "ollama"}
    assert one(moving, "secret", "airis-secrets")["data"] == key
    moving.sandbox.kubectl.run("apply", "--server-side", "--filename=-", stdin=rendered)  # by kubectl from now on
