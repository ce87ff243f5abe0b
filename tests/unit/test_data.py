"""Data outlives every change: claims, volumes, update strategies, and changes of a claim that the preview refuses."""

import json
from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from airis.render.program import Rendering
from components import claim
from tests.unit.drawing import container, draw, draw_once, draw_program, env, find, manifest, names, pod_spec

pytestmark = pytest.mark.timeout(60)

REFERENCE = {"name": "a", "key": "b"}
SHARED: dict[str, Any] = {
    "database": {"urlFrom": REFERENCE},
    "redis": {"urlFrom": REFERENCE},
    "objectStorage": {
        "bucket": "uploads",
        "region": "eu-west-1",
        "endpoint": "https://s3.example.com",
        "accessKeyIdFrom": REFERENCE,
        "secretAccessKeyFrom": REFERENCE,
    },
    "vectorStore": "pgvector",
}
"""Settings that several WebUI pods require."""


def volumes(drawn: Rendering, kind: str, name: str) -> dict[str, Any]:
    """The volumes of the pods, by mount path."""
    body = manifest(drawn, kind, name)
    by_name = {each["name"]: {key: each[key] for key in each.keys() - {"name"}} for each in pod_spec(body)["volumes"]}
    return {mount["mountPath"]: by_name.get(mount["name"]) for mount in container(body)["volumeMounts"]}


def test_an_existing_claim_is_mounted_and_none_is_created() -> None:
    drawn = draw_once(webui={"storage": {"existingClaim": "chats"}}, ollama={"storage": {"existingClaim": "models"}})
    assert names(drawn, "PersistentVolumeClaim") == []
    assert volumes(drawn, "Deployment", "airis-deployment")["/app/backend/data"] == {
        "persistentVolumeClaim": {"claimName": "chats"}
    }
    assert volumes(drawn, "StatefulSet", "ollama")["/home/ollama/.ollama"] == {
        "persistentVolumeClaim": {"claimName": "models"}
    }
    assert manifest(drawn, "StatefulSet", "ollama")["spec"].get("volumeClaimTemplates", []) == []


def test_an_existing_claim_of_one_workload_does_not_affect_the_other() -> None:
    assert names(draw_once(webui={"storage": {"existingClaim": "chats"}}), "PersistentVolumeClaim") == [
        "ollama-volume-ollama-0"
    ]
    assert names(draw_once(ollama={"storage": {"existingClaim": "models"}}), "PersistentVolumeClaim") == ["airis-pvc"]


def test_zero_replicas_of_ollama_with_an_existing_claim_create_no_claim() -> None:
    drawn = draw_once(ollama={"replicas": 0, "storage": {"existingClaim": "models"}})
    assert names(drawn, "PersistentVolumeClaim") == ["airis-pvc"]


def test_with_object_storage_the_pod_has_an_empty_dir_instead_of_a_claim() -> None:
    drawn = draw_once(webui={**SHARED, "storage": {"size": "3Gi"}})
    assert names(drawn, "PersistentVolumeClaim") == ["ollama-volume-ollama-0"]
    assert volumes(drawn, "Deployment", "airis-deployment")["/app/backend/data"] == {"emptyDir": {"sizeLimit": "3Gi"}}
    given = env(manifest(drawn, "Deployment", "airis-deployment"))
    assert {
        "STORAGE_PROVIDER": "s3",
        "S3_BUCKET_NAME": "uploads",
        "S3_REGION_NAME": "eu-west-1",
        "S3_ENDPOINT_URL": "https://s3.example.com",
        "VECTOR_DB": "pgvector",
        "WEBSOCKET_MANAGER": "redis",
        "ENABLE_WEBSOCKET_SUPPORT": "True",
    }.items() <= given.items()


def test_amazon_s3_sets_no_endpoint() -> None:
    store = {key: value for key, value in SHARED["objectStorage"].items() if key not in ("region", "endpoint")}
    given = env(manifest(draw_once(webui={**SHARED, "objectStorage": store}), "Deployment", "airis-deployment"))
    assert not {"S3_ENDPOINT_URL", "S3_REGION_NAME"} & given.keys()


