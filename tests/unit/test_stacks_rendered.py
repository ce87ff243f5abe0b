"""The committed stacks as a whole: their objects, and the references between them."""

from typing import Any

import pytest
import yaml

from airis.render.program import KubernetesObject, Rendering
from settings.load import PROJECT
from tests.unit.drawing import (
    COMMITTED,
    ROOT,
    committed,
    container,
    draw,
    draw_once,
    env,
    find,
    manifest,
    names,
    pod_spec,
    undigested,
    values,
    workloads,
)
from tests.unit.fields import fields

pytestmark = pytest.mark.timeout(60)

every_stack = pytest.mark.parametrize("stack", COMMITTED)


def missing(rendering: Rendering) -> list[str]:
    """The objects that are referred to by name, but missing."""
    there = {str(each) for each in rendering.objects}
    wanted: list[str] = []
    for each in rendering.objects:
        for kind, key, name in [
            ("PersistentVolumeClaim", "persistentVolumeClaim", "claimName"),
            ("ConfigMap", "configMap", "name"),
            ("ConfigMap", "configMapRef", "name"),
            ("ConfigMap", "configMapKeyRef", "name"),
            ("Secret", "secret", "secretName"),
            ("Secret", "secretRef", "name"),
            ("Secret", "secretKeyRef", "name"),
            ("Service", "service", "name"),
        ]:
            wanted += [f"{kind}/{found[name]}" for found in values(each.manifest, key)]
        wanted += [f"Service/{name}" for name in values(each.manifest, "serviceName")]
        wanted += [f"ServiceAccount/{name}" for name in values(each.manifest, "serviceAccountName")]
        wanted += [f"Secret/{ref['name']}" for refs in values(each.manifest, "imagePullSecrets") for ref in refs]
    return sorted(set(wanted) - there)


def test_cpu_and_gpu_are_committed() -> None:
    assert {"cpu", "gpu"} <= set(COMMITTED)


def test_the_project_name_is_the_prefix_of_its_keys() -> None:
    project = yaml.safe_load((ROOT / "Pulumi.yaml").read_text(encoding="utf-8"))
    assert project["name"] == PROJECT
    assert project["runtime"]["name"] == "python"
    others = {key: value for key, value in project["config"].items() if not key.startswith(f"{PROJECT}:")}
    # a Secret with a fixed name is updated in place: a replacement would delete it for a moment
    assert others == {"kubernetes:enableSecretMutable": {"value": True}}
    assert len(project["config"]) > len(others)


@every_stack
def test_every_object_is_unique(stack: str) -> None:
    drawn = committed(stack)
    assert len({(each.manifest["apiVersion"], each.kind, each.namespace, each.name) for each in drawn.objects}) == len(
        drawn.objects
    )
    assert len({each.urn for each in drawn.objects}) == len(drawn.objects)


@every_stack
def test_every_object_is_in_the_stacks_namespace(stack: str) -> None:
    drawn = committed(stack)
    (namespace,) = names(drawn, "Namespace")
    assert {each.namespace for each in drawn.objects if each.kind != "Namespace"} == {namespace}
    assert drawn.exports["namespace"] == namespace


PROVIDED = [
    "ConfigMap/authorities",
    *(f"Secret/{name}" for name in ("llm", "oidc", "postgres", "qdrant", "registry", "s3")),
]
"""The objects of others that the production example uses."""


@every_stack
def test_every_reference_resolves(stack: str) -> None:
    assert missing(committed(stack)) == (PROVIDED if stack == "production" else [])


def test_a_missing_reference_is_detected() -> None:
    pod = {"volumes": [{"persistentVolumeClaim": {"claimName": "data"}}, {"secret": {"secretName": "keys"}}]}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": pod}
    assert missing(Rendering((KubernetesObject(body, "", protect=False, retain=False),), {})) == [
        "PersistentVolumeClaim/data",
        "Secret/keys",
    ]


@every_stack
def test_each_selector_selects_the_pods_of_one_workload(stack: str) -> None:
    drawn = committed(stack)
    pods = {body["metadata"]["name"]: body["spec"]["template"]["metadata"]["labels"] for body in workloads(drawn)}

    def selected(by: dict[str, str]) -> list[str]:
        assert by
        return [name for name, labels in pods.items() if by.items() <= labels.items()]

    for body in workloads(drawn):
        if body["kind"] != "Job":  # the API server gives those a selector
            assert selected(body["spec"]["selector"]["matchLabels"]) == [body["metadata"]["name"]]
    for name in names(drawn, "Service"):
        assert len(selected(manifest(drawn, "Service", name)["spec"]["selector"])) == 1
    closed = [
        selected(manifest(drawn, "NetworkPolicy", name)["spec"]["podSelector"]["matchLabels"])
        for name in names(drawn, "NetworkPolicy")
    ]
    assert sorted(name for each in closed for name in each) == sorted(pods)


