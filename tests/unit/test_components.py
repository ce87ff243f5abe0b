"""WebUI and Ollama on their own, as in another Pulumi program."""

from pathlib import Path
from typing import Any

import pytest

from airis.render import program
from tests.unit.drawing import (
    container,
    draw,
    draw_once,
    draw_program,
    env,
    find,
    manifest,
    names,
    pod_spec,
    undigested,
)

pytestmark = pytest.mark.timeout(60)

WEBUI_ALONE = """
    import pulumi
    from components import WebUI

    webui = WebUI("chat", namespace="apps")
    pulumi.export("url", webui.url)
    pulumi.export("portForward", webui.port_forward)
"""

OLLAMA_ALONE = """
    import pulumi
    from components import Ollama

    pulumi.export("urls", Ollama("models", namespace="apps").urls)
"""

BOTH_IN_A_TEAM = """
    import pulumi
    from pulumi_kubernetes import Provider
    from components import Ollama, WebUI
    from settings import IngressSettings

    class Team(pulumi.ComponentResource):
        def __init__(self):
            super().__init__("acme:apps:Team", "red", None, None)

    opts = pulumi.ResourceOptions(parent=Team(), provider=Provider("far", context="far"))
    WebUI("chat", namespace="apps", ingress=IngressSettings(host="chat.example.com"), opts=opts)
    Ollama("models", namespace="apps", opts=opts)
"""


WEBUI_ENV = {
    "DATA_DIR": "/app/backend/data",
    "STATIC_DIR": "/tmp/static",
    "HOME": "/tmp",
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": "131072",
    "OMP_NUM_THREADS": "1",
    "ENABLE_DB_MIGRATIONS": "False",
    "ENABLE_PERSISTENT_CONFIG": "True",
    "VECTOR_DB": "chroma",
}
"""The WebUI's plain-text variables, without Ollama's URLs."""


def webui_env(secret: str) -> dict[str, Any]:
    """The WebUI's environment with the defaults, without Ollama's URLs; `secret` is the name of its Secret."""
    return {**WEBUI_ENV, "WEBUI_SECRET_KEY": {"secretKeyRef": {"name": secret, "key": "WEBUI_SECRET_KEY"}}}


def test_webui_without_settings(tmp_path: Path) -> None:
    drawn = draw_program(tmp_path, WEBUI_ALONE)
    assert sorted(undigested(str(each)) for each in drawn.objects) == [
        "ConfigMap/chat-start",
        "Deployment/chat-deployment",
        "NetworkPolicy/chat",
        "PersistentVolumeClaim/chat-pvc",
        "Secret/chat-secrets",
        "Service/chat-service",
        "ServiceAccount/chat",
    ]
    assert {each.namespace for each in drawn.objects} == {"apps"}
    assert env(manifest(drawn, "Deployment", "chat-deployment")) == webui_env("chat-secrets")
    assert drawn.exports == {
        "url": "http://chat-service.apps.svc:8080",
        "portForward": "kubectl -n apps port-forward service/chat-service 8080:8080",
    }


def test_ollama_without_settings(tmp_path: Path) -> None:
    drawn = draw_program(tmp_path, OLLAMA_ALONE)
    assert sorted(map(str, drawn.objects)) == [
        "NetworkPolicy/models",
        "PersistentVolumeClaim/models-volume-models-0",
        "Service/models",
        "Service/models-service",
        "ServiceAccount/models",
        "StatefulSet/models",
    ]
    assert {each.namespace for each in drawn.objects} == {"apps"}
    assert drawn.exports == {"urls": ["http://models-service.apps.svc.cluster.local:11434"]}


