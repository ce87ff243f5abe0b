"""Unset keys keep their defaults at every depth; null removes a value; settings are immutable."""

import json
from collections.abc import Iterator

import pytest
from pydantic import BaseModel, ValidationError

from settings import GpuSettings, OllamaSettings, StackSettings, WebUISettings, load
from settings.pods.workload import ResourceAmounts, Resources, StorageSettings
from settings.types.references import SecretKeyRef

pytestmark = pytest.mark.timeout(60)


def read(**config: object) -> StackSettings:
    return load({f"airis:{key}": json.dumps(value) for key, value in config.items()}, source="Pulumi.x.yaml")


def test_an_empty_stack_has_all_defaults() -> None:
    settings = load({}, source="Pulumi.x.yaml")
    assert settings == StackSettings()
    assert settings.namespace == "airis"
    assert settings.ollama.gpu is None
    assert settings.ingress.host is None
    assert (settings.webui.storage.size, settings.ollama.storage.size) == ("2Gi", "30Gi")


def test_a_nested_key_keeps_the_other_defaults_at_every_depth() -> None:
    settings = read(webui={"resources": {"limits": {"memory": "8Gi"}}})
    assert settings.webui.resources == Resources(
        requests=ResourceAmounts(cpu="500m", memory="1Gi", ephemeral_storage="100Mi"),
        limits=ResourceAmounts(cpu="1", memory="8Gi", ephemeral_storage="2Gi"),
    )
    assert settings.webui.storage == StorageSettings(size="2Gi")
    assert settings.ollama == OllamaSettings()


def test_a_storage_class_keeps_the_default_size() -> None:
    assert read(ollama={"storage": {"storageClass": "fast"}}).ollama.storage == StorageSettings(
        size="30Gi", storage_class="fast"
    )


@pytest.mark.parametrize(
    "empty", [{}, {"resources": {}}, {"resources": {"limits": {}, "requests": {}}}, {"storage": {}}]
)
def test_an_empty_mapping_changes_nothing(empty: dict[str, object]) -> None:
    assert read(webui=empty) == StackSettings()


def test_null_removes_one_limit_and_keeps_the_other() -> None:
    limits = read(ollama={"resources": {"limits": {"memory": None}}}).ollama.resources.limits
    assert limits == ResourceAmounts(cpu="4", memory=None, ephemeral_storage="2Gi")


def test_defaults_are_kept_in_python_too() -> None:
    settings = WebUISettings.model_validate({"resources": {"limits": {"memory": "8Gi"}}})
    assert settings.resources.limits == ResourceAmounts(cpu="1", memory="8Gi", ephemeral_storage="2Gi")
    assert WebUISettings(replicas=0).storage == StorageSettings(size="2Gi")


def test_gpu_requests_one_nvidia_gpu() -> None:
    assert read(ollama={"gpu": {}}).ollama.gpu == GpuSettings(
        count=1, resource_name="nvidia.com/gpu", node_labels={"nvidia.com/gpu.present": "true"}, taint="nvidia.com/gpu"
    )


@pytest.mark.parametrize(
    ("resource", "labels", "taint"),
    [
        ("nvidia.com/mig-1g.5gb", {"nvidia.com/gpu.present": "true"}, "nvidia.com/gpu"),
        ("amd.com/gpu", {}, "amd.com/gpu"),
        ("gpu.intel.com/i915", {}, "gpu.intel.com/i915"),
    ],
)
def test_labels_and_taint_are_derived_from_the_gpu_resource(resource: str, labels: dict[str, str], taint: str) -> None:
    gpu = read(ollama={"gpu": {"resourceName": resource}}).ollama.gpu
    assert gpu is not None
    assert (dict(gpu.node_labels), gpu.taint, gpu.count) == (labels, taint, 1)


def test_gpu_labels_and_taint_can_be_replaced_and_removed() -> None:
    gpu = read(ollama={"gpu": {"nodeLabels": {"pool": "gpu"}, "taint": None}}).ollama.gpu
    assert gpu is not None
    assert dict(gpu.node_labels) == {"pool": "gpu"}
    assert gpu.taint is None
    assert gpu.tolerations == ()


def test_null_gpu_is_a_cpu_stack() -> None:
    assert read(ollama={"gpu": None}) == StackSettings()


def a_key(secret: str) -> dict[str, str]:
    return {"name": secret, "key": "value"}


SHARED = {
    "replicas": 3,
    "database": {"urlFrom": a_key("postgres")},
    "redis": {"urlFrom": a_key("redis")},
    "vectorStore": "pgvector",
}
S3 = {"bucket": "uploads", "accessKeyIdFrom": a_key("s3"), "secretAccessKeyFrom": a_key("s3")}


