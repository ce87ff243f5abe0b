"""Redis: an existing one of any topology, or the stack's own: small, isolated, configured as Open WebUI needs."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from airis.render import program
from airis.render.program import Secret
from tests.unit.conftest import Refuse
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
    stack_of,
    values,
)

pytestmark = pytest.mark.timeout(60)

REFERENCE = {"name": "a", "key": "b"}
R = "{name: a, key: b}"


def bundled(**settings: object) -> program.Rendering:
    return draw_once(webui={"redis": {"bundled": settings}})


def server(**settings: object) -> Mapping[str, Any]:
    return manifest(bundled(**settings), "StatefulSet", "airis-redis")


def options(**settings: object) -> dict[str, str]:
    """Arguments of the server, without the file."""
    file, *rest = container(server(**settings))["args"]
    assert file == "/etc/airis/redis/password.conf"
    return dict(zip(rest[::2], rest[1::2], strict=True))


def webui(**redis: object) -> dict[str, Any]:
    return env(manifest(draw_once(webui={"redis": redis}), "Deployment", "airis-deployment"))


# The stack's Redis


def test_redis_is_one_pod_with_services_claim_and_secret() -> None:
    drawn = bundled()
    stateful = server()
    assert stateful["spec"]["replicas"] == 1
    assert stateful["spec"]["serviceName"] == "airis-redis"
    assert manifest(drawn, "Service", "airis-redis")["spec"]["clusterIP"] == "None"
    front = manifest(drawn, "Service", "airis-redis-service")["spec"]
    assert "clusterIP" not in front
    assert front["selector"] == {"app": "airis-redis"}
    assert front["ports"] == [{"name": "redis", "port": 6379, "targetPort": 6379, "protocol": "TCP"}]
    assert container(stateful)["ports"] == [{"name": "redis", "containerPort": 6379}]
    assert names(drawn, "PodDisruptionBudget") == []  # for one pod, it would only block node drains


def test_no_redis_by_default() -> None:
    for drawn in (draw_once(), draw_once(webui={"redis": {"urlFrom": REFERENCE}})):
        assert [each.name for each in drawn.objects if "redis" in each.name] == []
        annotations = manifest(drawn, "Deployment", "airis-deployment")["spec"]["template"]["metadata"]["annotations"]
        assert set(annotations) == {"airis.dev/secrets-checksum"}


def test_redis_is_configured_as_open_webui_documents() -> None:
    assert options() == {
        "--port": "6379",
        "--dir": "/data",
        "--maxclients": "10000",
        "--timeout": "1800",
        "--maxmemory": str(384 * 1024**2),
        "--maxmemory-policy": "noeviction",
        "--appendonly": "yes",
        "--appendfsync": "everysec",
        "--save": "",
    }


@pytest.mark.parametrize(("limit", "bytes_"), [("1Gi", 768 * 1024**2), ("2G", 1_500_000_000), (None, 0)])
def test_max_memory_is_derived_from_the_limit(limit: str | None, bytes_: int) -> None:
    assert options(resources={"limits": {"memory": limit}})["--maxmemory"] == str(bytes_)


def test_the_claim_is_protected_and_can_grow() -> None:
    drawn = bundled(storage={"size": "3Gi", "storageClass": "fast"})
    claim = find(drawn, "PersistentVolumeClaim", "airis-redis-pvc")
    assert (claim.protect, claim.retain) == (True, True)
    assert claim.manifest["spec"]["resources"]["requests"] == {"storage": "3Gi"}
    assert claim.manifest["spec"]["storageClassName"] == "fast"
    (mount,) = [each for each in container(server())["volumeMounts"] if each["mountPath"] == "/data"]
    (volume,) = [each for each in pod_spec(server())["volumes"] if each["name"] == mount["name"]]
    assert volume["persistentVolumeClaim"] == {"claimName": "airis-redis-pvc"}


def test_an_existing_claim_is_used() -> None:
    drawn = bundled(storage={"existingClaim": "sessions"})
    assert "airis-redis-pvc" not in names(drawn, "PersistentVolumeClaim")
    claims = list(values(pod_spec(manifest(drawn, "StatefulSet", "airis-redis")), "claimName"))
    assert claims == ["sessions"]


def test_the_pod_is_restricted_and_has_no_token() -> None:
    spec = pod_spec(server())
    assert spec["securityContext"]["runAsUser"] == 10001
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False  # otherwise, REDIS_PORT would be set to a URL
    assert spec["serviceAccountName"] == "airis-redis"
    context = container(server())["securityContext"]
    assert context["readOnlyRootFilesystem"] is True
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert manifest(bundled(), "ServiceAccount", "airis-redis")["automountServiceAccountToken"] is False


def test_the_liveness_probe_checks_the_tcp_port() -> None:
    assert container(server())["livenessProbe"]["tcpSocket"] == {"port": "redis"}


@pytest.mark.parametrize("probe", ["startupProbe", "readinessProbe"])
def test_the_probes_authenticate_and_fail_on_errors(probe: str) -> None:
    shell, flag, ping = container(server())[probe]["exec"]["command"]
    assert (shell, flag) == ("sh", "-c")
    assert ping.endswith("-e ping")
    assert "valkey-cli" in ping
    assert "redis-cli" in ping
    assert env(server())["REDISCLI_AUTH"] == {"secretKeyRef": {"name": "airis-redis-secrets", "key": "password"}}


def test_scheduling_and_resources_are_settings() -> None:
    settings = {
        "image": "redis:8.2.1-alpine",
        "imagePullPolicy": "Always",
        "priorityClass": "high",
        "resources": {"requests": {"cpu": "50m"}},
    }
    stateful = server(**settings)
    assert container(stateful)["image"] == "redis:8.2.1-alpine"
    assert container(stateful)["imagePullPolicy"] == "Always"
    assert container(stateful)["resources"]["requests"]["cpu"] == "50m"
    assert pod_spec(stateful)["priorityClassName"] == "high"


def test_the_image_is_pinned_and_comes_from_the_mirror() -> None:
    assert re.fullmatch(r"valkey/valkey:\d+\.\d+\.\d+-alpine", container(server())["image"])
    mirrored = draw_once(webui={"redis": {"bundled": {}}}, registry={"mirror": "registry.example.com/mirror"})
    image = container(manifest(mirrored, "StatefulSet", "airis-redis"))["image"]
    assert image == f"registry.example.com/mirror/{container(server())['image']}"


# The password


def secret_of(drawn: program.Rendering) -> dict[str, str]:
    data = manifest(drawn, "Secret", "airis-redis-secrets")["stringData"]
    assert isinstance(data, Secret)  # encrypted in Pulumi's state, hidden in its output
    return dict(data.value)


def test_the_password_is_random_valid_in_a_url_and_passed_by_reference() -> None:
    stack = stack_of(webui={"redis": {"bundled": {}}})
    drawn, other = (program.run(stack, generate_secrets=True) for _ in range(2))
    password = secret_of(drawn)["password"]
    assert re.fullmatch(r"[-_A-Za-z0-9]{64}", password)
    assert secret_of(other)["password"] != password
    assert secret_of(drawn) == {
        "password": password,
        "password.conf": f"requirepass {password}\n",
        "url": f"redis://:{password}@airis-redis-service.airis.svc.cluster.local:6379/0",
    }
    variables = env(manifest(drawn, "Deployment", "airis-deployment"))
    for name in ("REDIS_URL", "WEBSOCKET_REDIS_URL"):
        assert variables[name] == {"secretKeyRef": {"name": "airis-redis-secrets", "key": "url"}}
    for each in drawn.objects:
        if each.kind != "Secret":
            assert password not in str(each.manifest)


def test_the_password_is_in_a_file_and_not_in_the_arguments() -> None:
    spec = pod_spec(server())
    (volume,) = [each for each in spec["volumes"] if "secret" in each]
    assert volume["secret"] == {
        "secretName": "airis-redis-secrets",
        "items": [{"key": "password.conf", "path": "password.conf"}],
    }
    mounts = {each["name"]: each["mountPath"] for each in container(server())["volumeMounts"]}
    assert mounts[volume["name"]] == "/etc/airis/redis"
    assert "--requirepass" not in container(server())["args"]


def test_the_password_is_generated_once(registrations: list[Any]) -> None:
    draw(webui={"redis": {"bundled": {}}})
    stashes = {each.name: each for each in registrations if each.type == "pulumi:index:Stash"}
    assert set(stashes) == {"airis-redis-password", "airis-secrets-session-key"}
    stash = stashes["airis-redis-password"]
    assert list(stash.ignoreChanges) == ["input"]
    assert stash.protect


def test_another_password_restarts_both_workloads() -> None:
    stack = stack_of(webui={"redis": {"bundled": {}}})
    drawn, other = (program.run(stack, generate_secrets=True) for _ in range(2))

    def checksums(each: program.Rendering) -> tuple[str, str]:
        webui, redis = (
            manifest(each, kind, name)["spec"]["template"]["metadata"]["annotations"]
            for kind, name in (("Deployment", "airis-deployment"), ("StatefulSet", "airis-redis"))
        )
        return webui["airis.dev/redis-checksum"], redis["airis.dev/secrets-checksum"]

    one, same = checksums(drawn)
    assert one == same
    assert len(one) == 16
    assert one not in checksums(other)
    assert one not in secret_of(drawn)["password"]


def test_the_webui_depends_on_redis(registrations: list[Any]) -> None:
    draw(webui={"redis": {"bundled": {}}})
    (deployment,) = [each for each in registrations if each.type.endswith(":Deployment")]
    assert [urn for urn in deployment.dependencies if urn.endswith("StatefulSet::airis-redis")]


# Network policies


def test_only_the_webui_may_connect_and_redis_has_no_egress() -> None:
    spec = manifest(bundled(), "NetworkPolicy", "airis-redis")["spec"]
    assert spec["podSelector"] == {"matchLabels": {"app": "airis-redis"}}
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert spec["ingress"] == [
        {
            "from": [{"podSelector": {"matchLabels": {"app": "airis"}}}],
            "ports": [{"port": 6379, "protocol": "TCP"}],
        }
    ]
    assert spec.get("egress", []) == []


def test_the_webui_may_connect_with_restricted_egress() -> None:
    drawn = draw_once(webui={"redis": {"bundled": {}}}, network={"restrictEgress": True})
    to = [rule.get("to") for rule in manifest(drawn, "NetworkPolicy", "airis")["spec"]["egress"]]
    assert {"podSelector": {"matchLabels": {"app": "airis-redis"}}} in [peer for peers in to if peers for peer in peers]


def test_no_network_policy_if_policies_are_disabled() -> None:
    assert names(draw_once(webui={"redis": {"bundled": {}}}, network={"policies": False}), "NetworkPolicy") == []


def test_without_callers_no_pod_may_connect(tmp_path: Path) -> None:
    drawn = draw_program(
        tmp_path,
        """
        from components import Redis

        Redis("cache", namespace="apps")
        """,
    )
    assert manifest(drawn, "NetworkPolicy", "cache")["spec"].get("ingress", []) == []
    assert names(drawn, "Secret") == ["cache-secrets"]


# An existing Redis


def test_any_redis_enables_shared_websockets() -> None:
    for found in (webui(urlFrom=REFERENCE), webui(bundled={})):
        assert (found["WEBSOCKET_MANAGER"], found["ENABLE_WEBSOCKET_SUPPORT"]) == ("redis", "True")


def test_sentinel() -> None:
    sentinel = {"hosts": ["s-0.redis", "10.0.0.1"], "port": 26380, "maxRetries": 3, "reconnectDelayMilliseconds": 500}
    found = webui(urlFrom=REFERENCE, sentinel=sentinel)
    for name in ("REDIS_SENTINEL_HOSTS", "WEBSOCKET_SENTINEL_HOSTS"):
        assert found[name] == "s-0.redis,10.0.0.1"
    for name in ("REDIS_SENTINEL_PORT", "WEBSOCKET_SENTINEL_PORT"):
        assert found[name] == "26380"
    assert (found["REDIS_SENTINEL_MAX_RETRY_COUNT"], found["REDIS_RECONNECT_DELAY"]) == ("3", "500")
    assert "REDIS_CLUSTER" not in found


def test_cluster_prefix_and_timeouts() -> None:
    found = webui(
        urlFrom=REFERENCE,
        cluster=True,
        keyPrefix="chat",
        connectTimeoutSeconds=2.5,
        timeoutSeconds=5,
        keepalive=True,
        healthCheckIntervalSeconds=30,
    )
    assert {name: value for name, value in found.items() if name.startswith(("REDIS_", "WEBSOCKET_REDIS"))} == {
        "REDIS_URL": {"secretKeyRef": REFERENCE},
        "WEBSOCKET_REDIS_URL": {"secretKeyRef": REFERENCE},
        "REDIS_CLUSTER": "True",
        "WEBSOCKET_REDIS_CLUSTER": "True",
        "REDIS_KEY_PREFIX": "chat",
        "REDIS_SOCKET_CONNECT_TIMEOUT": "2.5",
        "REDIS_SOCKET_TIMEOUT": "5",
        "REDIS_SOCKET_KEEPALIVE": "True",
        "REDIS_HEALTH_CHECK_INTERVAL": "30",
    }


def test_idle_connections_are_checked_before_the_bundled_redis_closes_them() -> None:
    assert webui(bundled={})["REDIS_HEALTH_CHECK_INTERVAL"] == "60"
    assert webui(bundled={}, healthCheckIntervalSeconds=1799)["REDIS_HEALTH_CHECK_INTERVAL"] == "1799"
    assert "REDIS_HEALTH_CHECK_INTERVAL" not in webui(urlFrom=REFERENCE)


@pytest.mark.parametrize(
    ("redis", "key", "given", "allowed"),
    [
        (f"bundled: {{}}, urlFrom: {R}", "urlFrom", '{"name": "a"}', "null, because bundled is a single server"),
        ("bundled: {}, cluster: true", "cluster", "true", "null, because bundled is a single server"),
        (
            "bundled: {}, sentinel: {hosts: [s]}",
            "sentinel",
            '{"hosts": ["s"]}',
            "null, because bundled is a single server",
        ),
        (
            "bundled: {}, healthCheckIntervalSeconds: 1800",
            "healthCheckIntervalSeconds",
            "1800",
            "less than 1800, the idle timeout of the bundled Redis",
        ),
        (
            f"urlFrom: {R}, cluster: true, sentinel: {{hosts: [s]}}",
            "cluster",
            "true",
            "one of this and sentinel, not both",
        ),
        (
            f"urlFrom: {R}, sentinel: {{hosts: ['2001:db8::1']}}",
            "sentinel.hosts[0]",
            '"2001:db8::1"',
            "a name, or an IPv4 address",
        ),
        (f"urlFrom: {R}, sentinel: {{}}", "sentinel.hosts", "nothing", "a value: this key is required"),
        (
            "{}",
            "urlFrom",
            "null (the default)",
            "a reference to an existing Secret, or set airis:secrets.redisUrl (encrypted)",
        ),
        (
            "bundled: {resources: {requests: {memory: 1Gi}}}",
            "bundled.resources.requests.memory",
            '"1Gi"',
            "at most the limit, limits.memory = 512Mi",
        ),
    ],
)
def test_invalid_settings_are_refused(redis: str, key: str, given: str, allowed: str, refuse: Refuse) -> None:
    block = redis if redis == "{}" else f"{{{redis}}}"
    assert refuse(f"airis:webui: {{redis: {block}}}") == (
        "Pulumi.test.yaml: 1 setting is wrong. Nothing was changed.\n"
        f"  airis:webui.redis.{key}\n"
        f"    given    {given}\n"
        f"    allowed  {allowed}"
    )


def test_in_production_the_image_must_be_pinned(refuse: Refuse) -> None:
    said = refuse(
        """
        airis:production: true
        airis:webui: {image: 'airis:1.2.3', redis: {bundled: {image: 'valkey/valkey:8'}}}
        """
    )
    assert "airis:webui.redis.bundled.image" in said
