"""Settings of Redis: an existing server, or a small one that the stack deploys."""

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StrictBool, StrictFloat, StrictInt

from settings.pods.scheduling import SchedulingSettings
from settings.pods.workload import ResourceAmounts, Resources, StorageSettings
from settings.types.base import Broken, Settings
from settings.types.names import ImageReference
from settings.types.quantity import as_bytes
from settings.types.references import SecretKeyRef
from settings.types.servers import Port, ServerHost
from settings.types.variables import Value, Variable, VariableSettings

Seconds = Annotated[StrictInt | StrictFloat, Field(gt=0)]

IDLE_TIMEOUT_SECONDS = 1800
"""When the stack's Redis closes an idle connection. Source: Open WebUI documentation, "Redis"."""


class RedisServerSettings(SchedulingSettings):
    """A Redis server that the stack deploys: one pod, a generated password, and an append-only file on a volume.

    While it restarts, WebUI pods cannot share anything: for seconds on the same node, for minutes if the node is lost. If its
    volume is lost, only current sessions are lost: chats, users and files are stored elsewhere.
    """

    image: ImageReference = "valkey/valkey:8.1.5-alpine"
    """Container image of Valkey or Redis, with a tag or a digest. Valkey is a fork of Redis 7.2 under the BSD license, which
    Redis has not used since; Open WebUI's documentation uses Valkey too."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """Image pull policy; null for Kubernetes' default (Always for the tag `latest`, otherwise IfNotPresent)."""
    resources: Resources = Resources(
        requests=ResourceAmounts(cpu="100m", memory="128Mi", ephemeral_storage="10Mi"),
        limits=ResourceAmounts(cpu="1", memory="512Mi", ephemeral_storage="100Mi"),
    )
    """CPU and memory. Data may use three quarters of the memory limit; above that, Redis refuses writes."""
    storage: StorageSettings = StorageSettings(size="1Gi")
    """Volume for the append-only file."""

    @property
    def max_memory_bytes(self) -> int | None:
        """Maximum size of the data. The remaining quarter is for connections, and for the copy during a rewrite of the file."""
        limit = self.resources.limits.memory
        return None if limit is None else as_bytes(limit) * 3 // 4


class SentinelSettings(Settings):
    """Redis Sentinel, which locates the primary server. The host in the URL is then the name of the Sentinel service."""

    hosts: Annotated[
        tuple[ServerHost, ...],
        Field(min_length=1),
        Variable("REDIS_SENTINEL_HOSTS", separator=","),
        Variable("WEBSOCKET_SENTINEL_HOSTS", separator=","),
    ]
    """Hosts of the Sentinels."""
    port: Annotated[Port, Variable("REDIS_SENTINEL_PORT"), Variable("WEBSOCKET_SENTINEL_PORT")] = 26379
    """Port of the Sentinels."""
    max_retries: Annotated[StrictInt | None, Field(ge=1), Variable("REDIS_SENTINEL_MAX_RETRY_COUNT")] = None
    """How often a command is tried during a failover; null for Open WebUI's default (2)."""
    reconnect_delay_milliseconds: Annotated[StrictInt | None, Field(ge=0), Variable("REDIS_RECONNECT_DELAY")] = None
    """Delay between retries, in milliseconds; null for none."""

    def rules(self) -> Iterator[Broken]:
        """Open WebUI appends the port to each host, after a colon (open_webui/utils/redis.py)."""
        for index, host in enumerate(self.hosts):
            if ":" in host:
                yield Broken(f"hosts.{index}", host, "a name, or an IPv4 address")


class RedisSettings(VariableSettings):
    """Redis, through which several WebUI pods share sessions and websockets."""

    DERIVED: ClassVar = frozenset({"ENABLE_WEBSOCKET_SUPPORT", "WEBSOCKET_MANAGER", "REDIS_HEALTH_CHECK_INTERVAL"})

    url_from: Annotated[SecretKeyRef | None, Variable("REDIS_URL"), Variable("WEBSOCKET_REDIS_URL")] = None
    """Reference to an existing Secret with the Redis URL; null uses `airis:secrets.redisUrl`, or the URL of `bundled`."""
    bundled: RedisServerSettings | None = None
    """Deploy a Redis server in the stack, instead of using a URL; null for none."""
    sentinel: SentinelSettings | None = None
    """Redis Sentinel; null for a server with a fixed URL."""
    cluster: Annotated[StrictBool | None, Variable("REDIS_CLUSTER"), Variable("WEBSOCKET_REDIS_CLUSTER")] = None
    """Use Redis Cluster mode."""
    key_prefix: Annotated[str | None, Field(min_length=1), Variable("REDIS_KEY_PREFIX")] = None
    """Prefix of all keys; null for `open-webui`. Installations that share one Redis need different prefixes."""
    connect_timeout_seconds: Annotated[Seconds | None, Variable("REDIS_SOCKET_CONNECT_TIMEOUT")] = None
    """Timeout for establishing a connection; null for the operating system's timeout."""
    timeout_seconds: Annotated[Seconds | None, Variable("REDIS_SOCKET_TIMEOUT")] = None
    """Timeout of a response; null for none. Does not apply to websockets."""
    keepalive: Annotated[StrictBool | None, Variable("REDIS_SOCKET_KEEPALIVE")] = None
    """Use TCP keepalive to detect dead connections; null for Open WebUI's default (false)."""
    health_check_interval_seconds: Annotated[StrictInt | None, Field(ge=1), Variable("REDIS_HEALTH_CHECK_INTERVAL")] = (
        None
    )
    """Idle time after which a connection is checked before use; must be shorter than the server's idle timeout. Null for never,
    or for 60 with `bundled`, which closes idle connections after 1800."""

    def derived(self) -> Mapping[str, Value]:
        """Websockets use Redis if this section is set."""
        check = self.bundled is not None and self.health_check_interval_seconds is None
        return {
            "ENABLE_WEBSOCKET_SUPPORT": "True",
            "WEBSOCKET_MANAGER": "redis",
            **({"REDIS_HEALTH_CHECK_INTERVAL": "60"} if check else {}),
        }

    def rules(self) -> Iterator[Broken]:
        """One Redis, of one kind."""
        if self.bundled is not None:
            url, sentinel = self.url_from, self.sentinel
            for key, shown in (
                ("urlFrom", url and {"name": url.name}),
                ("sentinel", sentinel and {"hosts": list(sentinel.hosts)}),
                ("cluster", self.cluster or None),
            ):
                if shown is not None:
                    yield Broken(key, shown, "null, because bundled is a single server", ("bundled",))
            interval = self.health_check_interval_seconds
            if interval is not None and interval >= IDLE_TIMEOUT_SECONDS:
                allowed = f"less than {IDLE_TIMEOUT_SECONDS}, the idle timeout of the bundled Redis"
                yield Broken("healthCheckIntervalSeconds", interval, allowed, ("bundled",))
        elif self.cluster and self.sentinel is not None:
            yield Broken("cluster", True, "one of this and sentinel, not both", ("sentinel",))
