"""The cluster itself: the prerequisites of the stories."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import requests

from airis.cluster.connection import Cluster
from airis.cluster.kubectl import KubectlError
from tests.cluster.pods import make, shell
from tests.cluster.ready import wait_ready
from tests.cluster.target import Target

WEB = "mkdir /tmp/www; echo hello > /tmp/www/index.html; httpd -f -p 8080 -h /tmp/www"


def eventually(condition: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def service(name: str, namespace: str) -> dict[str, Any]:
    spec = {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def said(cluster: Cluster, pod: str, *command: str) -> str:
    return cluster.run("exec", pod, "--", *command)


def fetches(cluster: Cluster, pod: str, host: str) -> bool:
    """Whether the pod can get the page of that host. (The wget of Debian's static busybox always crashes.)"""
    try:
        return said(cluster, pod, "sh", "-c", f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 2 {host} 80").endswith(
            "hello\n"
        )
    except KubectlError:
        return False


def test_every_node_is_ready(cluster: Target) -> None:
    nodes = cluster.kubectl.get("nodes")
    ready = [each["status"] for node in nodes for each in node["status"]["conditions"] if each["type"] == "Ready"]
    assert ready == ["True"] * len(nodes)
    assert nodes


def test_a_service_is_reachable_by_its_name(cluster: Target, namespace: str) -> None:
    make(cluster, namespace, shell("web", namespace, WEB), service("web", namespace), shell("asker", namespace))
    here = cluster.within(namespace)
    assert eventually(lambda: fetches(here, "asker", "web"))
    assert eventually(lambda: fetches(here, "asker", f"web.{namespace}.svc.cluster.local"))
    assert not fetches(here, "asker", "webb")


def test_a_claim_is_bound_and_keeps_its_data(cluster: Target, namespace: str) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": namespace},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }

    def user(name: str, script: str) -> dict[str, Any]:
        pod = shell(name, namespace, script, volumeMounts=[{"name": "data", "mountPath": "/data"}])
        pod["spec"]["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
        return pod

    make(cluster, namespace, claim, user("writer", "echo kept > /data/file"))
    cluster.kubectl.apply([reader := user("reader", "cat /data/file")])
    wait_ready(cluster.kubectl, [reader])
    here = cluster.within(namespace)
    assert eventually(lambda: here.run("logs", "reader") == "kept\n")


def test_a_network_policy_refuses_and_allows(cluster: Target, namespace: str) -> None:
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {
            "podSelector": {"matchLabels": {"app": "web"}},
            "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "friend"}}}]}],
        },
    }
    here = cluster.within(namespace)
    web = [shell("web", namespace, WEB), service("web", namespace)]
    make(cluster, namespace, *web, shell("friend", namespace), shell("stranger", namespace))
    assert eventually(lambda: fetches(here, "stranger", "web"))
    cluster.kubectl.apply([policy])
    assert eventually(lambda: not fetches(here, "stranger", "web"))
    assert eventually(lambda: fetches(here, "friend", "web"))
    assert not fetches(here, "stranger", "web")


def test_a_real_controller_serves_an_ingress(cluster: Target, namespace: str) -> None:
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    rule = {"host": "web.example", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
    ingress = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"rules": [rule]},
    }
    address = cluster.ingress()
    make(cluster, namespace, shell("web", namespace, WEB), service("web", namespace), ingress)

    def answers(host: str) -> bool:
        return requests.get(f"http://{address}", headers={"Host": host}, timeout=5).text == "hello\n"

    assert eventually(lambda: answers("web.example"))
    assert not answers("other.example")


def test_metrics_are_measured(cluster: Target, namespace: str) -> None:
    cluster.metrics()
    make(cluster, namespace, shell("pod", namespace))

    def measured() -> bool:
        with suppress(KubectlError):
            return cluster.within(namespace).run("top", "pod", "pod", "--no-headers").startswith("pod ")
        return False

    assert eventually(measured, 90)


def test_exec_works_in_a_pod(cluster: Target, namespace: str) -> None:
    make(cluster, namespace, shell("pod", namespace, "echo begun; sleep 3600"))
    here = cluster.within(namespace)
    assert eventually(lambda: here.run("logs", "pod") == "begun\n")
    assert said(here, "pod", "hostname") == "pod\n"


def test_a_pod_over_its_memory_limit_is_killed(cluster: Target, namespace: str) -> None:
    here = cluster.within(namespace)
    make(cluster, namespace)
    cluster.kubectl.apply([shell("greedy", namespace, "tail /dev/zero", resources={"limits": {"memory": "32Mi"}})])

    def reason() -> str | None:
        (pod,) = here.get("pod", "greedy")
        (state,) = [each["state"] for each in pod["status"].get("containerStatuses", [])] or [{}]
        terminated: dict[str, str] = state.get("terminated", {})
        return terminated.get("reason")

    assert eventually(lambda: reason() is not None, 60)
    assert reason() == "OOMKilled"


def test_a_nonexistent_image_is_reported_immediately(cluster: Target, namespace: str) -> None:
    begun = time.monotonic()
    with pytest.raises(AssertionError, match=r"Pod/pod: shell: .*Image"):
        make(cluster, namespace, shell("pod", namespace, image="registry.invalid/nothing:1"))
    assert time.monotonic() - begun < 60


def test_limits_are_set_in_the_pods_control_group(cluster: Target, namespace: str) -> None:
    node = cluster.own_node
    make(cluster, namespace, shell("pod", namespace, resources={"limits": {"memory": "64Mi"}}))
    (pod,) = cluster.within(namespace).get("pod", "pod")
    found = node.control_groups(pod["metadata"]["uid"])
    memory = found.get("memory", found.get("cgroup"))
    assert memory is not None
    (limit,) = [each for name in ("memory.limit_in_bytes", "memory.max") if (each := memory / name).exists()]
    assert int(limit.read_text()) == 64 * 2**20


def test_the_node_can_offer_a_gpu(cluster: Target, namespace: str) -> None:
    node = cluster.own_node
    with node.offering({"nvidia.com/gpu": "1"}):
        wanted = shell("pod", namespace, "exit 0", resources={"limits": {"nvidia.com/gpu": "1"}})
        make(cluster, namespace, wanted)
    (left,) = cluster.kubectl.get("nodes")
    assert "nvidia.com/gpu" not in left["status"]["capacity"]