def test_two_installations_share_nothing(tmp_path: Path) -> None:
    drawn = draw_program(
        tmp_path,
        """
        from components import Ollama, WebUI

        for team in ("red", "blue"):
            WebUI(f"{team}-chat", namespace="apps")
            Ollama(f"{team}-models", namespace="apps")
        """,
    )
    identities = [(each.kind, each.name) for each in drawn.objects]
    assert len(set(identities)) == len(identities) == 26
    assert len({each.urn for each in drawn.objects}) == 26
    for service in ("red-chat-service", "red-models", "red-models-service"):
        assert manifest(drawn, "Service", service)["spec"]["selector"]["app"] == service.removesuffix("-service")


def test_children_inherit_the_parent_and_provider_of_their_component(tmp_path: Path, registrations: list[Any]) -> None:
    draw_program(tmp_path, BOTH_IN_A_TEAM)
    components = {each.name: each.parent for each in registrations if each.type.startswith("airis:")}
    assert {name: parent.split("::")[-2:] for name, parent in components.items()} == {
        name: ["pulumi:pulumi:Stack$acme:apps:Team", "red"] for name in ("chat", "models")
    }
    children = [each for each in registrations if each.type.startswith(("kubernetes:", "pulumi:index:Stash"))]
    assert len(children) == 15
    for child in children:
        component = "WebUI::chat" if child.name.startswith("chat") else "Ollama::models"
        assert child.parent.endswith(f"$airis:components:{component}")
        assert ("$pulumi:providers:kubernetes::far::" in child.provider) == child.type.startswith("kubernetes:")


def test_components_register_their_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    outputs: dict[str, set[str]] = {}

    class Listener(program._Recorder):
        def RegisterResourceOutputs(self, request: Any) -> Any:
            outputs[request.urn.split("::")[-1]] = set(request.outputs.keys())
            return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(program, "_Recorder", Listener)
    draw()
    assert outputs["airis"] == {"url", "portForward"}
    assert outputs["ollama"] == {"urls"}


def test_several_ollama_pods_have_one_url_each() -> None:
    drawn = draw_once(ollama={"replicas": 3}, clusterDomain="example.internal", namespace="apps")
    urls = [f"http://ollama-{ordinal}.ollama.apps.svc.example.internal:11434" for ordinal in range(3)]
    assert env(manifest(drawn, "Deployment", "airis-deployment")) == {
        "OLLAMA_BASE_URLS": ";".join(urls),
        **webui_env("airis-secrets"),
    }
    assert drawn.exports["ollamaUrls"] == urls
    assert names(drawn, "PersistentVolumeClaim") == [
        "airis-pvc",
        *(f"ollama-volume-ollama-{each}" for each in range(3)),
    ]
    assert manifest(drawn, "StatefulSet", "ollama")["spec"]["replicas"] == 3


def test_a_single_ollama_pod_has_the_services_url() -> None:
    drawn = draw_once(clusterDomain="example.internal", namespace="apps")
    url = "http://ollama-service.apps.svc.example.internal:11434"
    assert env(manifest(drawn, "Deployment", "airis-deployment")) == {
        "OLLAMA_BASE_URL": url,
        **webui_env("airis-secrets"),
    }
    assert drawn.exports["ollamaUrls"] == [url]


