"""Several errors at once, and values that errors never show."""

import json
from itertools import pairwise

import pytest

from settings import SettingsError, load
from tests.unit.conftest import Refuse

pytestmark = pytest.mark.timeout(60)

IMAGE = "an image reference such as ollama/ollama:0.34.4 or registry.example.com/team/airis@sha256:..."
REFERENCE = "no credential in plain text: put it into a Secret, and reference it in secretEnv"
SECRET = "correct horse battery staple"


def keys(said: str) -> list[str]:
    """The keys that an error names, in its order."""
    return [line.strip() for line in said.splitlines() if line.startswith("  airis:")]


def problems(config: dict[str, object], *secret: str) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        load({key: json.dumps(value) for key, value in config.items()}, source="Pulumi.x.yaml", secret_keys=set(secret))
    return caught.value


def test_all_errors_are_reported_together_and_sorted(refuse: Refuse) -> None:
    said = refuse(
        """
        airis:webui:
          replicas: 3
          resources: {requests: {cpu: 8, memory: 4GB}, limits: {cpus: 1}}
          env: {OLLAMA_BASE_URL: x, 2FAST: x}
          tolerations: [{key: a, value: b}, {kee: c}]
        airis:ollma: {}
        airis:ollama:
          gpu: {count: 0, resourceName: gpu}
          image: ""
        airis:namespace: Not A Name
        airis:ingress: {className: nginx}
        """
    )
    assert said.startswith("Pulumi.test.yaml: 14 settings are wrong. Nothing was changed.\n")
    assert keys(said) == [
        "airis:ingress.className",
        "airis:namespace",
        "airis:ollama.gpu.count",
        "airis:ollama.gpu.resourceName",
        "airis:ollama.image",
        "airis:ollma",
        "airis:webui.env.2FAST",
        "airis:webui.env.OLLAMA_BASE_URL",
        "airis:webui.replicas",
        "airis:webui.resources.limits.cpus",
        "airis:webui.resources.requests.cpu",
        "airis:webui.resources.requests.memory",
        "airis:webui.tolerations[0].value",
        "airis:webui.tolerations[1].kee",
    ]


def test_object_storage_requires_database_and_vector_store(refuse: Refuse) -> None:
    s3 = "{bucket: files, accessKeyIdFrom: {name: a, key: b}, secretAccessKeyFrom: {name: a, key: c}}"
    said = refuse(f"airis:webui: {{objectStorage: {s3}}}")
    assert said.splitlines()[1:] == [
        "  airis:webui.objectStorage",
        '    given    {"bucket": "files"}',
        "    allowed  null, or also set database: without a volume the SQLite database would be lost with the pod",
        "  airis:webui.vectorStore",
        '    given    "chroma" (the default)',
        "    allowed  pgvector or another server, because objectStorage leaves no volume for chroma's files",
    ]


def test_several_pods_without_a_database_name_what_is_missing(refuse: Refuse) -> None:
    redis = "redis: {urlFrom: {name: a, key: b}}"
    said = refuse(
        f"airis:webui: {{replicas: 2, {redis}, storage: {{accessMode: ReadWriteMany}}, vectorStore: pgvector}}"
    )
    assert said.splitlines()[1:] == [
        "  airis:webui.replicas",
        "    given    2",
        "    allowed  at most 1, or also set database (PostgreSQL)",
        "  airis:webui.vectorStore",
        '    given    "pgvector"',
        "    allowed  chroma, or also set database",
    ]


