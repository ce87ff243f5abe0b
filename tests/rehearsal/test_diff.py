"""`airis diff --against cluster` on a real API server: no difference after a deployment, and manual changes."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from airis.cluster.kubectl import Kubectl, KubectlError
from airis.diff import Action, Diff
from airis.diff.live import diff_cluster
from airis.rehearse.sandbox import Sandbox
from airis.render.objects import manifests
from airis.stack_file.stacks import StackFile
from airis.terminal.errors import AirisError, EnvironmentProblem
from settings.types.releases import OPEN_WEBUI
from tests.unit.drawing import stack_of

pytestmark = pytest.mark.timeout(120)

SETTINGS = {
    "ollama": {"models": ["llama3.2:1b"], "storage": {"size": "20Gi"}},
    "ingress": {"host": "chat.example.com"},
    "webui": {"service": {"type": "NodePort"}},
}
NAMESPACED = "--namespace=airis"
SOMEBODY = "system:serviceaccount:airis:somebody"


def stack_on(kubeconfig: Path, **settings: object) -> StackFile:
    stack = stack_of(**{**SETTINGS, **settings})
    return replace(stack, config={**stack.config, "kubernetes:kubeconfig": str(kubeconfig)})


def told(diff: Diff) -> dict[str, set[str]]:
    """The paths that differ, by object; for created and removed objects, the action."""
    return {str(each): {field.path for field in each.fields} or {f"({each.action})"} for each in diff.changes}


@pytest.fixture
def deployed(clean_sandbox: Sandbox) -> Iterator[Kubectl]:
    """An applied stack without changes."""
    clean_sandbox.kubectl.apply(manifests(stack_on(clean_sandbox.kubeconfig)))
    yield clean_sandbox.kubectl


def test_only_manual_changes_are_shown(deployed: Kubectl) -> None:
    stack = stack_on(deployed.kubeconfig)
    first = diff_cluster(stack)
    assert told(first) == {}
    assert first.problems == ()
    assert first.totals_before == first.totals_after

    deployed.run("set", "image", "deployment/airis-deployment", "airis=ghcr.io/airis/airis:other", NAMESPACED)
    deployed.run("label", "service", "ollama", "app.kubernetes.io/name-", NAMESPACED)
    deployed.run("scale", "statefulset/ollama", "--replicas=3", NAMESPACED)
    deployed.run("delete", "networkpolicy", "ollama", NAMESPACED)
    deployed.run("create", "configmap", "leftover", NAMESPACED)
    deployed.run("create", "configmap", "foreign", NAMESPACED)
    deployed.run("label", "configmap", "leftover", "app.kubernetes.io/part-of=airis", "app=ollama", NAMESPACED)
    diff = diff_cluster(stack)

    assert told(diff) == {
        "ConfigMap/leftover": {"(kept)"},
        "NetworkPolicy/ollama": {"(created)"},
        "Service/ollama": {"metadata.labels[app.kubernetes.io/name]"},
        "StatefulSet/ollama": {"spec.replicas"},
        "Deployment/airis-deployment": {"spec.template.spec.containers[airis].image"},
    }
    image = diff.changes[-1].fields[0]
    assert (image.before, image.after) == ("ghcr.io/airis/airis:other", OPEN_WEBUI.image)
    assert diff.totals_before.pods.high == 4
    assert diff.totals_after.pods.high == 2
    # nothing was written
    (live,) = deployed.get("statefulset", "ollama", NAMESPACED)
    assert live["spec"]["replicas"] == 3


def test_fields_that_the_stack_no_longer_sets_are_shown(deployed: Kubectl) -> None:
    stack = stack_on(
        deployed.kubeconfig, ingress={}, ollama={"storage": {"size": "20Gi"}, "server": {"contextLength": 4096}}
    )

    diff = diff_cluster(stack)

    changes = {str(each): each for each in diff.changes}
    variables = {field.path.split("env")[-1] for field in changes["Deployment/airis-deployment"].fields}
    assert "[WEBUI_URL]" in variables
    assert {field.path for field in changes["StatefulSet/ollama"].fields} == {
        "spec.template.spec.containers[ollama].env[OLLAMA_CONTEXT_LENGTH]",
        "spec.template.spec.containers[ollama].env[LLAMA_ARG_CACHE_RAM].value",  # without the previous model
    }
    assert changes["Ingress/airis-ingress"].action is Action.KEPT
    assert "chat.example.com is no longer served" in changes["Ingress/airis-ingress"].downtime[0]
    assert not diff.touches_data


def test_only_a_claim_in_use_is_touched(clean_sandbox: Sandbox) -> None:
    two = {"ollama": {"replicas": 2, "storage": {"size": "20Gi"}}}
    clean_sandbox.kubectl.apply(manifests(stack_on(clean_sandbox.kubeconfig, **two)))
    one = stack_on(clean_sandbox.kubeconfig, ollama={"storage": {"size": "20Gi"}})
    assert diff_cluster(one).touches_data

    clean_sandbox.kubectl.run("scale", "statefulset/ollama", "--replicas=1", NAMESPACED)
    diff = diff_cluster(one)
    assert "PersistentVolumeClaim/ollama-volume-ollama-1" in told(diff)
    assert not diff.touches_data


def test_a_rejected_change_is_shown_by_field(deployed: Kubectl) -> None:
    diff = diff_cluster(stack_on(deployed.kubeconfig, ollama={"storage": {"size": "10Gi"}}))

    claim = next(each for each in diff.changes if each.kind == "PersistentVolumeClaim")
    assert diff.touches_data
    assert "shrink from 20Gi to 10Gi" in claim.data[0].words
    assert any("PersistentVolumeClaim/ollama-volume-ollama-0" in each.words for each in diff.problems)
    assert next(each for each in diff.changes if each.kind == "Job").action is Action.KEPT


def test_in_an_empty_cluster_everything_is_created(clean_sandbox: Sandbox) -> None:
    diff = diff_cluster(stack_on(clean_sandbox.kubeconfig))
    assert {each.action for each in diff.changes} == {Action.CREATED}
    assert diff.totals_before.pods.high == 0


def test_an_unreachable_or_wrong_cluster_is_an_error(clean_sandbox: Sandbox, tmp_path: Path) -> None:
    config = yaml.safe_load(clean_sandbox.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    away = tmp_path / "away.yaml"
    away.write_text(yaml.safe_dump(config))
    with pytest.raises(EnvironmentProblem, match="does not answer"):
        diff_cluster(stack_on(away))
    with pytest.raises(AirisError, match="is pinned to another cluster"):
        diff_cluster(stack_on(clean_sandbox.kubeconfig, cluster={"uid": "11111111-2222-3333-4444-555555555555"}))


def permitted(kubectl: Kubectl) -> str:
    """Whether the new role is effective: the API server needs a moment to notice it."""
    try:
        return kubectl.run("auth", "can-i", "list", "services", f"--as={SOMEBODY}", NAMESPACED)
    except KubectlError as error:  # kubectl's way to report no
        return str(error)


def test_read_only_users_see_the_stacks_fields_and_others_get_an_error(deployed: Kubectl, tmp_path: Path) -> None:
    deployed.run("create", "serviceaccount", "somebody", NAMESPACED)
    token = deployed.run("create", "token", "somebody", NAMESPACED).strip()
    config = yaml.safe_load(deployed.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    theirs = tmp_path / "somebody.yaml"
    theirs.write_text(yaml.safe_dump(config))
    stack = stack_on(theirs)

    with pytest.raises(EnvironmentProblem) as refused:
        diff_cluster(stack)
    assert "missing permission in the cluster" in refused.value.message
    assert token not in str(refused.value)

    deployed.run("set", "image", "deployment/airis-deployment", "airis=ghcr.io/airis/airis:other", NAMESPACED)
    deployed.run("create", "rolebinding", "look", "--clusterrole=view", "--serviceaccount=airis:somebody", NAMESPACED)
    deadline = time.monotonic() + 30
    while permitted(deployed).strip() != "yes":
        assert time.monotonic() < deadline
    diff = diff_cluster(stack)

    assert told(diff) == {"Deployment/airis-deployment": {"spec.template.spec.containers[airis].image"}}
    assert any("Secrets are not compared" in each.words for each in diff.problems)
    assert not diff.broken