def test_names_are_those_that_the_api_server_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    class Renaming(program._Recorder):
        """Returns another name than the requested one for objects that others reference."""

        def RegisterResource(self, request: Any) -> Any:
            response = super().RegisterResource(request)
            if request.type.endswith(
                (":Service", ":PersistentVolumeClaim", ":Namespace", ":Secret", ":ServiceAccount")
            ):
                response.object.fields["metadata"].struct_value.fields["name"].string_value += "-x7"
            return response

    monkeypatch.setattr(program, "_Recorder", Renaming)
    drawn = draw(ingress={"host": "chat.example.com"})
    deployment = manifest(drawn, "Deployment", "airis-deployment")
    url = "http://ollama-service-x7.airis-x7.svc.cluster.local:11434"
    public = {"WEBUI_URL": "http://chat.example.com"}
    public["CORS_ALLOW_ORIGIN"] = "http://chat.example.com;http://localhost:8080"
    assert env(deployment) == {"OLLAMA_BASE_URL": url, **public, **webui_env("airis-secrets-x7")}
    assert pod_spec(deployment)["serviceAccountName"] == "airis-x7"
    assert pod_spec(manifest(drawn, "StatefulSet", "ollama"))["serviceAccountName"] == "ollama-x7"
    assert drawn.exports["ollamaUrls"] == [url]
    assert drawn.exports["namespace"] == "airis-x7"
    assert drawn.exports["portForward"] == "kubectl -n airis-x7 port-forward service/airis-service-x7 8080:8080"
    assert {each.namespace for each in drawn.objects if each.kind != "Namespace"} == {"airis-x7"}
    assert pod_spec(deployment)["volumes"][0]["persistentVolumeClaim"] == {"claimName": "airis-pvc-x7"}
    assert manifest(drawn, "StatefulSet", "ollama")["spec"]["serviceName"] == "ollama-x7"
    (rule,) = manifest(drawn, "Ingress", "airis-ingress")["spec"]["rules"]
    assert rule["http"]["paths"][0]["backend"]["service"]["name"] == "airis-service-x7"


def test_every_setting_of_a_workload_reaches_its_pods() -> None:
    workload = {
        "image": "registry.example.com/team/image:1",
        "imagePullPolicy": "Always",
        "replicas": 0,
        "resources": {
            "requests": {"cpu": 0.25, "memory": "1024Mi", "ephemeralStorage": "1Gi"},
            "limits": {"cpu": None, "memory": "2Gi"},
        },
        "storage": {"size": "7Gi", "storageClass": "fast", "accessMode": "ReadWriteMany"},
        "env": {"DEBUG": "1", "ALPHA": "2"},
        "secretEnv": {"ZULU": {"name": "apart", "key": "zulu"}},
        "priorityClass": "important",
        "nodeAffinity": [
            {"key": "pool", "operator": "NotIn", "values": ["spot"]},
            {"key": "ssd", "operator": "Exists"},
        ],
        "tolerations": [
            {"key": "pool", "operator": "Equal", "value": "a", "effect": "NoExecute", "tolerationSeconds": 5}
        ],
    }
    drawn = draw_once(webui=workload, ollama={**workload, "replicas": 1}, imagePullSecrets=["one", "two"])
    # Without a CPU limit, and possibly not Open WebUI's image
    webui_env = ["OLLAMA_BASE_URL", *(WEBUI_ENV.keys() - {"OMP_NUM_THREADS", "ENABLE_DB_MIGRATIONS"})]
    for kind, name, own_env, replicas in [
        ("Deployment", "airis-deployment", webui_env, 0),
        ("StatefulSet", "ollama", ["HOME", "LLAMA_ARG_CACHE_RAM", "NVIDIA_VISIBLE_DEVICES"], 1),
    ]:
        body = manifest(drawn, kind, name)
        assert body["spec"]["replicas"] == replicas
        assert pod_spec(body)["imagePullSecrets"] == [{"name": "one"}, {"name": "two"}]
        assert pod_spec(body)["tolerations"] == workload["tolerations"]
        (term,) = pod_spec(body)["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
            "nodeSelectorTerms"
        ]
        assert term == {"matchExpressions": workload["nodeAffinity"]}
        assert container(body)["image"] == workload["image"]
        assert container(body)["imagePullPolicy"] == "Always"
        plain = [each["name"] for each in container(body)["env"] if "value" in each]
        assert sorted(plain) == sorted([*own_env, "DEBUG", "ALPHA"])
        assert env(body)["DEBUG"] == "1"
        assert env(body)["ZULU"] == {"secretKeyRef": {"name": "apart", "key": "zulu"}}
        assert pod_spec(body)["priorityClassName"] == "important"
        assert container(body)["resources"] == {
            "requests": {"cpu": "250m", "memory": "1Gi", "ephemeral-storage": "1Gi"},
            "limits": {"memory": "2Gi", "ephemeral-storage": "2Gi"},
        }
    claim = {
        "accessModes": ["ReadWriteMany"],
        "resources": {"requests": {"storage": "7Gi"}},
        "storageClassName": "fast",
    }
    for each in drawn.objects:
        if each.kind == "PersistentVolumeClaim":
            assert each.manifest["spec"] == claim
    (template,) = manifest(drawn, "StatefulSet", "ollama")["spec"]["volumeClaimTemplates"]
    assert template["spec"] == claim


