"""Every object of every committed stack is valid in Kubernetes' OpenAPI schema; unknown fields are errors."""

from copy import deepcopy
from typing import Any

import kubernetes_validate
import pytest

from airis.render.manifest import manifest
from airis.render.program import Rendering
from tests.unit.drawing import COMMITTED, committed, draw_once

pytestmark = pytest.mark.timeout(60)

OLDEST, NEWEST = "1.31", "1.36"
"""The oldest and the newest Kubernetes version that the stacks must be valid for; the newest is the sandbox's."""


def faults(drawn: Rendering, version: str) -> dict[str, str]:
    found = {}
    for each in drawn.objects:
        try:
            kubernetes_validate.validate(manifest(each), version, strict=True)
        except kubernetes_validate.ValidationError as error:
            found[str(each)] = error.message
    return found


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("stack", COMMITTED)
def test_committed_stacks_are_valid(stack: str, version: str) -> None:
    assert len(committed(stack).objects) >= 14
    assert faults(committed(stack), version) == {}


def test_a_stack_with_every_setting_is_valid() -> None:
    workload: dict[str, object] = {
        "imagePullPolicy": "Always",
        "resources": {"requests": {"ephemeralStorage": "1Gi"}},
        "probes": {"startup": {"failureThreshold": 9}},
        "priorityClass": "important",
        "secretEnv": {"API_KEY": {"name": "apart", "key": "api"}},
        "storage": {"storageClass": "fast", "accessMode": "ReadWriteMany"},
        "env": {"DEBUG": "1"},
        "nodeAffinity": [
            {"key": "pool", "operator": "NotIn", "values": ["spot"]},
            {"key": "cores", "operator": "Exists"},
        ],
        "tolerations": [{"key": "pool", "effect": "NoExecute", "tolerationSeconds": 5}],
    }
    drawn = draw_once(
        production=True,
        podSecurity="baseline",
        webui={
            **workload,
            "image": "airis:1.2.3",
            "replicas": 2,
            "rollingUpdates": True,
            "service": {"type": "LoadBalancer", "nodePort": 30080},
            "database": {},
            "redis": {"urlFrom": {"name": "redis", "key": "url"}},
            "objectStorage": {"bucket": "uploads", "region": "eu-west-1", "endpoint": "https://s3.example.com"},
            "vectorStore": "pgvector",
        },
        ollama={**workload, "replicas": 2, "gpu": {"count": 2}},
        ingress={"host": "chat.example.com", "className": "nginx"},
        imagePullSecrets=["regcred"],
        network={"webuiFrom": ["10.0.0.0/8"], "restrictEgress": True, "egressTo": ["192.0.2.0/24", "2001:db8::/32"]},
        secrets={
            "databaseUrl": "postgresql://a:b@db/c",
            "s3AccessKeyId": "a",
            "s3SecretAccessKey": "b",
            "sessionKey": "k" * 32,
        },
    )
    assert {"Secret", "NetworkPolicy", "PodDisruptionBudget", "ServiceAccount"} <= {each.kind for each in drawn.objects}
    assert faults(drawn, NEWEST) == {}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"imagePullPolice": "Always"}, "imagePullPolice"),
        ({"ports": [{"containerPort": "8080"}]}, "8080"),
        ({"resources": {"limit": {"cpu": "1"}}}, "limit"),
    ],
)
def test_a_misspelt_field_and_a_wrong_type_are_detected(change: dict[str, Any], complaint: str) -> None:
    (deployment,) = [each for each in committed("cpu").objects if each.kind == "Deployment"]
    body = deepcopy(manifest(deployment))
    body["spec"]["template"]["spec"]["containers"][0] |= change
    with pytest.raises(kubernetes_validate.ValidationError, match=complaint):
        kubernetes_validate.validate(body, NEWEST, strict=True)
