"""A small Redis that the stack deploys, for state that WebUI pods share."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.apps.v1 import StatefulSet, StatefulSetSpecArgs
from pulumi_kubernetes.core.v1 import (
    ContainerArgs,
    ContainerPortArgs,
    ExecActionArgs,
    KeyToPathArgs,
    ProbeArgs,
    Secret,
    SecretKeySelectorArgs,
    SecretVolumeSourceArgs,
    Service,
    ServicePortArgs,
    ServiceSpecArgs,
    TCPSocketActionArgs,
    VolumeArgs,
)

from components import pod
from components.account import service_account
from components.claim import data_claim
from components.generated import generated
from components.metadata import SKIP_AWAIT, Place, labels, selector
from components.network import pods, policy
from components.scheduling import placement
from settings.platform.platform import PlatformSettings
from settings.state.redis import IDLE_TIMEOUT_SECONDS, RedisServerSettings

PORT = 6379
DATA_PATH = "/data"

_PORT_NAME = "redis"
_MAX_CLIENTS = 10000
_DATA = "redis-volume"
_CONFIG = "redis-config"
_CONFIG_PATH = "/etc/airis/redis"
_CONFIG_FILE = "password.conf"
_PING = "$(command -v valkey-cli || command -v redis-cli) -h 127.0.0.1 -e ping"
"""Without -e, the client treats every response as a success: a missing password, and data that is still being loaded."""


@dataclass(frozen=True)
class RedisConnection:
    """How pods connect to the stack's Redis."""

    url: SecretKeySelectorArgs
    """Reference to its URL, which includes the password."""
    pods: Mapping[str, str]
    """The labels of its pods."""
    checksum: pulumi.Output[str]
    """Changes with the URL, and reveals nothing about it."""


