"""Settings of Redis: one that exists already, or a small one of the stack's own."""

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
"""After what time the stack's own Redis closes an idle connection. Source: Open WebUI documentation, "Redis"."""


class RedisServerSettings(SchedulingSettings):
    """A Redis of the stack's own: one pod, a password that is generated once, and a log of every change on a volume.

    While it restarts, the WebUI cannot share anything between pods: seconds on the same node, minutes after one is lost.
    What is lost with its volume are sessions of the moment: chats, users and files are elsewhere.
    """

    image: ImageReference = "valkey/valkey:8.1.5-alpine"
    """Container image, with a tag or a digest: Valkey's, or Redis' own. Valkey is the same server under the BSD licence, which
    Redis left after 7.2; Open WebUI's documentation uses it too."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """When the image is pulled; null leaves it to Kubernetes (Always for the tag `latest`, else IfNotPresent)."""
    resources: Resources = Resources(
        requests=ResourceAmounts(cpu="100m", memory="128Mi", ephemeral_storage="10Mi"),
        limits=ResourceAmounts(cpu="1", memory="512Mi", ephemeral_storage="100Mi"),
    )
    """CPU and memory. Three quarters of the memory limit are for data; above that, Redis refuses to write."""
    storage: StorageSettings = StorageSettings(size="1Gi")
    """The volume for the log of changes."""

    @property
    def max_memory_bytes(self) -> int | None:
        """How much data there may be. The last quarter is for connections, and for the copy while the log is rewritten."""
        limit = self.resources.limits.memory
        return None if limit is None else as_bytes(limit) * 3 // 4


class SentinelSettings(Settings):
    """Redis Sentinel, which says which server is the primary one. The URL's host is then the name of that service."""

    hosts: Annotated[
        tuple[ServerHost, ...],
        Field(min_length=1),
        Variable("REDIS_SENTINEL_HOSTS", separator=","),
        Variable("WEBSOCKET_SENTINEL_HOSTS", separator=","),
    ]
    """The Sentinels."""
    port: Annotated[Port, Variable("REDIS_SENTINEL_PORT"), Variable("WEBSOCKET_SENTINEL_PORT")] = 26379
    """Port of each of them."""
    max_retries: Annotated[StrictInt | None, Field(ge=1), Variable("REDIS_SENTINEL_MAX_RETRY_COUNT")] = None
    """How often a command is tried while the primary changes; null leaves it to Open WebUI (2)."""
    reconnect_delay_milliseconds: Annotated[StrictInt | None, Field(ge=0), Variable("REDIS_RECONNECT_DELAY")] = None
    """Pause between these attempts, in milliseconds; null for none."""

    def rules(self) -> Iterator[Broken]:
        """Open WebUI adds the port to each by a colon (open_webui/utils/redis.py)."""
        for index, host in enumerate(self.hosts):
            if ":" in host:
                yield Broken(f"hosts.{index}", host, "a name, or an IPv4 address")


class RedisSettings(VariableSettings):
    """Redis, which several WebUI pods need to share sessions and websockets."""

    DERIVED: ClassVar = frozenset({"ENABLE_WEBSOCKET_SUPPORT", "WEBSOCKET_MANAGER", "REDIS_HEALTH_CHECK_INTERVAL"})

    url_from: Annotated[SecretKeyRef | None, Variable("REDIS_URL"), Variable("WEBSOCKET_REDIS_URL")] = None
    """An existing Secret with the URL of Redis; null takes `airis:secrets.redisUrl`, or the one of the stack's own."""
    bundled: RedisServerSettings | None = None
    """A Redis of the stack's own, in place of a URL; null for none."""
    sentinel: SentinelSettings | None = None
    """Redis Sentinel; null for a server that is always at its URL."""
    cluster: Annotated[StrictBool | None, Variable("REDIS_CLUSTER"), Variable("WEBSOCKET_REDIS_CLUSTER")] = None
    """Whether the URL leads to a Redis Cluster."""
    key_prefix: Annotated[str | None, Field(min_length=1), Variable("REDIS_KEY_PREFIX")] = None
    """Beginning of every key; null for `open-webui`. Two installations on one Redis need different ones."""
    connect_timeout_seconds: Annotated[Seconds | None, Variable("REDIS_SOCKET_CONNECT_TIMEOUT")] = None
    """For how long a connection may take; null for as long as the system waits."""
    timeout_seconds: Annotated[Seconds | None, Variable("REDIS_SOCKET_TIMEOUT")] = None
    """For how long an answer may take; null for ever. Websockets wait without an end whatever this is."""
    keepalive: Annotated[StrictBool | None, Variable("REDIS_SOCKET_KEEPALIVE")] = None
    """Whether TCP keepalive finds dead connections; null leaves it to Open WebUI (no)."""
    health_check_interval_seconds: Annotated[StrictInt | None, Field(ge=1), Variable("REDIS_HEALTH_CHECK_INTERVAL")] = (
        None
    )
    """After what time an idle connection is tried before it is used: less than the server's own timeout. Null for never, or
    for 60 with a Redis of the stack's own, which closes idle connections after 1800."""

    def derived(self) -> Mapping[str, Value]:
        """Websockets are shared as soon as there is a Redis to share them."""
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
                    yield Broken(key, shown, "null: bundled is one Redis at one place", ("bundled",))
            interval = self.health_check_interval_seconds
            if interval is not None and interval >= IDLE_TIMEOUT_SECONDS:
                allowed = f"less than {IDLE_TIMEOUT_SECONDS}, when the bundled Redis closes the connection"
                yield Broken("healthCheckIntervalSeconds", interval, allowed, ("bundled",))
        elif self.cluster and self.sentinel is not None:
            yield Broken("cluster", True, "one of this and sentinel, not both", ("sentinel",))
