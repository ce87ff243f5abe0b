"""`airis doctor` on a real control plane: a healthy stack has no problems, and every fault is found."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from airis.cluster.kubectl import Kubectl, KubeObject
from airis.doctor import examination, queries, registry
from airis.doctor.checks import Finding, State
from airis.doctor.examination import findings, take, wanted_of
from airis.doctor.registry import Answer, Presence
from airis.rehearse.rehearsal import rehearse
from airis.rehearse.sandbox import Sandbox, load_nodes
from airis.stack_file.stacks import StackFile, read_stack
from tests.rehearsal.conftest import remove
from tests.rehearsal.test_stacks import committed
from tests.unit.doctors import serving
from tests.unit.drawing import ROOT, stack_of

pytestmark = pytest.mark.timeout(180)

EVERYWHERE = Answer(Presence.THERE, ("linux/amd64", "linux/arm64"))
INGRESS_CLASS = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "IngressClass",
    "metadata": {"name": "nginx", "annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}},
    "spec": {"controller": "k8s.io/ingress-nginx"},
}
CONTROLLER = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "controller",
        "namespace": "ingress-nginx",
        "labels": {"app.kubernetes.io/name": "ingress-nginx"},
    },
    "spec": {"containers": [{"name": "controller", "image": "ingress-nginx/controller:v1"}]},
}


def namespace(name: str, **labels: str) -> KubeObject:
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": name,
            "labels": {f"pod-security.kubernetes.io/{key}": value for key, value in labels.items()},
        },
    }


def secret(name: str, place: str, kind: str, *keys: str) -> KubeObject:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": place},
        "type": kind,
        "stringData": dict.fromkeys(keys, "x"),
    }


class AnsweringSandbox(Sandbox):
    """A sandbox whose pods run `exec` as a process on this machine, with Ollama at this port, and have this log."""

    def __init__(self, name: str, port: int, log: Path) -> None:
        super().__init__(name)
        self.port = port
        self.log = log

    def create_command(self, folder: Path) -> list[str]:
        command = super().create_command(folder)
        ollama = {"name": "OLLAMA_BASE_URL", "value": f"http://127.0.0.1:{self.port}"}
        answers = {
            "apiVersion": "kwok.x-k8s.io/v1alpha1",
            "kind": "ClusterExec",
            "metadata": {"name": "here"},
            "spec": {"execs": [{"local": {"workDir": "/", "envs": [ollama]}}]},
        }
        logs = {**answers, "kind": "ClusterLogs", "spec": {"logs": [{"logsFile": str(self.log)}]}}
        with (folder / f"{self.name}.yaml").open("a", encoding="utf-8") as config:
            config.write(yaml.safe_dump_all([answers, logs], explicit_start=True))
        return command

    def says(self, library: str) -> None:
        """Sets Ollama's log after a start with that library, in the format of container runtimes."""
        begun = "2026-11-28T10:00:00.000000000Z stderr F"
        found = f'time=2026-11-28T10:00:00.000Z level=INFO source=types.go:50 msg="inference compute" id=x library={library}'
        lines = [f'{begun} level=INFO msg="Listening on [::]:11434 (version 0.34.4)"', f"{begun} {found} compute="]
        self.log.write_text("".join(f"{each}\n" for each in lines), encoding="utf-8")


WELL = {"/health": '{"status": true}', "/api/tags": '{"models": []}'}


@pytest.fixture(scope="module")
def answers() -> dict[str, str]:
    """The responses of WebUI and Ollama by path; tests may change and must restore them."""
    return dict(WELL)