def test_the_order_of_errors_does_not_depend_on_the_file() -> None:
    config: dict[str, object] = {"airis:webui": {"replicas": -1, "image": ""}, "airis:ingress": 1, "airis:a": 1}
    backwards = {key: config[key] for key in reversed(config)}
    error = problems(config)
    assert str(error) == str(problems(backwards))
    assert all(one.key < other.key for one, other in pairwise(error.problems))


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"resources": {"requests": {"memory": "100Gi"}, "limits": {"memory": "4GB"}}}, "resources.limits.memory"),
        ({"resources": {"requests": {"memory": "1x"}, "limits": {"memory": "1Mi"}}}, "resources.requests.memory"),
        ({"replicas": 2, "storage": {"accessMode": "ReadWriteAll"}}, "storage.accessMode"),
        ({"service": {"type": "Nodeport", "nodePort": 30080}}, "service.type"),
        ({"tolerations": [{"key": "a b", "operator": "Equal"}]}, "tolerations[0].key"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_value_causes_no_errors_in_dependent_rules(config: dict[str, object], key: str) -> None:
    assert [each.key for each in problems({"airis:webui": config}).problems] == [f"airis:webui.{key}"]


def test_a_wrong_gpu_causes_no_error_for_its_affinity() -> None:
    error = problems({"airis:ollama": {"gpu": 1, "nodeAffinity": [{"key": "nvidia.com/gpu", "operator": "Exists"}]}})
    assert [each.key for each in error.problems] == ["airis:ollama.gpu"]


def test_keys_of_other_namespaces_are_ignored() -> None:
    assert load({"kubernetes:context": "far", "pulumi:tags": "{}"}, source="Pulumi.x.yaml").namespace == "airis"


def test_the_error_names_the_given_file() -> None:
    error = problems({"airis:nonsense": 1})
    assert error.source == "Pulumi.x.yaml"
    assert str(error).startswith("Pulumi.x.yaml: 1 setting is wrong. Nothing was changed.")


@pytest.mark.parametrize(
    "config",
    [
        {"airis:webui": SECRET},
        {"airis:webui": {"image": SECRET}},
        {"airis:webui": {"imagePullPolicy": SECRET}},
        {"airis:webui": {"storage": {"size": SECRET}}},
        {"airis:webui": {"tolerations": [{"key": SECRET}]}},
        {"airis:webui": {"unheardOf": SECRET}},
        {"airis:webui": [SECRET]},
        {"airis:webui": {"env": SECRET}},
    ],
    ids=str,
)
def test_a_secret_value_is_never_shown(config: dict[str, object]) -> None:
    open_error, error = problems(config), problems(config, "airis:webui")
    assert SECRET in str(open_error)
    assert SECRET not in str(error)
    assert SECRET not in repr(error)
    assert error.__cause__ is None
    assert [(each.key, each.value) for each in error.problems] == [(open_error.problems[0].key, "[secret]")]


def test_a_secret_key_does_not_hide_other_keys() -> None:
    error = problems({"airis:webui": {"replicas": -1}, "airis:ollama": {"replicas": -2}}, "airis:webui")
    assert [each.value for each in error.problems] == ["-2", "[secret]"]


def test_the_program_passes_on_which_keys_are_encrypted(refuse: Refuse) -> None:
    said = refuse("airis:webui: {env: {GREETING: {secure: v1:abc}}, image: A B}\nairis:ollama: {image: C D}")
    assert said.splitlines()[1:] == [
        "  airis:ollama.image",
        '    given    "C D"',
        f"    allowed  {IMAGE}",
        "  airis:webui.env.GREETING",
        "    given    [secret]",
        f"    allowed  {REFERENCE}",
        "  airis:webui.image",
        "    given    [secret]",
        "    allowed  another value: see docs/config.md for this key",
    ]


@pytest.mark.parametrize("env", [{"OLLAMA_BASE_URL": SECRET}, {"1": SECRET}, {"A": [SECRET]}, [{"name": SECRET}]])
def test_environment_variables_are_never_shown(env: object) -> None:
    assert SECRET not in str(problems({"airis:webui": {"env": env}}))


@pytest.mark.parametrize(
    "webui", [{"storage": {"size": "7531GB"}}, {"resources": {"requests": {"cpu": 9000}, "limits": {"cpu": 7531}}}]
)
def test_the_allowed_text_shows_no_secret(webui: object) -> None:
    assert "7531" not in str(problems({"airis:webui": webui}, "airis:webui"))