class Redis(pulumi.ComponentResource):
    """Redis as a StatefulSet `<name>` of one pod, with two Services, a claim and a Secret.

    These are a headless Service `<name>`, a Service `<name>-service`, a claim `<name>-pvc` and a Secret `<name>-secrets` with a
    password that is generated once.

    `name` names the objects and is the value of their `app` label. `namespace` must exist. `callers` are labels of the pods
    that may connect to it. `platform` has the settings that all workloads share.
    """

    connection: RedisConnection

    def __init__(
        self,
        name: str,
        settings: RedisServerSettings | None = None,
        *,
        namespace: pulumi.Input[str],
        callers: Sequence[Mapping[str, str]] = (),
        platform: PlatformSettings | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("airis:components:Redis", name, None, opts)
        settings = settings or RedisServerSettings()
        platform = platform or PlatformSettings()
        place = Place(namespace, labels(name, "redis"), self, platform)
        existing = settings.storage.existing_claim
        claim = existing or data_claim(f"{name}-pvc", settings.storage, place).metadata.name
        headless = _service(name, name, place, headless=True)
        service = _service(f"{name}-service", name, place)
        password = generated(f"{name}-password", place)
        host = pulumi.Output.format(
            "{0}.{1}.svc.{2}", service.metadata.name, service.metadata.namespace, platform.cluster_domain
        )
        secret = Secret(
            f"{name}-secrets",
            metadata=place.metadata(f"{name}-secrets"),
            string_data={
                "password": password,
                "url": pulumi.Output.format("redis://:{0}@{1}:{2}/0", password, host, PORT),
                # A file, because arguments are readable by every process
                _CONFIG_FILE: pulumi.Output.format("requirepass {0}\n", password),
            },
            opts=place.opts,
        )
        checksum = pulumi.Output.unsecret(password.apply(lambda value: hashlib.sha256(value.encode()).hexdigest()[:16]))
        StatefulSet(
            name,
            metadata=place.metadata(name),
            spec=StatefulSetSpecArgs(
                service_name=headless.metadata.name,
                replicas=1,
                selector=selector(name),
                template=pod.template(
                    place,
                    containers=[_container(name, settings, secret, place)],
                    volumes=[
                        pod.claimed(_DATA, claim),
                        VolumeArgs(
                            name=_CONFIG,
                            secret=SecretVolumeSourceArgs(
                                secret_name=secret.metadata.name,
                                items=[KeyToPathArgs(key=_CONFIG_FILE, path=_CONFIG_FILE)],
                            ),
                        ),
                    ],
                    annotations={"airis.dev/secrets-checksum": checksum},
                    service_account_name=service_account(name, place),
                    **placement(settings, name),
                ),
            ),
            opts=pulumi.ResourceOptions(parent=self, custom_timeouts=place.ready_timeouts),
        )
        if platform.network.policies:
            # sealed, because Redis can be made to replicate to another server
            known = [pods(each) for each in callers]
            policy(name, platform.network, port=PORT, callers=known, sealed=True, place=place)
        self.connection = RedisConnection(
            SecretKeySelectorArgs(name=secret.metadata.name, key="url"), {"app": name}, checksum
        )
        self.register_outputs({})


def arguments(settings: RedisServerSettings) -> list[str]:
    """Arguments of the server. Source: Open WebUI documentation, "Redis", and redis.conf.

    Nothing is evicted to free memory (`noeviction`): an evicted session would sign a user out. Each change is on disk within a
    second, and there are no snapshots in addition.
    """
    memory = settings.max_memory_bytes
    options = {
        "port": str(PORT),
        "dir": DATA_PATH,
        "maxclients": str(_MAX_CLIENTS),
        "timeout": str(IDLE_TIMEOUT_SECONDS),
        "maxmemory": str(memory or 0),
        "maxmemory-policy": "noeviction",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
    }
    # Before a configuration file, the images' entrypoint inserts the server's command: valkey-server, or redis-server
    return [f"{_CONFIG_PATH}/{_CONFIG_FILE}", *(part for key, value in options.items() for part in (f"--{key}", value))]


def _container(name: str, settings: RedisServerSettings, secret: Secret, place: Place) -> ContainerArgs:
    password = SecretKeySelectorArgs(name=secret.metadata.name, key="password")
    container = pod.container(
        place,
        name,
        settings.image,
        image_pull_policy=settings.image_pull_policy,
        args=arguments(settings),
        environment=pod.env({"REDISCLI_AUTH": password}),
        resources=pod.resources(settings.resources),
        # Loading a long append-only file may take minutes
        startup_probe=_probe(period_seconds=2, failure_threshold=150),
        readiness_probe=_probe(period_seconds=10, failure_threshold=3),
        # Differs from the readiness probe: a server that loads its append-only file answers a ping with an error
        liveness_probe=ProbeArgs(
            tcp_socket=TCPSocketActionArgs(port=_PORT_NAME), period_seconds=30, timeout_seconds=5, failure_threshold=4
        ),
        mounts={_DATA: DATA_PATH, _CONFIG: _CONFIG_PATH},
    )
    # Service meshes detect the protocol by this name: with `http`, they would treat Redis' protocol as a malformed request
    container.ports = [ContainerPortArgs(name=_PORT_NAME, container_port=PORT)]
    return container


def _probe(*, period_seconds: int, failure_threshold: int) -> ProbeArgs:
    return ProbeArgs(
        exec_=ExecActionArgs(command=["sh", "-c", _PING]),
        period_seconds=period_seconds,
        timeout_seconds=5,
        failure_threshold=failure_threshold,
    )


def _service(name: str, app: str, place: Place, *, headless: bool = False) -> Service:
    return Service(
        name,
        metadata=place.metadata(name, SKIP_AWAIT),
        spec=ServiceSpecArgs(
            cluster_ip="None" if headless else None,
            selector={"app": app},
            ports=[ServicePortArgs(name=_PORT_NAME, port=PORT, target_port=PORT, protocol="TCP")],
        ),
        opts=place.opts,
    )