@pytest.mark.parametrize(
    ("config", "accepted"),
    [
        ({"webui": {"resources": {"requests": {"cpu": 1, "memory": "1024Mi"}}}}, "a request as high as its limit"),
        ({"webui": {"resources": {"requests": {"cpu": 64}, "limits": {"cpu": None}}}}, "a request without a limit"),
        ({"webui": {**SHARED, "storage": {"accessMode": "ReadWriteMany"}}}, "replicas on a shared volume"),
        ({"webui": {**SHARED, "objectStorage": S3}}, "replicas with object storage"),
        ({"webui": {**SHARED, "objectStorage": S3, "replicas": 1}}, "object storage for one pod"),
        (
            {"webui": {**SHARED, "objectStorage": S3, "rollingUpdates": True}},
            "rolling updates where pods may be several",
        ),
        ({"webui": {"database": SHARED["database"]}}, "chroma on the volume beside a database"),
        ({"webui": {"env": {"OPENAI_API_BASE_URL": "https://user@example.com:443/v1"}}}, "a URL without a password"),
        ({"webui": {"env": {"ENABLE_API_KEYS": "True", "MAX_TOKENS": "1", "TOKEN_LIFE": "4w"}}}, "no credentials"),
        ({"webui": {"secretEnv": {"OPENAI_API_KEY": {"name": "openai", "key": "key"}}}}, "a credential by reference"),
        ({"webui": {"storage": {"existingClaim": "chats"}}}, "an existing claim"),
        ({"ollama": {"storage": {"existingClaim": "models"}}}, "an existing claim for one Ollama"),
        ({"production": True, "webui": {"image": "airis:v1.2.3-slim"}}, "a release in production"),
        ({"production": True, "webui": {"image": f"airis:main@sha256:{'0' * 64}"}}, "a digest in production"),
        ({"webui": {"replicas": 0}}, "no replica at all"),
        ({"ollama": {"replicas": 3}}, "several Ollamas, each with its own volume"),
        ({"ollama": {"gpu": {}, "nodeAffinity": [{"key": "nvidia.com/gpu.product", "values": ["L4"]}]}}, "a GPU model"),
        (
            {"ollama": {"nodeAffinity": [{"key": "nvidia.com/gpu.present", "operator": "DoesNotExist"}]}},
            "away from GPUs",
        ),
        ({"ollama": {"nodeAffinity": [{"key": "pool", "values": ["cpu"]}]}}, "a CPU label"),
        ({"ollama": {"env": {"OLLAMA_BASE_URL": "x"}}}, "a variable that is only the WebUI's"),
        ({"webui": {"service": {"type": "LoadBalancer", "nodePort": 30080}}}, "a node port"),
        ({"webui": {"tolerations": [{}]}}, "a toleration of everything"),
        ({"ingress": {"host": "*.example.com", "hosts": ["a.example.com"]}}, "a wildcard host beside another"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_valid_settings_are_accepted(config: dict[str, object], accepted: str) -> None:
    assert read(**config) != StackSettings(), accepted


@pytest.mark.parametrize(
    ("given", "stored"), [("Chat.Example.COM", "chat.example.com"), ("a.example.com.", "a.example.com")]
)
def test_hosts_become_lower_case_without_a_trailing_dot(given: str, stored: str) -> None:
    assert read(ingress={"host": given}).ingress.host == stored


@pytest.mark.parametrize(
    "image",
    [
        "airis",
        "ollama/ollama:0.17.4",
        "localhost:5000/airis",
        "Registry.example.com:443/team/open-web__ui:v1_2.3-rc",
        f"ghcr.io/airis/airis:main@sha256:{'0' * 64}",
    ],
)
def test_valid_image_references_are_accepted(image: str) -> None:
    assert read(webui={"image": image}).webui.image == image


def models(settings: BaseModel) -> Iterator[BaseModel]:
    yield settings
    for value in dict(settings).values():
        for inner in value if isinstance(value, tuple) else (value,):
            if isinstance(inner, BaseModel):
                yield from models(inner)


EVERYTHING = StackSettings(
    image_pull_secrets=("regcred",),
    webui=WebUISettings.model_validate(
        {
            **SHARED,
            "objectStorage": S3,
            "tolerations": [{"key": "a"}],
            "nodeAffinity": [{"key": "a", "operator": "Exists"}],
        }
    ),
    ollama=OllamaSettings(gpu=GpuSettings()),
)


def test_settings_are_immutable() -> None:
    seen = set()
    for model in models(EVERYTHING):
        seen.add(type(model).__name__)
        for field in type(model).model_fields:
            with pytest.raises(ValidationError, match="frozen"):
                setattr(model, field, None)
    assert {"StackSettings", "ResourceAmounts", "GpuSettings", "Toleration", "NodeSelectorRequirement"} <= seen
    assert {"SecretsSettings", "SecretKeyRef", "ObjectStorageSettings", "NetworkSettings", "ProbeSettings"} <= seen


def test_mappings_are_immutable() -> None:
    webui = StackSettings().webui
    with pytest.raises(TypeError):
        webui.env["A"] = "b"  # type: ignore[index]
    with pytest.raises(TypeError):
        webui.secret_env["A"] = SecretKeyRef(name="a", key="b")  # type: ignore[index]


def test_stack_files_use_camel_case_and_python_snake_case() -> None:
    for model in models(EVERYTHING):
        for name, field in type(model).model_fields.items():
            words = name.split("_")
            assert field.alias == words[0] + "".join(word.capitalize() for word in words[1:])
    assert read(imagePullSecrets=["regcred"]).image_pull_secrets == ("regcred",)
    assert StorageSettings(size="1Gi", storage_class="fast").storage_class == "fast"