@pytest.mark.parametrize(
    ("webui", "strategy"),
    [
        ({}, "Recreate"),
        ({"replicas": 0}, "Recreate"),
        ({**SHARED, "replicas": 3}, "Recreate"),
        ({**SHARED, "replicas": 3, "rollingUpdates": True}, "RollingUpdate"),
        ({**SHARED, "rollingUpdates": True}, "RollingUpdate"),
    ],
)
def test_pods_are_recreated_unless_rolling_updates_are_enabled(webui: dict[str, Any], strategy: str) -> None:
    spec = manifest(draw_once(webui=webui), "Deployment", "airis-deployment")["spec"]
    assert spec["strategy"]["type"] == strategy
    # The API server's own defaults would never be removed, and it refuses Recreate as long as they are set
    assert ("rollingUpdate" in spec["strategy"]) == (strategy == "RollingUpdate")
    assert spec["replicas"] == webui.get("replicas", 1)


@pytest.mark.parametrize(
    ("webui", "waits"),
    [
        ({}, False),
        (SHARED, False),
        ({**SHARED, "replicas": 2}, True),
        ({**SHARED, "rollingUpdates": True}, True),
        ({**SHARED, "autoscaling": {"minReplicas": 1, "maxReplicas": 2}}, True),
    ],
)
def test_a_terminating_pod_keeps_serving_if_other_pods_take_over(webui: dict[str, Any], waits: bool) -> None:
    spec = manifest(draw(webui=webui), "Deployment", "airis-deployment")["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert container.get("lifecycle") == ({"preStop": {"exec": {"command": ["sleep", "5"]}}} if waits else None)
    assert all("lifecycle" not in each for each in spec["initContainers"])


@pytest.mark.parametrize("persistent", [True, False])
def test_enable_persistent_config_is_always_set(persistent: bool) -> None:
    drawn = draw_once(webui={"enablePersistentConfig": persistent})
    assert env(manifest(drawn, "Deployment", "airis-deployment"))["ENABLE_PERSISTENT_CONFIG"] == str(persistent)


def test_a_database_alone_keeps_files_and_vectors_on_the_volume() -> None:
    drawn = draw_once(webui={"database": {"urlFrom": REFERENCE}})
    assert volumes(drawn, "Deployment", "airis-deployment")["/app/backend/data"] == {
        "persistentVolumeClaim": {"claimName": "airis-pvc"}
    }
    given = env(manifest(drawn, "Deployment", "airis-deployment"))
    assert given["DATABASE_URL"] == {"secretKeyRef": REFERENCE}
    assert given["VECTOR_DB"] == "chroma"
    assert not {"REDIS_URL", "WEBSOCKET_MANAGER", "STORAGE_PROVIDER"} & given.keys()


# Changes of an existing claim


@pytest.fixture
def guards(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[Callable[..., Any], Any]]:
    """Every hook that the program registers, by its name, with its options."""
    made: dict[str, tuple[Callable[..., Any], Any]] = {}
    original = pulumi.ResourceHook.__init__

    def listen(self: Any, name: str, callback: Any, opts: Any = None) -> None:
        made[name] = (callback, opts)
        original(self, name, callback, opts)

    monkeypatch.setattr(pulumi.ResourceHook, "__init__", listen)
    return made


CLAIM = "airis-pvc"
Storage = dict[str, Any]

HARMLESS: list[tuple[Storage | None, Storage]] = [
    (None, {"size": "2Gi"}),
    ({"size": "2Gi"}, {"size": "2Gi"}),
    ({"size": "9Gi"}, {"size": "10Gi"}),
    ({"size": "1G"}, {"size": "1Gi"}),
    ({"size": "2048Mi", "storageClass": "fast"}, {"size": "2Gi", "storageClass": "fast"}),
]
LOSSES: list[tuple[Storage, Storage, tuple[str, str]]] = [
    ({"size": "10Gi"}, {"size": "9Gi"}, ("10Gi", "9Gi")),
    ({"size": "1Gi"}, {"size": "1G"}, ("1Gi", "1G")),
    ({}, {"storageClass": "fast"}, ("ReadWriteOnce, class default", "ReadWriteOnce, class fast")),
    ({"storageClass": "slow"}, {"storageClass": "fast"}, ("class slow", "class fast")),
    ({"storageClass": "slow"}, {}, ("class slow", "class default")),
    ({}, {"accessMode": "ReadWriteMany"}, ("ReadWriteOnce, class", "ReadWriteMany, class")),
]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The inputs of a claim as the engine gets them, for each storage of the tests below."""
    every = [
        storage for before, after, *_ in (*HARMLESS, *LOSSES) for storage in (before, after) if storage is not None
    ]
    drawn = draw_program(
        tmp_path_factory.mktemp("claims"),
        f"""
        import json
        import pulumi
        from components.claim import data_claim
        from components.metadata import Place
        from settings import WebUISettings
        from settings.platform.platform import PlatformSettings

        place = Place("apps", {{}}, pulumi.ComponentResource("tests:claims:All", "all"), PlatformSettings())
        for number, storage in enumerate(json.loads({json.dumps(every)!r})):
            data_claim(f"claim-{{number}}", WebUISettings.model_validate({{"storage": storage}}).storage, place)
        """,
    )
    return {
        json.dumps(storage): dict(find(drawn, "PersistentVolumeClaim", f"claim-{number}").manifest)
        for number, storage in enumerate(every)
    }


def update(before: dict[str, Any] | None, after: dict[str, Any]) -> None:
    """Runs the guard as the engine does before it updates the claim."""
    claim._refuse_loss(pulumi.ResourceHookArgs(urn="", id="", name=CLAIM, type="", old_inputs=before, new_inputs=after))


@pytest.mark.parametrize(("before", "after"), HARMLESS)
def test_a_claim_may_be_unchanged_or_grow(before: Storage | None, after: Storage, inputs: dict[str, Any]) -> None:
    update(None if before is None else inputs[json.dumps(before)], inputs[json.dumps(after)])


@pytest.mark.parametrize(("before", "after", "values"), LOSSES)
def test_shrinking_a_claim_or_changing_its_class_or_access_mode_is_refused(
    before: Storage, after: Storage, values: tuple[str, str], inputs: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=CLAIM) as caught:
        update(inputs[json.dumps(before)], inputs[json.dumps(after)])
    was, becomes = str(caught.value).split("the settings require")
    assert values[0] in was
    assert values[1] in becomes


def test_a_claim_without_the_annotation_can_grow() -> None:
    old = {"metadata": {}, "spec": {"resources": {"requests": {"storage": "1Gi"}}}}
    new = dict(find(draw_once(), "PersistentVolumeClaim", CLAIM).manifest)
    update(old, new)


def test_every_claim_is_checked_in_the_preview(registrations: list[Any], guards: dict[str, Any]) -> None:
    drawn = draw(ollama={"replicas": 2})
    claims = [each for each in registrations if each.type.endswith(":PersistentVolumeClaim")]
    assert sorted(each.name for each in claims) == names(drawn, "PersistentVolumeClaim")
    for request in claims:
        assert list(request.hooks.before_update) == [f"{request.name}-storage"]
        callback, options = guards[f"{request.name}-storage"]
        assert callback is claim._refuse_loss
        assert options.on_dry_run is True
        # a change of these would be a replacement; since they are ignored, the guard gets a change of the annotation
        assert list(request.ignoreChanges) == ["spec.accessModes", "spec.storageClassName"]
        assert (request.protect, request.retainOnDelete) == (True, True)
    assert len(guards) == len(claims) == 3