@every_stack
def test_services_and_ingresses_point_to_container_ports(stack: str) -> None:
    drawn = committed(stack)
    ports: dict[str, set[int]] = {}
    for name in names(drawn, "Service"):
        spec = manifest(drawn, "Service", name)["spec"]
        (workload,) = [
            body
            for body in workloads(drawn)
            if spec["selector"].items() <= body["spec"]["template"]["metadata"]["labels"].items()
        ]
        opened = {port["containerPort"] for port in container(workload)["ports"]}
        assert {port["targetPort"] for port in spec["ports"]} <= opened
        ports[name] = {port["port"] for port in spec["ports"]}
    for name in names(drawn, "Ingress"):
        for service in values(manifest(drawn, "Ingress", name), "service"):
            assert service["port"]["number"] in ports[service["name"]]


@every_stack
def test_volumes_are_mounted_and_mounts_have_volumes(stack: str) -> None:
    for body in workloads(committed(stack)):
        templates = [each["metadata"]["name"] for each in body["spec"].get("volumeClaimTemplates", [])]
        volumes = [each["name"] for each in pod_spec(body).get("volumes", [])] + templates
        assert sorted(volumes) == sorted(each["name"] for each in container(body)["volumeMounts"])


@every_stack
def test_statefulsets_have_their_headless_service_and_their_claims(stack: str) -> None:
    drawn = committed(stack)
    for name in names(drawn, "StatefulSet"):
        spec = manifest(drawn, "StatefulSet", name)["spec"]
        headless = manifest(drawn, "Service", spec["serviceName"])["spec"]
        assert headless["clusterIP"] == "None"
        assert headless["selector"] == spec["selector"]["matchLabels"]
        if "volumeClaimTemplates" not in spec:
            (claim,) = values(pod_spec(manifest(drawn, "StatefulSet", name)), "claimName")
            assert (spec["replicas"], claim in names(drawn, "PersistentVolumeClaim")) == (1, True)
            continue
        assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
        (template,) = spec["volumeClaimTemplates"]
        for ordinal in range(spec["replicas"]):
            claim = manifest(drawn, "PersistentVolumeClaim", f"{template['metadata']['name']}-{name}-{ordinal}")
            assert claim["spec"] == template["spec"]


@every_stack
def test_only_the_statefulset_s_own_service_is_headless(stack: str) -> None:
    drawn = committed(stack)
    headless = [name for name in names(drawn, "Service") if "clusterIP" in manifest(drawn, "Service", name)["spec"]]
    assert headless == [
        manifest(drawn, "StatefulSet", name)["spec"]["serviceName"] for name in names(drawn, "StatefulSet")
    ]


@every_stack
def test_only_objects_with_data_are_protected_and_retained(stack: str) -> None:
    for each in committed(stack).objects:
        holds_data = each.kind in ("Namespace", "PersistentVolumeClaim")
        assert (each.protect, each.retain) == (holds_data, holds_data), each


@every_stack
def test_the_pod_with_the_database_uses_the_recreate_strategy(stack: str) -> None:
    assert manifest(committed(stack), "Deployment", "airis-deployment")["spec"]["strategy"] == {"type": "Recreate"}


@every_stack
def test_pulumi_waits_only_for_pods(stack: str) -> None:
    for each in committed(stack).objects:
        skipped = each.manifest["metadata"].get("annotations", {}).get("pulumi.com/skipAwait")
        assert skipped == ("true" if each.kind in ("Service", "PersistentVolumeClaim", "Ingress") else None), each


def test_changes_of_a_claim_template_are_ignored(registrations: list[Any]) -> None:
    draw()
    (request,) = [each for each in registrations if each.type.endswith(":StatefulSet")]
    assert list(request.ignoreChanges) == ["spec.volumeClaimTemplates[0]"]


def test_the_statefulset_depends_on_its_claims(registrations: list[Any]) -> None:
    draw(ollama={"replicas": 2})
    (request,) = [each for each in registrations if each.type.endswith(":StatefulSet")]
    claims = {f"ollama-volume-ollama-{ordinal}" for ordinal in range(2)}
    assert claims <= {urn.split("::")[-1] for urn in request.dependencies}


def test_the_cpu_stack_does_not_mention_gpus() -> None:
    drawn = committed("cpu")
    spoken = [
        path for each in drawn.objects for path, value in fields(each.manifest) if "gpu" in f"{path}={value}".lower()
    ]
    assert spoken == []
    ollama = manifest(drawn, "StatefulSet", "ollama")
    assert env(ollama) == {
        "HOME": "/home/ollama",
        "LLAMA_ARG_THREADS": "4",
        "LLAMA_ARG_CACHE_RAM": "434",
        "NVIDIA_VISIBLE_DEVICES": "void",
    }
    assert set(container(ollama)["resources"]["limits"]) == {"cpu", "memory", "ephemeral-storage"}
    for body in workloads(drawn):
        assert not {"tolerations", "nodeSelector", "runtimeClassName"} & set(pod_spec(body))
        # the models' Job only prefers the node where Ollama's image is
        assert set(pod_spec(body).get("affinity", {})) == ({"podAffinity"} if body["kind"] == "Job" else set())


