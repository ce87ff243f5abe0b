"""A GPU stack on a node with a GPU, tainted or not: which pods are scheduled there, and the message if Ollama finds no GPU."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from airis.cluster.kubectl import KubeObject
from airis.cluster.ollama_log import REMEDY, computing_on_cpu
from tests.cluster.node.places import NAME
from tests.cluster.stacks import Engined, Stack
from tests.cluster.target import Target

GPU = "nvidia.com/gpu"
LABEL = "nvidia.com/gpu.present"
"""The label of NVIDIA's GPU operator."""

OLLAMA: dict[str, Any] = {"gpu": {"count": 1}, "absentModels": ["nothing"]}
CLUSTER = {"readySeconds": 30}
FOUND = "Pod/ollama-0 has a GPU, but Ollama computes on the CPU"


@contextmanager
def gpu_node(cluster: Target) -> Iterator[None]:
    """The node as with NVIDIA's GPU operator: one GPU, its label, and the taint that administrators add."""
    with cluster.own_node.offering({GPU: "1"}):
        cluster.kubectl.run("label", "node", NAME, f"{LABEL}=true")
        taint(cluster)
        try:
            yield
        finally:
            cluster.kubectl.run("label", "node", NAME, f"{LABEL}-")
            untaint(cluster)


def taint(cluster: Target) -> None:
    cluster.kubectl.run("taint", "node", NAME, f"{GPU}=present:NoSchedule", "--overwrite")


def untaint(cluster: Target) -> None:
    if any(each.get("key") == GPU for each in cluster.kubectl.get("node", NAME)[0]["spec"].get("taints", [])):
        cluster.kubectl.run("taint", "node", NAME, f"{GPU}-")


def pods(stack: Stack, app: str) -> Sequence[KubeObject]:
    return stack.cluster.get("pods", f"--selector=app={app}")


def gpus(pod: KubeObject) -> list[str]:
    """The GPU limits of a pod's containers, and `void` if NVIDIA's runtime must pass them no GPU."""
    containers = [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
    limits: list[str] = [each["resources"]["limits"].get(GPU, "0") for each in containers]
    hidden: list[str] = [
        env["value"] for each in containers for env in each["env"] if env["name"] == "NVIDIA_VISIBLE_DEVICES"
    ]
    return [*limits, *hidden]


def test_only_ollama_gets_the_gpu(cluster: Target, stack: Stack) -> None:
    with gpu_node(cluster):
        told = stack.up(ollama=OLLAMA, webui={"replicas": 0}, cluster=CLUSTER)
        (server,), (job,) = pods(stack, "ollama"), pods(stack, "ollama-pull")
        assert gpus(server) == ["1"]
        assert job["status"]["phase"] == "Succeeded"
        assert set(gpus(job)) == {"0", "void"}

        # this GPU is only in the node's status: Ollama finds none, which `up` reports
        (sentence,) = computing_on_cpu(stack.cluster, stack.cluster.get("statefulsets"))
        assert FOUND in sentence
        assert REMEDY in sentence
        assert (FOUND in told) == isinstance(stack, Engined)

        # the WebUI is not scheduled on a node with the GPU taint
        with pytest.raises(AssertionError, match="untolerated taint"):
            stack.up(ollama=OLLAMA, cluster=CLUSTER)
        assert [each["spec"].get("nodeName") for each in pods(stack, "airis")] == [None]

        # on an untainted one it is; and an update of Ollama needs no second GPU
        untaint(cluster)
        stack.up(ollama={**OLLAMA, "server": {"parallel": 2}})
        (webui,), (after,) = pods(stack, "airis"), pods(stack, "ollama")
        assert set(gpus(webui)) == {"0"}
        assert after["metadata"]["uid"] != server["metadata"]["uid"]
