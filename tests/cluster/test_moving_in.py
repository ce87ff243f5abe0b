"""Adoption: an existing deployment is adopted with data written by root, and becomes a `restricted` stack."""

import os
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import requests
import yaml

from airis.cluster.kubectl import Kubectl
from tests.cluster import models
from tests.cluster.images.recipes import OLLAMA, VALKEY, WEBUI
from tests.cluster.person import Person
from tests.cluster.projects import project_of
from tests.cluster.ready import wait_ready
from tests.cluster.stacks import Engined, Stack
from tests.cluster.test_node import eventually
from tests.cluster.test_webui_pod import UNWRITABLE
from tests.cluster.used import Used, new_chat, use
from tests.rehearsal.moving import HELM, REFERENCE

MOVED = "moved"
"""The stack that `airis adopt` writes."""
DATA = "/app/backend/data"


@dataclass(frozen=True)
class Origin:
    """An existing deployment: its objects as text, its namespace there, its images and their names here, and its Services."""

    text: Callable[[Kubectl], str]
    namespace: str
    images: dict[str, str]
    apply: tuple[str, ...]
    webui: str
    ollama: str


KUSTOMIZE = Origin(
    text=lambda kubectl: kubectl.run("kustomize", str(REFERENCE / "base")),
    namespace="airis",
    images={"ghcr.io/airis/airis:main": WEBUI, "ollama/ollama:latest": OLLAMA},
    apply=("apply",),
    webui="airis-service",
    ollama="ollama-service",
)
CHART = Origin(
    text=lambda _: HELM.read_text(),
    namespace="chat",
    images={
        "ghcr.io/open-webui/open-webui:0.11.0": WEBUI,
        "ollama/ollama:0.32.15": OLLAMA,
        "redis:7.4.2-alpine3.21": VALKEY,
    },
    apply=("create", "--field-manager=helm"),
    webui="open-webui",
    ollama="open-webui-ollama",
)


def objects(origin: Origin, kubectl: Kubectl, namespace: str) -> list[dict[str, Any]]:
    """Its objects, in this namespace, and with images that the tests have."""
    text = origin.text(kubectl)
    for old, new in origin.images.items():
        text = text.replace(f"image: {old}", f"image: {new}")
    text = text.replace(f"namespace: {origin.namespace}\n", f"namespace: {namespace}\n")
    found: list[dict[str, Any]] = list(
        yaml.safe_load_all(text.replace(f".{origin.namespace}.svc", f".{namespace}.svc"))
    )
    for each in found:
        if each["kind"] == "Namespace":
            each["metadata"]["name"] = namespace
        if origin is CHART and each["kind"] == "PersistentVolumeClaim":
            # A local volume, which supports fsGroup, instead of a folder, which does not
            each["metadata"]["annotations"]["volumeType"] = "local"
        for container in each.get("spec", {}).get("template", {}).get("spec", {}).get("containers", []):
            # The node has no GPU, and cannot reach a registry of models
            container.pop("lifecycle", None)
            if container.get("resources", {}).get("limits", {}).get("nvidia.com/gpu") == 1:
                del container["resources"]["limits"]["nvidia.com/gpu"]
    # Pipelines have no image here, and `airis adopt` ignores them
    return [each for each in found if "pipelines" not in each["metadata"]["name"]]


