"""What a stack file does not say keeps its default, at every depth; null takes away; nothing can be changed later."""

import json
from collections.abc import Iterator

import pytest
from pydantic import BaseModel, ValidationError

from settings import GpuSettings, OllamaSettings, StackSettings, WebUISettings, load
from settings.workload import ResourceAmounts, Resources, StorageSettings

pytestmark = pytest.mark.timeout(60)


def read(**config: object) -> StackSettings:
    return load({f"airis:{key}": json.dumps(value) for key, value in config.items()}, source="Pulumi.x.yaml")


def test_an_empty_stack_is_all_defaults() -> None:
    settings = load({}, source="Pulumi.x.yaml")
    assert settings == StackSettings()
    assert settings.namespace == "airis"
    assert settings.ollama.gpu is None
    assert settings.ingress.host is None
    assert (settings.webui.storage.size, settings.ollama.storage.size) == ("2Gi", "30Gi")


def test_a_nested_key_leaves_its_neighbours_at_every_depth() -> None:
    settings = read(webui={"resources": {"limits": {"memory": "8Gi"}}})
    assert settings.webui.resources == Resources(
        requests=ResourceAmounts(cpu="500m", memory="500Mi"), limits=ResourceAmounts(cpu="1", memory="8Gi")
    )
    assert settings.webui.storage == StorageSettings(size="2Gi")
    assert settings.ollama == OllamaSettings()


def test_a_storage_class_leaves_the_size() -> None:
    assert read(ollama={"storage": {"storageClass": "fast"}}).ollama.storage == StorageSettings(
        size="30Gi", storage_class="fast"
    )


@pytest.mark.parametrize(
    "empty", [{}, {"resources": {}}, {"resources": {"limits": {}, "requests": {}}}, {"storage": {}}]
)
def test_an_empty_mapping_changes_nothing(empty: dict[str, object]) -> None:
    assert read(webui=empty) == StackSettings()


def test_null_takes_one_limit_away_and_leaves_the_other() -> None:
    limits = read(ollama={"resources": {"limits": {"memory": None}}}).ollama.resources.limits
    assert limits == ResourceAmounts(cpu="4", memory=None)


def test_defaults_are_kept_in_python_too() -> None:
    settings = WebUISettings.model_validate({"resources": {"limits": {"memory": "8Gi"}}})
    assert settings.resources.limits == ResourceAmounts(cpu="1", memory="8Gi")
    assert WebUISettings(replicas=0).storage == StorageSettings(size="2Gi")


def test_gpu_asks_for_one_nvidia_gpu() -> None:
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
def test_labels_and_taint_follow_the_gpu_resource(resource: str, labels: dict[str, str], taint: str) -> None:
    gpu = read(ollama={"gpu": {"resourceName": resource}}).ollama.gpu
    assert gpu is not None
    assert (dict(gpu.node_labels), gpu.taint, gpu.count) == (labels, taint, 1)


def test_gpu_labels_and_taint_can_be_replaced_and_taken_away() -> None:
    gpu = read(ollama={"gpu": {"nodeLabels": {"pool": "gpu"}, "taint": None}}).ollama.gpu
    assert gpu is not None
    assert dict(gpu.node_labels) == {"pool": "gpu"}
    assert gpu.taint is None
    assert gpu.tolerations == ()


def test_null_makes_a_cpu_stack() -> None:
    assert read(ollama={"gpu": None}) == StackSettings()


@pytest.mark.parametrize(
    ("config", "accepted"),
    [
        ({"webui": {"resources": {"requests": {"cpu": 1, "memory": "1024Mi"}}}}, "a request as high as its limit"),
        ({"webui": {"resources": {"requests": {"cpu": 64}, "limits": {"cpu": None}}}}, "a request without a limit"),
        ({"webui": {"replicas": 3, "storage": {"accessMode": "ReadWriteMany"}}}, "replicas on a shared volume"),
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
        ({"ingress": {"host": "*.example.com", "className": "nginx"}}, "a wildcard host"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_the_rules_let_through(config: dict[str, object], accepted: str) -> None:
    assert read(**config) != StackSettings(), accepted


@pytest.mark.parametrize(
    ("given", "stored"), [("Chat.Example.COM", "chat.example.com"), ("a.example.com.", "a.example.com")]
)
def test_hosts_become_lower_case_without_the_final_dot(given: str, stored: str) -> None:
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
def test_images_that_registries_accept(image: str) -> None:
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
        {"tolerations": [{"key": "a"}], "nodeAffinity": [{"key": "a", "operator": "Exists"}]}
    ),
    ollama=OllamaSettings(gpu=GpuSettings()),
)


def test_nothing_can_be_changed_afterwards() -> None:
    seen = set()
    for model in models(EVERYTHING):
        seen.add(type(model).__name__)
        for field in type(model).model_fields:
            with pytest.raises(ValidationError, match="frozen"):
                setattr(model, field, None)
    assert {"StackSettings", "ResourceAmounts", "GpuSettings", "Toleration", "NodeSelectorRequirement"} <= seen


def test_mappings_cannot_be_changed_either() -> None:
    with pytest.raises(TypeError):
        StackSettings().webui.env["A"] = "b"  # type: ignore[index]


def test_stack_files_speak_camel_case_and_python_snake_case() -> None:
    for model in models(EVERYTHING):
        for name, field in type(model).model_fields.items():
            words = name.split("_")
            assert field.alias == words[0] + "".join(word.capitalize() for word in words[1:])
    assert read(imagePullSecrets=["regcred"]).image_pull_secrets == ("regcred",)
    assert StorageSettings(size="1Gi", storage_class="fast").storage_class == "fast"