def test_the_gpu_stack_requests_one_gpu_and_configures_no_driver() -> None:
    drawn = committed("gpu")
    ollama = manifest(drawn, "StatefulSet", "ollama")
    assert container(ollama)["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert "NVIDIA_VISIBLE_DEVICES" not in env(ollama)
    webui = manifest(drawn, "Deployment", "airis-deployment")
    assert "nvidia.com/gpu" not in container(webui)["resources"]["limits"]
    assert not {"affinity", "tolerations"} & set(pod_spec(webui))


def test_cpu_and_gpu_differ_only_in_the_gpu() -> None:
    cpu, gpu = (
        {
            (undigested(str(each)), path): value
            for each in committed(stack).objects
            for path, value in fields(each.manifest)
            if (each.kind, path) != ("Job", "metadata.name")
        }
        for stack in ("cpu", "gpu")
    )
    ollama, job, spec = "StatefulSet/ollama", "Job/ollama-pull-0", "spec.template.spec"
    cached = (
        f"{spec}.containers[ollama].env[LLAMA_ARG_CACHE_RAM].value"  # without a GPU, the model is in the same memory
    )
    term = "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]"
    assert {(*key, value) for key, value in cpu.items() - gpu.items()} == {
        (ollama, f"{spec}.containers[ollama].env[NVIDIA_VISIBLE_DEVICES].name", "NVIDIA_VISIBLE_DEVICES"),
        (ollama, f"{spec}.containers[ollama].env[NVIDIA_VISIBLE_DEVICES].value", "void"),
        (ollama, cached, "434"),
    }
    placement = {  # the models' Job runs where Ollama may
        (each, f"{spec}.{path}", value)
        for each in (ollama, job)
        for path, value in (
            (f"{term}.matchExpressions[0].key", "nvidia.com/gpu.present"),
            (f"{term}.matchExpressions[0].operator", "In"),
            (f"{term}.matchExpressions[0].values[0]", "true"),
            ("tolerations[0].key", "nvidia.com/gpu"),
            ("tolerations[0].operator", "Exists"),
            ("tolerations[0].effect", "NoSchedule"),
        )
    }
    assert {(*key, value) for key, value in gpu.items() - cpu.items()} == placement | {
        (ollama, f"{spec}.containers[ollama].resources.limits[nvidia.com/gpu]", 1),
        (ollama, cached, "682"),
    }


@pytest.mark.parametrize(("stack", "gpu"), [("cpu", {}), ("gpu", {"nvidia.com/gpu": 1})])
def test_exports(stack: str, gpu: dict[str, int]) -> None:
    assert committed(stack).exports == {
        "url": "http://airis.minikube.local",
        "namespace": "airis",
        "portForward": "kubectl -n airis port-forward service/airis-service 8080:8080",
        "ollamaUrls": ["http://ollama-service.airis.svc.cluster.local:11434"],
        "gpu": gpu,
    }


@pytest.mark.parametrize("stack", ["cpu", "gpu"])
def test_identities_in_pulumi_s_state(stack: str) -> None:
    """A changed URN is another resource: Pulumi would delete the old one, with its data, and create the new one."""
    found = [each.urn.removeprefix(f"urn:pulumi:{stack}::airis::") for each in committed(stack).objects]
    assert sorted(map(undigested, found)) == [
        "airis:components:Ollama$kubernetes:apps/v1:StatefulSet::ollama",
        "airis:components:Ollama$kubernetes:batch/v1:Job::ollama-pull-0",
        "airis:components:Ollama$kubernetes:core/v1:ConfigMap::ollama-models",
        "airis:components:Ollama$kubernetes:core/v1:PersistentVolumeClaim::ollama-volume-ollama-0",
        "airis:components:Ollama$kubernetes:core/v1:Service::ollama",
        "airis:components:Ollama$kubernetes:core/v1:Service::ollama-service",
        "airis:components:Ollama$kubernetes:core/v1:ServiceAccount::ollama",
        "airis:components:Ollama$kubernetes:networking.k8s.io/v1:NetworkPolicy::ollama",
        "airis:components:Ollama$kubernetes:networking.k8s.io/v1:NetworkPolicy::ollama-pull",
        "airis:components:WebUI$kubernetes:apps/v1:Deployment::airis-deployment",
        "airis:components:WebUI$kubernetes:core/v1:ConfigMap::airis-start",
        "airis:components:WebUI$kubernetes:core/v1:PersistentVolumeClaim::airis-pvc",
        "airis:components:WebUI$kubernetes:core/v1:Secret::airis-secrets",
        "airis:components:WebUI$kubernetes:core/v1:Service::airis-service",
        "airis:components:WebUI$kubernetes:core/v1:ServiceAccount::airis",
        "airis:components:WebUI$kubernetes:networking.k8s.io/v1:Ingress::airis-ingress",
        "airis:components:WebUI$kubernetes:networking.k8s.io/v1:NetworkPolicy::airis",
        "pulumi:pulumi:Stack$kubernetes:core/v1:Namespace::namespace",
    ]


def test_another_namespace_applies_to_every_object() -> None:
    drawn = draw_once(namespace="apps")
    assert names(drawn, "Namespace") == ["apps"]
    assert {each.namespace for each in drawn.objects if each.kind != "Namespace"} == {"apps"}
    assert find(drawn, "Namespace", "apps").protect
