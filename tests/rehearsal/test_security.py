"""Pod Security on a real API server: what the namespaces admit, and what they refuse."""

import copy
from typing import Any

import pytest

from airis.cluster.finding import Finding, State
from airis.cluster.kubectl import KubectlError
from airis.rehearse.rehearsal import rehearse
from airis.rehearse.sandbox import Sandbox
from airis.rehearse.verdict import Verdict
from tests.rehearsal.test_stacks import committed, find, objects_of, rehearsed, wanted
from tests.unit import kustomize
from tests.unit.drawing import draw

pytestmark = pytest.mark.timeout(120)

ENFORCE = "pod-security.kubernetes.io/enforce"
REFERENCE = {"name": "credentials", "key": "url"}
SEVERAL: dict[str, Any] = {
    "replicas": 2,
    "rollingUpdates": True,
    "database": {"urlFrom": REFERENCE},
    "redis": {"urlFrom": REFERENCE},
    "objectStorage": {"bucket": "uploads", "accessKeyIdFrom": REFERENCE, "secretAccessKeyFrom": REFERENCE},
    "vectorStore": "pgvector",
    "sessionKeyFrom": REFERENCE,
}

NETWORKS: list[dict[str, Any]] = [
    {"ingressNamespaces": []},
    {"webuiFrom": ["192.0.2.0/24", "2001:db8::/32"]},
    {"restrictEgress": True},
    {"restrictEgress": True, "egressTo": ["192.0.2.0/24"], "ingressNamespaces": ["edge"]},
]


def a_pod(name: str, **container: object) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "airis"},
        "spec": {"containers": [{"name": name, "image": "busybox:1.37.0", **container}]},
    }


def level(sandbox: Sandbox) -> str:
    """The Pod Security level that the live namespace enforces."""
    (namespace,) = sandbox.kubectl.get("namespace", "airis")
    return str(namespace["metadata"]["labels"][ENFORCE])


def refused(sandbox: Sandbox, pod: dict[str, Any]) -> str:
    """The API server's words on a pod that it must not admit."""
    with pytest.raises(KubectlError) as caught:
        sandbox.kubectl.apply([pod], dry_run=True)
    return str(caught.value)


@pytest.mark.parametrize("stack", ["cpu", "gpu"])
def test_the_stacks_come_up_under_restricted(stack: str, clean_sandbox: Sandbox) -> None:
    verdict = rehearsed(committed(stack), clean_sandbox)

    assert verdict.ok, verdict
    assert level(clean_sandbox) == "restricted"
    pods = objects_of(clean_sandbox, "pods")
    jobs = [each for each in pods if each["metadata"]["ownerReferences"][0]["kind"] == "Job"]
    assert {each["spec"]["serviceAccountName"] for each in pods if each not in jobs} == {"airis", "ollama"}
    assert {each["spec"]["automountServiceAccountToken"] for each in jobs} == {False}
    # the API server puts a token into each pod that does not refuse it
    assert [volume for each in pods for volume in each["spec"]["volumes"] if "projected" in volume] == []
    # and the namespace refuses what asks for more: root by omission, and every privilege on purpose
    assert 'violates PodSecurity "restricted:latest"' in refused(clean_sandbox, a_pod("root"))
    assert "privileged" in refused(clean_sandbox, a_pod("almighty", securityContext={"privileged": True}))


def test_a_level_below_is_admitted_by_its_own_namespace_only(clean_sandbox: Sandbox) -> None:
    baseline = wanted(draw(podSecurity="baseline", ollama={"gpu": {}}))
    verdict = rehearsed(baseline, clean_sandbox)

    assert verdict.ok, verdict
    assert level(clean_sandbox) == "baseline"
    assert 'violates PodSecurity "baseline:latest"' in refused(
        clean_sandbox, a_pod("almighty", securityContext={"privileged": True})
    )
    # the same pods are refused one level up
    for pod in objects_of(clean_sandbox, "pods"):
        body = a_pod(f"{pod['metadata']['name']}-again")
        body["spec"] = copy.deepcopy(pod["spec"])
        clean_sandbox.kubectl.apply([body], dry_run=True)
    clean_sandbox.kubectl.run("label", "namespace", "airis", f"{ENFORCE}=restricted", "--overwrite")
    for pod in objects_of(clean_sandbox, "pods"):
        body = a_pod(f"{pod['metadata']['name']}-again")
        body["spec"] = copy.deepcopy(pod["spec"])
        assert 'violates PodSecurity "restricted:latest"' in refused(clean_sandbox, body)