@pytest.mark.parametrize(
    ("service", "spec"),
    [
        ({}, {"type": "ClusterIP"}),
        ({"type": "LoadBalancer"}, {"type": "LoadBalancer"}),
        ({"type": "NodePort", "nodePort": 30080}, {"type": "NodePort", "nodePort": 30080}),
    ],
)
def test_service_type_and_node_port(service: dict[str, object], spec: dict[str, object]) -> None:
    drawn = draw_once(webui={"service": service})
    body = manifest(drawn, "Service", "airis-service")["spec"]
    assert {
        "type": body["type"],
        **{key: body["ports"][0][key] for key in ("nodePort",) if key in body["ports"][0]},
    } == spec


def test_ingress_only_with_a_host() -> None:
    without, with_host = draw_once(), draw_once(ingress={"host": "chat.example.com", "className": "nginx"})
    assert names(without, "Ingress") == []
    assert without.exports["url"] == "http://airis-service.airis.svc:8080"
    spec = manifest(with_host, "Ingress", "airis-ingress")["spec"]
    assert spec["ingressClassName"] == "nginx"
    assert [rule["host"] for rule in spec["rules"]] == ["chat.example.com"]
    assert with_host.exports["url"] == "http://chat.example.com"


def test_gpus_of_another_vendor() -> None:
    drawn = draw_once(ollama={"replicas": 2, "gpu": {"count": 4, "resourceName": "amd.com/gpu"}})
    body = manifest(drawn, "StatefulSet", "ollama")
    assert container(body)["resources"]["limits"]["amd.com/gpu"] == "4"
    assert "affinity" not in pod_spec(body)
    assert pod_spec(body)["tolerations"] == [{"effect": "NoSchedule", "key": "amd.com/gpu", "operator": "Exists"}]
    assert drawn.exports["gpu"] == {"amd.com/gpu": 8}


def test_node_affinity_of_gpu_and_settings_is_combined() -> None:
    product = {"key": "nvidia.com/gpu.product", "operator": "In", "values": ["L4"]}
    drawn = draw_once(
        ollama={
            "gpu": {"nodeLabels": {"pool": "gpu"}, "taint": "pool"},
            "nodeAffinity": [product],
            "tolerations": [{"key": "spot"}],
        }
    )
    spec = pod_spec(manifest(drawn, "StatefulSet", "ollama"))
    required = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    # all expressions of one term must match, but only one of several terms
    assert required == {
        "nodeSelectorTerms": [{"matchExpressions": [{"key": "pool", "operator": "In", "values": ["gpu"]}, product]}]
    }
    assert spec["tolerations"] == [
        {"key": "pool", "operator": "Exists", "effect": "NoSchedule"},
        {"key": "spot", "operator": "Exists"},
    ]


def test_gpu_without_labels_and_taint_sets_no_affinity_and_toleration() -> None:
    spec = pod_spec(manifest(draw_once(ollama={"gpu": {"nodeLabels": {}, "taint": None}}), "StatefulSet", "ollama"))
    assert "affinity" not in spec
    assert "tolerations" not in spec
    assert spec["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"


def test_zero_replicas_keep_ollamas_claim_in_the_stack() -> None:
    assert find(draw_once(ollama={"replicas": 0}), "PersistentVolumeClaim", "ollama-volume-ollama-0").protect
