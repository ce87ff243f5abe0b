"""State at scale on a real control plane: everything shared, several pods, an autoscaler, and a Redis of the stack's own."""

from typing import Any

import pytest

from airis.cluster.finding import Finding
from airis.rehearse.sandbox import Sandbox
from airis.rehearse.verdict import Verdict
from tests.rehearsal.test_stacks import objects_of, rehearsed, wanted
from tests.unit.drawing import draw

pytestmark = pytest.mark.timeout(120)

REFERENCE = {"name": "credentials", "key": "value"}
STATE: dict[str, Any] = {
    "database": {"host": "postgres.data", "user": "us er@x", "passwordFrom": REFERENCE, "sslMode": "require"},
    "redis": {"bundled": {}},
    "vectorStore": "qdrant",
    "qdrant": {"url": "http://qdrant.data:6333", "apiKeyFrom": REFERENCE},
    "objectStorage": {"bucket": "uploads", "workloadIdentity": True, "localCache": False},
    "serviceAccountAnnotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/chat"},
}
SCALED = {**STATE, "autoscaling": {"minReplicas": 3, "maxReplicas": 6, "memoryPercent": 80}}


def pods_of(verdict: Verdict, prefix: str) -> list[Finding]:
    return [each for each in verdict.findings if each.kind == "Pod" and each.name.startswith(prefix)]


def one(sandbox: Sandbox, kind: str, name: str) -> Any:
    (found,) = [each for each in objects_of(sandbox, kind) if each["metadata"]["name"] == name]
    return found


def unlike(given: Any, stored: Any, path: str = "") -> list[str]:
    """Where the API server keeps something else than what it was given; what it adds by itself is no matter."""
    if isinstance(given, dict) and isinstance(stored, dict):
        return [found for key, value in given.items() for found in unlike(value, stored.get(key), f"{path}.{key}")]
    if isinstance(given, list) and isinstance(stored, list) and len(given) == len(stored):
        return [
            found
            for index, (mine, theirs) in enumerate(zip(given, stored, strict=True))
            for found in unlike(mine, theirs, f"{path}[{index}]")
        ]
    if given == stored or (given in (None, [], {}) and stored in (None, [], {})):
        return []
    return [f"{path}: {given!r} became {stored!r}"]


def test_a_redis_and_three_pods_with_a_budget_come_up_under_restricted(clean_sandbox: Sandbox) -> None:
    verdict = rehearsed(wanted(draw(webui={**STATE, "replicas": 3})), clean_sandbox)

    assert verdict.ok, verdict
    assert len(pods_of(verdict, "airis-deployment")) == 3
    assert len(pods_of(verdict, "airis-redis")) == 1
    claims = {each["metadata"]["name"]: each["status"]["phase"] for each in objects_of(clean_sandbox, "pvc")}
    assert claims == {"airis-redis-pvc": "Bound", "ollama-volume-ollama-0": "Bound"}
    (budget,) = objects_of(clean_sandbox, "poddisruptionbudgets")
    assert (budget["metadata"]["name"], budget["status"]["expectedPods"]) == ("airis", 3)


def test_an_autoscaler_starts_the_pods_that_there_are_at_least(clean_sandbox: Sandbox) -> None:
    verdict = rehearsed(wanted(draw(webui=SCALED)), clean_sandbox)

    assert verdict.ok, verdict
    scaler = one(clean_sandbox, "horizontalpodautoscalers", "airis")
    assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (3, 6)
    # the sandbox measures nothing; what the autoscaler keeps to without any measure is the range
    clean_sandbox.kubectl.run(
        *("-n", "airis", "wait", "deployment/airis-deployment", "--for=jsonpath={.spec.replicas}=3", "--timeout=60s")
    )


def test_what_is_read_back_is_what_was_written(clean_sandbox: Sandbox) -> None:
    """What the server would rewrite shows as drift in every later diff."""
    objects = wanted(draw(webui=SCALED, network={"restrictEgress": True}))
    clean_sandbox.kubectl.apply(objects)

    kinds = {"StatefulSet", "Deployment", "HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy", "Service"}
    checked = [each for each in objects if each["kind"] in kinds]
    assert {each["kind"] for each in checked} == kinds
    for each in checked:
        stored = one(clean_sandbox, each["kind"], each["metadata"]["name"])
        assert unlike(each["spec"], stored["spec"], each["metadata"]["name"]) == []
