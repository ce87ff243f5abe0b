"""Settings of the Open WebUI front end."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, StrictBool, StrictInt

from settings.base import Broken, Settings
from settings.names import ImageReference
from settings.probes import ProbeSettings, ProbesSettings
from settings.secrets import SecretKeyRef
from settings.workload import ResourceAmounts, Resources, StorageSettings, WorkloadSettings


class ServiceSettings(Settings):
    """How the WebUI's Service is reached."""

    type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = "ClusterIP"
    """ClusterIP: inside the cluster only; NodePort: on a port of every node; LoadBalancer: on an address of its own."""
    node_port: Annotated[StrictInt, Field(ge=30000, le=32767)] | None = None
    """The port on every node, with type NodePort or LoadBalancer; null lets Kubernetes choose."""

    def rules(self) -> Iterator[Broken]:
        """A ClusterIP Service has no node port."""
        if self.node_port is not None and self.type == "ClusterIP":
            yield Broken("nodePort", self.node_port, "only with type NodePort or LoadBalancer", ("type",))


class DatabaseSettings(Settings):
    """A PostgreSQL database in place of the SQLite file on the volume."""

    url_from: SecretKeyRef | None = None
    """An existing Secret with the database's URL; null takes `airis:secrets.databaseUrl`."""


class RedisSettings(Settings):
    """Redis, which several WebUI pods need to share sessions and websockets."""

    url_from: SecretKeyRef | None = None
    """An existing Secret with the URL of Redis; null takes `airis:secrets.redisUrl`."""


class ObjectStorageSettings(Settings):
    """S3 or a compatible store for uploads, in place of the volume."""

    bucket: Annotated[str, Field(min_length=3, max_length=63)]
    """The bucket; it must exist."""
    region: str | None = None
    """Region of the bucket."""
    endpoint: str | None = None
    """URL of the store where it is not Amazon's."""
    access_key_id_from: SecretKeyRef | None = None
    """An existing Secret with the access key; null takes `airis:secrets.s3AccessKeyId`."""
    secret_access_key_from: SecretKeyRef | None = None
    """An existing Secret with the secret key; null takes `airis:secrets.s3SecretAccessKey`."""


class WebUISettings(WorkloadSettings):
    """The Open WebUI front end: one Deployment, its Service, its claim and, with a host, its Ingress."""

    image: ImageReference = "ghcr.io/airis/airis:main"
    """Container image, with a tag or a digest."""
    resources: Resources = Resources(
        requests=ResourceAmounts(cpu="500m", memory="500Mi", ephemeral_storage="100Mi"),
        limits=ResourceAmounts(cpu="1", memory="1Gi", ephemeral_storage="2Gi"),
    )
    """CPU and memory of each pod. The limit of 1Gi is tight: 765 MiB resident after start and a peak of 831 MiB were
    measured, without an embedding model. Give production 2Gi."""
    storage: StorageSettings = StorageSettings(size="2Gi")
    """The volume for chats, users, uploads and the database."""
    service: ServiceSettings = ServiceSettings()
    """The Service in front of the pods."""
    probes: ProbesSettings = ProbesSettings(
        startup=ProbeSettings(period_seconds=10, failure_threshold=60),
        liveness=ProbeSettings(period_seconds=30, timeout_seconds=10, failure_threshold=6),
    )
    """How patiently Kubernetes asks. The first start downloads and migrates: its budget is 10 minutes."""
    session_key_from: SecretKeyRef | None = None
    """An existing Secret with `WEBUI_SECRET_KEY`; null takes `airis:secrets.sessionKey`, or one generated once."""
    enable_persistent_config: StrictBool = True
    """Open WebUI's `ENABLE_PERSISTENT_CONFIG`. True: what administrators set in the browser is kept, and wins over the
    environment from the second start on. False: the environment always wins, and their changes are lost at a restart."""
    database: DatabaseSettings | None = None
    """PostgreSQL; null keeps SQLite on the volume."""
    redis: RedisSettings | None = None
    """Redis; null shares nothing between pods."""
    object_storage: ObjectStorageSettings | None = None
    """Object storage for uploads; null keeps them on the volume. Needs a database and `pgvector`: without a volume, neither
    SQLite nor chroma has a place."""
    vector_store: Literal["chroma", "pgvector"] = "chroma"
    """Where embeddings are kept: `chroma` in files on the volume, for one pod; `pgvector` in the PostgreSQL database."""
    rolling_updates: StrictBool = False
    """Whether a new pod starts before the old one stops. Two releases of Open WebUI must never serve one database, so this
    is only for changes that keep the release, and only where several pods may run."""

    @property
    def managed_env(self) -> frozenset[str]:
        """The variables that the component sets, whether or not these settings make it do so."""
        return frozenset(
            {
                "OLLAMA_BASE_URL",
                "OLLAMA_BASE_URLS",
                "WEBUI_SECRET_KEY",
                "ENABLE_PERSISTENT_CONFIG",
                "DATA_DIR",
                "STATIC_DIR",
                "HOME",
                "DATABASE_URL",
                "REDIS_URL",
                "WEBSOCKET_REDIS_URL",
                "WEBSOCKET_MANAGER",
                "ENABLE_WEBSOCKET_SUPPORT",
                "STORAGE_PROVIDER",
                "S3_ACCESS_KEY_ID",
                "S3_SECRET_ACCESS_KEY",
                "S3_ENDPOINT_URL",
                "S3_BUCKET_NAME",
                "S3_REGION_NAME",
                "VECTOR_DB",
            }
        )

    def rules(self) -> Iterator[Broken]:
        """What would lose data or mix two pods' work.

        Source: Open WebUI documentation, "Scaling" and "Multi-replica"; backend/open_webui/env.py.
        """
        yield from super().rules()
        missing = self._missing_for_several_pods()
        if self.replicas > 1 and missing:
            keys = ("database", "redis", "objectStorage", "storage.accessMode", "vectorStore")
            yield Broken("replicas", self.replicas, f"at most 1, or also set {'; '.join(missing)}", keys)
        if self.rolling_updates and missing:
            keys = ("database", "redis", "objectStorage", "storage.accessMode", "vectorStore")
            yield Broken("rollingUpdates", True, f"false, or also set {'; '.join(missing)}", keys)
        if self.object_storage is not None and self.database is None:
            allowed = "null, or also set database: without a volume the SQLite database would be lost with the pod"
            yield Broken("objectStorage", {"bucket": self.object_storage.bucket}, allowed, ("database",))
        if self.object_storage is not None and self.vector_store == "chroma":
            allowed = "pgvector, because objectStorage leaves no volume for chroma's files"
            yield Broken("vectorStore", self.vector_store, allowed, ("objectStorage",))
        if self.object_storage is not None and self.storage.existing_claim is not None:
            allowed = "null, because objectStorage takes the volume's place"
            yield Broken("storage.existingClaim", self.storage.existing_claim, allowed, ("objectStorage",))
        if self.vector_store == "pgvector" and self.database is None:
            yield Broken("vectorStore", self.vector_store, "chroma, or also set database", ("database",))

    def _missing_for_several_pods(self) -> list[str]:
        missing = []
        if self.database is None:
            missing.append("database (PostgreSQL)")
        if self.redis is None:
            missing.append("redis")
        if self.object_storage is None and self.storage.access_mode != "ReadWriteMany":
            missing.append("objectStorage, or storage.accessMode ReadWriteMany (the volume is now for one node)")
        if self.vector_store == "chroma":
            missing.append("vectorStore pgvector")
        return missing