@pytest.fixture(scope="module")
def cluster(answers: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[AnsweringSandbox]:
    """The stack `gpu` on a sandbox with everything it needs; each test restores what it breaks."""
    with serving(answers) as port:
        yield from _cluster(
            AnsweringSandbox(f"airis-doctor-{os.getpid()}", port, tmp_path_factory.mktemp("logs") / "ollama.log")
        )


def _cluster(sandbox: AnsweringSandbox) -> Iterator[AnsweringSandbox]:
    try:
        sandbox.says("CUDA")
        sandbox.up()
        sandbox.set_nodes(load_nodes())
        sandbox.kubectl.apply([namespace("ingress-nginx"), INGRESS_CLASS])
        sandbox.kubectl.run("wait", "serviceaccount/default", "--for=create", "--namespace=ingress-nginx")
        sandbox.kubectl.apply([CONTROLLER])
        assert rehearse("test", committed("gpu"), sandbox.kubectl, timeout_seconds=60).ok
        sandbox.kubectl.run("wait", "pod/controller", "--for=condition=Ready", "--namespace=ingress-nginx")
        yield sandbox
    finally:
        remove(sandbox)


@pytest.fixture(autouse=True)
def surroundings(cluster: AnsweringSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaces this machine's kubectl, resolver and registries; WebUI listens at the test's server."""
    monkeypatch.setattr(queries, "_port", lambda container: str(cluster.port))
    monkeypatch.setattr(queries, "_KILLS", "echo oom_kill 0")  # not this machine's
    monkeypatch.setenv("PATH", f"{cluster.kubectl.binary.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(examination, "resolved", lambda names: dict.fromkeys(names, ("192.0.2.7",)))
    monkeypatch.setattr(registry, "look_up", lambda images: dict.fromkeys(images, EVERYWHERE))


def examined(stack: StackFile, kubeconfig: Path) -> list[Finding]:
    return [each for each in findings(take(stack, wanted_of(stack), kubeconfig)) if each.group != "This machine"]


def of(found: list[Finding], state: State) -> dict[str, str]:
    """The findings with that state, by check."""
    said: dict[str, str] = {}
    for each in found:
        if each.state is state:
            said[each.check] = f"{said[each.check]}; {each.what}" if each.check in said else each.what
    return said


@contextmanager
def put(kubectl: Kubectl, *objects: KubeObject) -> Iterator[None]:
    """Applies these as another field manager, and deletes them afterwards."""
    for each in objects:
        kubectl.apply([each], field_manager="another-tool")
    try:
        yield
    finally:
        kubectl.delete(list(reversed(objects)), wait=False)


def gpu() -> StackFile:
    return read_stack("gpu", ROOT)


def test_a_healthy_stack_has_no_problem(cluster: Sandbox) -> None:
    found = examined(gpu(), cluster.kubeconfig)

    assert of(found, State.PROBLEM) == {}
    fine = of(found, State.OK)
    assert fine["permissions"].startswith("the user has the permissions")
    assert fine["default-storage-class"] == "the default StorageClass is standard"
    assert fine["same-names"] == "the stack manages all 18 existing objects"
    assert fine["pod-security"] == "the namespace enforces restricted and admits the stack's pods"
    assert fine["admission"] == "the API server admits a pod of each workload"
    assert fine["gpu"] == "StatefulSet/ollama has nvidia.com/gpu on gpu-0"
    assert fine["ingress-controller"] == "k8s.io/ingress-nginx runs: controller"
    assert fine["gpu-in-use"] == "Pod/ollama-0 computes on CUDA"
    assert fine["sqlite-storage"].startswith("claim airis-pvc, with chats and embeddings in SQLite: volume pvc-")
    assert fine["images"].count("exists, for linux/amd64, linux/arm64") == 2
    assert fine["pods"] == "2 pods are ready"
    assert set(of(found, State.WARNING)) == {"identity", "network-policies"}
    assert fine["webui"] == "the WebUI answers"
    assert fine["ollama"].startswith("the WebUI reaches http://127.0.0.1:")
    assert set(of(found, State.NOT_CHECKED)) == {"claims", "memory"}  # there is no kubelet


def test_an_unhealthy_webui_that_cannot_reach_ollama(cluster: Sandbox, answers: dict[str, str]) -> None:
    answers.clear()
    try:
        found = of(examined(gpu(), cluster.kubeconfig), State.PROBLEM)
    finally:
        answers.update(WELL)

    assert found.keys() == {"webui", "ollama"}
    assert "404" in found["webui"]
    assert "404" in found["ollama"]


def test_an_ollama_with_a_gpu_that_computes_on_the_cpu(cluster: AnsweringSandbox) -> None:
    cluster.says("cpu")
    try:
        found = examined(gpu(), cluster.kubeconfig)
    finally:
        cluster.says("CUDA")

    assert of(found, State.PROBLEM) == {"gpu-in-use": "Pod/ollama-0 has a GPU, but Ollama computes on the CPU"}


def test_sqlite_on_nfs_is_a_warning(cluster: Sandbox) -> None:
    nfs = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "shared"},
        "provisioner": "nfs.csi.k8s.io",
    }
    driver = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "CSIDriver",
        "metadata": {"name": "nfs.csi.k8s.io"},
        "spec": {},
    }
    stack = stack_of(namespace="other", webui={"storage": {"storageClass": "shared"}})
    with put(cluster.kubectl, nfs, driver):
        found = of(examined(stack, cluster.kubeconfig), State.WARNING)

    assert "claim airis-pvc, with chats and embeddings in SQLite, is on NFS" in found["sqlite-storage"]


def test_the_problems_of_an_empty_cluster(cluster: Sandbox) -> None:
    found = of(examined(read_stack("production", ROOT), cluster.kubeconfig), State.PROBLEM)

    assert found["pull-secrets"] == "pull secret registry does not exist in namespace chat"
    assert "ConfigMap/authorities does not exist in namespace chat (key bundle.pem)" in found["references"]
    assert "Secret/postgres does not exist in namespace chat (key password)" in found["references"]
    assert "in use by airis/ollama-0" in found["gpu"]
    assert found["ingress-class"] == "there is no IngressClass haproxy; there are: nginx"
    assert found["issuer"].startswith("cert-manager is not installed")
    assert found["metrics"] == "there is no metrics server, and HorizontalPodAutoscaler/airis needs it"
    assert found.keys() == {
        "pull-secrets",
        "references",
        "gpu",
        "ingress-class",
        "issuer",
        "metrics",
    }


BROKEN = {
    "namespace": "other",
    "imagePullSecrets": ["registry"],
    "webui": {"sessionKeyFrom": {"name": "session", "key": "right"}, "storage": {"storageClass": "fast"}},
    "ollama": {"gpu": {"count": 1}, "storage": {"existingClaim": "models"}},
    "ingress": {"host": "chat.example.com", "tls": {"secretName": "certificate"}},
    "gateway": {"hosts": ["chat.example.com"], "parentRefs": [{"name": "shared"}]},
    "cluster": {"uid": "00000000-0000-4000-8000-000000000000"},
}


def test_misconfigured_objects_are_problems(cluster: Sandbox) -> None:
    kubectl = cluster.kubectl
    kubectl.run("annotate", "storageclass/standard", "storageclass.kubernetes.io/is-default-class-")
    kubectl.run("annotate", "ingressclass/nginx", "ingressclass.kubernetes.io/is-default-class-")
    kubectl.run("taint", "nodes", "gpu-0", "team=research:NoSchedule")
    try:
        with put(
            kubectl,
            namespace("other"),
            secret("registry", "other", "Opaque", "user"),
            secret("session", "other", "Opaque", "wrong"),
            secret("certificate", "other", "Opaque", "cert.pem"),
        ):
            found = of(examined(stack_of(**BROKEN), cluster.kubeconfig), State.PROBLEM)
            plain = of(examined(stack_of(namespace="plain"), cluster.kubeconfig), State.PROBLEM)
    finally:
        kubectl.run("annotate", "storageclass/standard", "storageclass.kubernetes.io/is-default-class=true")
        kubectl.run("annotate", "ingressclass/nginx", "ingressclass.kubernetes.io/is-default-class=true")
        kubectl.run("taint", "nodes", "gpu-0", "team-")

    assert found["pull-secrets"].startswith("Secret registry has type Opaque")
    assert found["references"] == "Secret/session has no key right; it has: wrong"
    assert found["tls-secret"] == "Secret certificate (type Opaque) has no tls.crt and tls.key"
    assert found["storage-class"] == "claim airis-pvc: there is no StorageClass fast; there are: standard"
    assert found["existing-claim"] == "claim models does not exist in namespace other"
    assert found["ingress-class"] == "there is no default IngressClass; there are: nginx"
    assert found["gateway"] == "the CRDs of the Gateway API are not installed"
    assert found["api-versions"] == "the cluster does not serve gateway.networking.k8s.io/v1 (HTTPRoute)"
    assert "an untolerated taint: gpu-0 (team=research:NoSchedule)" in found["gpu"]
    assert "airis:cluster.uid is 00000000-0000-4000-8000-000000000000" in found["identity"]
    assert plain == {
        "default-storage-class": "there is no default StorageClass, and these claims set none: "
        "airis-pvc, ollama-volume-ollama-0"
    }


QUOTA = {
    "apiVersion": "v1",
    "kind": "ResourceQuota",
    "metadata": {"name": "small", "namespace": "taken"},
    "spec": {"hard": {"requests.memory": "1Gi", "requests.storage": "100Gi", "pods": "9"}},
}
LIMITS = {
    "apiVersion": "v1",
    "kind": "LimitRange",
    "metadata": {"name": "range", "namespace": "taken"},
    "spec": {
        "limits": [
            {"type": "PersistentVolumeClaim", "max": {"storage": "10Gi"}},
            {"type": "Container", "max": {"cpu": "2"}},
        ]
    },
}
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "ollama", "namespace": "taken"},
    "spec": {"ports": [{"port": 80}]},
}


def test_a_namespace_that_the_stack_does_not_manage(cluster: Sandbox) -> None:
    stack = stack_of(namespace="taken", podSecurity="privileged")
    with put(cluster.kubectl, namespace("taken", enforce="restricted"), QUOTA, LIMITS, SERVICE):
        found = examined(stack, cluster.kubeconfig)

    problems = of(found, State.PROBLEM)
    assert problems["namespace"] == "namespace taken already exists, created by another-tool"
    assert problems["same-names"] == "Service/ollama already exists, created by another-tool"
    assert problems["pod-security"].startswith("the namespace enforces restricted, the stack is set to privileged")
    assert problems["quota"] == "ResourceQuota small: requests.memory: 3Gi needed, 1Gi of 1Gi left"
    assert problems["limit-range"].endswith("claims from 0 to 10Gi: ollama-volume-ollama-0")
    assert "StatefulSet/ollama" in problems["admission"]
    assert "maximum cpu usage per Container is 2" in problems["admission"]


def test_pods_that_violate_the_pod_security_level(cluster: Sandbox) -> None:
    stack = stack_of(namespace="strict", podSecurity="baseline")
    with put(cluster.kubectl, namespace("strict", enforce="restricted")):
        found = of(examined(stack, cluster.kubeconfig), State.PROBLEM)

    assert "violate restricted: " in found["pod-security"]
    assert "StatefulSet/ollama" in found["pod-security"]
    assert "admission" not in found


def test_a_user_without_cluster_permissions(cluster: Sandbox, tmp_path: Path) -> None:
    config = yaml.safe_load(cluster.kubeconfig.read_text(encoding="utf-8"))
    config["users"][0]["user"]["as"] = "jane"
    kubeconfig = tmp_path / "jane.yaml"
    kubeconfig.write_text(yaml.safe_dump(config), encoding="utf-8")
    binding = ("rolebinding", "jane", "--namespace=airis")
    cluster.kubectl.run("create", *binding, "--clusterrole=view", "--user=jane")
    try:
        found = examined(gpu(), kubeconfig)
    finally:
        cluster.kubectl.run("delete", *binding)

    problems, unknown = of(found, State.PROBLEM), of(found, State.NOT_CHECKED)
    assert problems.keys() == {"permissions"}
    assert "not permitted: create, patch, delete deployments.apps" in problems["permissions"]
    assert "not permitted: get, create, patch, delete secrets" in problems["permissions"]
    for name in ("nodes", "default-storage-class", "ingress-class", "room", "admission"):
        assert "No permission: " in unknown[name]
        assert 'User "jane" cannot' in unknown[name]
    assert 'cannot create resource "pods/exec"' in unknown["webui"]
    assert of(found, State.OK)["pods"] == "2 pods are ready"


def pod_of(kubectl: Kubectl, label: str) -> str:
    pods: list[dict[str, Any]] = kubectl.get("pods", f"--selector=app={label}", "--namespace=airis")
    return str(pods[0]["metadata"]["name"])


def status(kubectl: Kubectl, pod: str, ready: str, state: Mapping[str, object]) -> None:
    """The status that a kubelet would report for the pod's container."""
    body = {
        "status": {
            "conditions": [{"type": "Ready", "status": ready}, {"type": "PodScheduled", "status": "True"}],
            "containerStatuses": [
                {
                    "name": "airis",
                    "image": "",
                    "imageID": "",
                    "ready": ready == "True",
                    "restartCount": 0,
                    "state": state,
                }
            ],
        }
    }
    options = ("--subresource=status", "--type=merge", f"--patch={yaml.safe_dump(body)}", "--namespace=airis")
    kubectl.run("patch", "pod", pod, *options)


def test_pods_that_do_not_start(cluster: Sandbox) -> None:
    kubectl, webui = cluster.kubectl, pod_of(cluster.kubectl, "airis")
    waiting = {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}
    kubectl.run("cordon", "gpu-0")
    try:
        kubectl.run("delete", "pod", "ollama-0", "--namespace=airis", "--grace-period=0", "--force")
        options = ("--for=jsonpath={.status.conditions[?(@.type=='PodScheduled')].status}=False", "--timeout=30s")
        kubectl.run("wait", "pod/ollama-0", "--namespace=airis", "--for=create", "--timeout=30s")
        kubectl.run("wait", "pod/ollama-0", "--namespace=airis", *options)
        status(kubectl, webui, "False", {"waiting": waiting})
        found = examined(gpu(), cluster.kubeconfig)
    finally:
        kubectl.run("uncordon", "gpu-0")
        kubectl.run("delete", "pod", webui, "--namespace=airis", "--grace-period=0", "--force")
        kubectl.run("rollout", "status", "statefulset/ollama", "--namespace=airis", "--timeout=60s")
        kubectl.run("rollout", "status", "deployment/airis-deployment", "--namespace=airis", "--timeout=60s")

    problems = of(found, State.PROBLEM)
    assert "Pod/ollama-0 is not ready: 0/2 nodes are available" in problems["pods"]
    assert f"Pod/{webui} is not ready: ImagePullBackOff" in problems["pods"]
    assert "gpu-0 (node.kubernetes.io/unschedulable:NoSchedule)" in problems["gpu"]
    (pull,) = [each for each in found if "ImagePullBackOff" in each.what and each.check == "pods"]
    assert "airis:imagePullSecrets" in pull.remedy