class Move:
    """A stack whose file `airis adopt` writes."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self.project = stack, project_of(stack)
        self.file = self.project.folder / f"Pulumi.{MOVED}.yaml"

    def adopt(self, *options: str) -> str:
        """Runs `airis adopt`, and returns its output."""
        return self.project.done("adopt", "--stack", MOVED, "--namespace", self.stack.namespace, *options)

    def config(self) -> dict[str, Any]:
        """The content of the stack file."""
        found: dict[str, Any] = yaml.safe_load(self.file.read_text())["config"]
        return found

    def drop(self, *keys: str) -> None:
        """Removes lines from the stack file."""
        self.project.write(MOVED, {key: value for key, value in self.config().items() if key not in keys})

    def up(self) -> None:
        """Deploys it."""
        settings = {key.removeprefix("airis:"): it for key, it in self.config().items() if key.startswith("airis:")}
        if not isinstance(self.stack, Engined):
            self.stack.up(**settings)
            return
        run = self.project.airis("up", "--yes", "--stack", MOVED)
        assert run.end(420) == 0, run.text


def start(stack: Stack, origin: Origin) -> Used:
    """Starts the existing deployment, and uses it."""
    cluster, kubectl = stack.target, stack.target.kubectl
    before = objects(origin, kubectl, stack.namespace)
    cluster.images.load(*origin.images.values())
    kubectl.run(*origin.apply, "--filename=-", stdin=yaml.safe_dump_all(before))
    wait_ready(kubectl, before)
    assert eventually(lambda: serves(stack.url(origin.webui)), 180)  # the reference has no readiness probe
    return use(cluster, stack.url(origin.webui), stack.url(origin.ollama))


def serves(url: str) -> bool:
    with suppress(requests.ConnectionError):
        return requests.get(f"{url}/health", timeout=10).ok
    return False


def in_pod(stack: Stack, workload: str, *command: str) -> str:
    return stack.cluster.run("exec", workload, "--", *command).strip()


def volumes(stack: Stack) -> dict[str, str]:
    return {
        each["metadata"]["name"]: each["spec"]["volumeName"] for each in stack.cluster.get("persistentvolumeclaims")
    }


def test_from_kustomize_to_restricted_on_folders(stack: Stack) -> None:
    used = start(stack, KUSTOMIZE)
    ada, before, move = used.ada, volumes(stack), Move(stack)

    move.adopt("--yes")
    move.up()

    assert move.config()["airis:podSecurity"] == "baseline"
    assert volumes(stack) == before
    ada = Person(stack.url("airis-service"))
    assert ada.sign_in() == "admin"  # the reference's sessions end with its pod, which contains its key
    used = replace(used, ada=ada)
    used.assert_kept()
    assert ada.models() == [models.NAME]

    # `restricted`, on volumes for which fsGroup has no effect: docs/security.md, "Volumes that root has written"
    webui, ollama = "deployment/airis-deployment", "statefulset/ollama"
    assert in_pod(stack, webui, "stat", "--format=%u", f"{DATA}/webui.db") == "0"
    in_pod(stack, webui, "chown", "-R", "10001:10001", DATA)
    in_pod(stack, ollama, "chown", "-R", "10001:10001", "/root/.ollama")
    move.drop("airis:podSecurity", "airis:takeover", "kubernetes:upsertExistingObjects")
    move.up()

    assert volumes(stack) == before
    assert_restricted(stack, used, "http://airis.minikube.local")


def test_from_the_helm_chart_to_restricted_by_fsgroup(stack: Stack) -> None:
    kubectl = stack.target.kubectl
    kubectl.run("create", "namespace", stack.namespace)
    key = "--from-literal=key=a-key-of-ours"
    kubectl.run("create", "secret", "generic", "webui-session", key, f"--namespace={stack.namespace}")
    used = start(stack, CHART)
    before, move = volumes(stack), Move(stack)

    # the printed command for plain-text credentials
    told = move.adopt()
    _, _, rest = told.partition("  kubectl -n ")
    command, _, _ = f"kubectl -n {rest}".partition("\n\n")
    path = f"{kubectl.binary.parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(["bash", "-euc", command], check=True, timeout=60, env={**move.project.environment, "PATH": path})
    move.adopt("--yes")
    move.up()

    assert volumes(stack) == before
    running = {each["metadata"]["labels"]["app"] for each in stack.cluster.get("pods", "--selector=app")}
    assert running == {"airis", "ollama"}
    printed = in_pod(stack, "deployment/airis-deployment", "printenv", "SMTP_PASSWORD", "WEBUI_NAME")
    assert printed.split("\n") == ["not-a-real-password", "Team chat"]
    used = replace(used, ada=used.ada.elsewhere(stack.url("airis-service")))
    used.assert_kept()  # also for the earlier session: the release's key is kept
    assert used.ada.models() == [models.NAME]

    # `restricted`, on volumes that support fsGroup: enough for Open WebUI, but Ollama cannot create models from root's files
    in_pod(stack, "statefulset/ollama", "chown", "-R", "10001:10001", "/root/.ollama")
    move.drop("airis:podSecurity", "airis:takeover", "kubernetes:upsertExistingObjects")
    move.up()

    assert volumes(stack) == before
    assert_restricted(stack, used, "https://chat.example.com")


def assert_restricted(stack: Stack, used: Used, origin: str) -> None:
    """Asserts that the pods do not run as root, can access all data written by root, and write to the same volumes."""
    assert in_pod(stack, "deployment/airis-deployment", "id", "-u") == "10001"
    assert in_pod(stack, "statefulset/ollama", "id", "-u") == "10001"
    used.assert_kept()
    models.give(stack.target, stack.url("ollama-service"), "second:latest")
    assert eventually(lambda: sorted(used.ada.models()) == ["second:latest", models.NAME])  # it caches the list for 1 s
    new_chat(used.ada, origin)
    assert used.ada.content(used.ada.keep("more.txt", b"more")) == b"more"
    log = stack.cluster.run("logs", "deployment/airis-deployment", "--all-containers").lower()
    assert [line for line in log.splitlines() if any(sign in line for sign in UNWRITABLE)] == []