def test_the_privileged_level_refuses_nothing(clean_sandbox: Sandbox) -> None:
    verdict = rehearsed(wanted(draw(podSecurity="privileged")), clean_sandbox)

    assert verdict.ok, verdict
    assert level(clean_sandbox) == "privileged"
    clean_sandbox.kubectl.apply([a_pod("almighty", securityContext={"privileged": True})], dry_run=True)


def reference(**labels: str) -> list[dict[str, Any]]:
    """The Kustomize deployment, with these labels on its namespace."""
    objects = kustomize.render(kustomize.REFERENCE / "base")
    (namespace,) = [each for each in objects if each["kind"] == "Namespace"]
    namespace["metadata"]["labels"] = labels
    # namespaces first, as kubectl orders a whole folder
    return sorted(objects, key=lambda each: bool(each["kind"] != "Namespace"))


def pods_of(verdict: Verdict) -> list[Finding]:
    return [each for each in verdict.findings if each.kind == "Pod"]


def test_the_reference_is_refused_under_restricted_and_the_verdict_says_why(clean_sandbox: Sandbox) -> None:
    verdict = rehearse("test", reference(**{ENFORCE: "restricted"}), clean_sandbox.kubectl, timeout_seconds=60)

    assert not verdict.ok
    assert pods_of(verdict) == []
    assert objects_of(clean_sandbox, "pods") == []
    for kind, name in [("Deployment", "airis-deployment"), ("StatefulSet", "ollama")]:
        workload = find(verdict, kind, name)
        assert workload.state is State.PENDING
        assert 'violates PodSecurity "restricted:latest"' in workload.reason
        assert "allowPrivilegeEscalation" in workload.reason
        assert "runAsNonRoot" in workload.reason


def test_the_reference_comes_up_where_nothing_is_enforced(clean_sandbox: Sandbox) -> None:
    """Otherwise the test before would prove nothing about Pod Security."""
    verdict = rehearse("test", reference(), clean_sandbox.kubectl, timeout_seconds=60)

    assert verdict.ok, verdict
    assert len(pods_of(verdict)) == 2


def test_several_pods_on_shared_services_come_up(clean_sandbox: Sandbox) -> None:
    drawn = draw(webui=SEVERAL, ollama={"replicas": 2})
    verdict = rehearsed(wanted(drawn), clean_sandbox)

    assert verdict.ok, verdict
    assert len([each for each in pods_of(verdict) if each.name.startswith("airis-deployment")]) == 2
    assert len([each for each in pods_of(verdict) if each.name.startswith("ollama-")]) == 2
    assert objects_of(clean_sandbox, "secrets") == []  # all of them are somebody else's
    assert {each["metadata"]["name"] for each in objects_of(clean_sandbox, "persistentvolumeclaims")} == {
        "ollama-volume-ollama-0",
        "ollama-volume-ollama-1",
    }
    budgets = objects_of(clean_sandbox, "poddisruptionbudgets")
    assert {each["metadata"]["name"]: each["status"]["expectedPods"] for each in budgets} == {"airis": 2, "ollama": 2}


def test_existing_claims_are_mounted_and_no_others_are_made(clean_sandbox: Sandbox) -> None:
    namespace, *_ = wanted(draw())
    claims = [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": name, "namespace": "airis"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        }
        for name in ("chats", "models")
    ]
    clean_sandbox.kubectl.apply([namespace, *claims])

    storage = [{"storage": {"existingClaim": name}} for name in ("chats", "models")]
    verdict = rehearsed(wanted(draw(webui=storage[0], ollama=storage[1])), clean_sandbox)

    assert verdict.ok, verdict
    found = objects_of(clean_sandbox, "persistentvolumeclaims")
    assert {each["metadata"]["name"]: each["status"]["phase"] for each in found} == {
        "chats": "Bound",
        "models": "Bound",
    }


def test_the_api_server_takes_every_network_policy(clean_sandbox: Sandbox) -> None:
    namespace, *_ = wanted(draw())
    clean_sandbox.kubectl.apply([namespace])
    for network in NETWORKS:
        for service in ("ClusterIP", "NodePort"):
            objects = wanted(draw(network=network, webui={"service": {"type": service}}))
            policies = [each for each in objects if each["kind"] == "NetworkPolicy"]
            assert len(policies) == 2
            clean_sandbox.kubectl.apply(policies)
