"""The HorizontalPodAutoscaler, and the requirements of several pods."""

from typing import Any

import pytest

from tests.unit.conftest import Refuse
from tests.unit.drawing import draw_once, env, manifest, names

pytestmark = pytest.mark.timeout(60)

REFERENCE = {"name": "a", "key": "b"}
SHARED: dict[str, Any] = {
    "database": {"urlFrom": REFERENCE},
    "redis": {"bundled": {}},
    "vectorStore": "pgvector",
    "objectStorage": {"bucket": "files", "workloadIdentity": True},
}
SHARED_TEXT = (
    "database: {urlFrom: {name: a, key: b}}, redis: {bundled: {}}, vectorStore: pgvector, "
    "objectStorage: {bucket: files, workloadIdentity: true}"
)


def deployment(**webui: object) -> Any:
    return manifest(draw_once(webui={**SHARED, **webui}), "Deployment", "airis-deployment")


def spec(**autoscaling: object) -> Any:
    drawn = draw_once(webui={**SHARED, "autoscaling": autoscaling})
    return manifest(drawn, "HorizontalPodAutoscaler", "airis")["spec"]


def metric(name: str, percent: int) -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": name, "target": target}}


def test_no_autoscaler_with_a_fixed_number_of_replicas() -> None:
    for drawn in (draw_once(), draw_once(webui={**SHARED, "replicas": 3})):
        assert names(drawn, "HorizontalPodAutoscaler") == []


def test_with_an_autoscaler_the_deployment_sets_no_replicas() -> None:
    drawn = draw_once(webui={**SHARED, "autoscaling": {"minReplicas": 3, "maxReplicas": 9}})
    scaler = manifest(drawn, "HorizontalPodAutoscaler", "airis")
    assert scaler["apiVersion"] == "autoscaling/v2"
    assert scaler["spec"] == {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "airis-deployment"},
        "minReplicas": 3,
        "maxReplicas": 9,
        "metrics": [metric("cpu", 70)],
    }
    assert "replicas" not in manifest(drawn, "Deployment", "airis-deployment")["spec"]


@pytest.mark.parametrize(
    ("settings", "metrics"),
    [
        ({"cpuPercent": 50}, [metric("cpu", 50)]),
        ({"memoryPercent": 80}, [metric("cpu", 70), metric("memory", 80)]),
        ({"cpuPercent": None, "memoryPercent": 80}, [metric("memory", 80)]),
    ],
)
def test_metrics_of_the_autoscaler(settings: dict[str, Any], metrics: list[Any]) -> None:
    found = spec(maxReplicas=4, **settings)
    assert found["metrics"] == metrics
    assert (found["minReplicas"], found["maxReplicas"]) == (2, 4)


def test_zero_replicas_pause_the_autoscaler() -> None:
    """The autoscaler does not change a workload with `replicas: 0`."""
    assert deployment(replicas=0, autoscaling={"maxReplicas": 4})["spec"]["replicas"] == 0


@pytest.mark.parametrize(("least", "budgets"), [(1, []), (2, ["airis"])])
def test_the_disruption_budget_depends_on_min_replicas(least: int, budgets: list[str]) -> None:
    drawn = draw_once(webui={**SHARED, "autoscaling": {"minReplicas": least, "maxReplicas": 4}})
    assert names(drawn, "PodDisruptionBudget") == budgets


def test_a_paused_autoscaler_has_no_disruption_budget() -> None:
    assert (
        names(draw_once(webui={**SHARED, "replicas": 0, "autoscaling": {"maxReplicas": 4}}), "PodDisruptionBudget")
        == []
    )


@pytest.mark.parametrize(
    ("webui", "threads"),
    [
        ({}, None),
        ({"replicas": 0}, None),
        ({"replicas": 2}, "2000"),
        ({"autoscaling": {"maxReplicas": 4}}, "2000"),
        ({"autoscaling": {"minReplicas": 1, "maxReplicas": 1}}, None),
        ({"replicas": 2, "threadPoolSize": 100}, "100"),
        ({"threadPoolSize": 100}, "100"),
    ],
)
def test_several_pods_get_more_threads(webui: dict[str, Any], threads: str | None) -> None:
    assert env(deployment(**webui)).get("THREAD_POOL_SIZE") == threads


def test_the_interval_of_activity_updates_is_set() -> None:
    name = "DATABASE_USER_ACTIVE_STATUS_UPDATE_INTERVAL"
    assert name not in env(
        deployment(replicas=2)
    )  # the default is 60 s; after 180 s without an update, a user appears inactive
    assert env(deployment(activeStatusIntervalSeconds=120))[name] == "120"


def test_autoscaling_to_one_pod_requires_no_shared_state() -> None:
    drawn = draw_once(webui={"autoscaling": {"minReplicas": 1, "maxReplicas": 1}})
    assert names(drawn, "HorizontalPodAutoscaler") == ["airis"]


MISSING = (
    "database (PostgreSQL); redis; objectStorage, or storage.accessMode ReadWriteMany (the volume is now limited to one node); "
    "vectorStore pgvector, or another server"
)


@pytest.mark.parametrize(
    ("webui", "key", "given", "allowed"),
    [
        ("autoscaling: {maxReplicas: 2}", "autoscaling.maxReplicas", "2", f"at most 1, or also set {MISSING}"),
        (
            f"{SHARED_TEXT}, replicas: 3, autoscaling: {{maxReplicas: 4}}",
            "replicas",
            "3",
            "1, because autoscaling sets the number; or 0 to pause",
        ),
        (
            f"{SHARED_TEXT}, autoscaling: {{minReplicas: 3, maxReplicas: 2}}",
            "autoscaling.maxReplicas",
            "2",
            "at least minReplicas, 3",
        ),
        (
            f"{SHARED_TEXT}, autoscaling: {{maxReplicas: 2, cpuPercent: null}}",
            "autoscaling.cpuPercent",
            "null",
            "a percentage, or set memoryPercent",
        ),
        (
            f"{SHARED_TEXT}, autoscaling: {{maxReplicas: 2, cpuPercent: 0}}",
            "autoscaling.cpuPercent",
            "0",
            "a whole number, at least 1",
        ),
        (f"{SHARED_TEXT}, autoscaling: {{}}", "autoscaling.maxReplicas", "nothing", "a value: this key is required"),
        (
            f"{SHARED_TEXT}, resources: {{requests: {{cpu: null}}}}, autoscaling: {{maxReplicas: 2}}",
            "autoscaling.cpuPercent",
            "70 (the default)",
            "null, or also set resources.requests.cpu, which it is a percentage of",
        ),
        (
            f"{SHARED_TEXT}, resources: {{requests: {{memory: null}}}}, autoscaling: {{maxReplicas: 2, memoryPercent: 80}}",
            "autoscaling.memoryPercent",
            "80",
            "null, or also set resources.requests.memory, which it is a percentage of",
        ),
    ],
)
def test_invalid_settings_are_refused(webui: str, key: str, given: str, allowed: str, refuse: Refuse) -> None:
    assert refuse(f"airis:webui: {{{webui}}}") == (
        "Pulumi.test.yaml: 1 setting is wrong. Nothing was changed.\n"
        f"  airis:webui.{key}\n"
        f"    given    {given}\n"
        f"    allowed  {allowed}"
    )
