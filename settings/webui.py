"""Settings of the Open WebUI front end."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import StrictBool

from settings.auth import AuthSettings
from settings.base import Broken
from settings.connections import ConnectionsSettings
from settings.names import ImageReference
from settings.observability import LoggingSettings, TelemetrySettings
from settings.probes import ProbeSettings, ProbesSettings
from settings.references import SecretKeyRef
from settings.service import ServiceSettings
from settings.state import DatabaseSettings, ObjectStorageSettings, RedisSettings
from settings.variables import Variable, declared
from settings.workload import ResourceAmounts, Resources, StorageSettings, WorkloadSettings

_FOLLOWING = {
    "CORS_ALLOW_ORIGIN": "airis:ingress",
    "DATA_DIR": "the image",
    "HOME": "the image",
    "HTTPS_PROXY": "airis:proxy",
    "HTTP_PROXY": "airis:proxy",
    "NO_PROXY": "airis:proxy",
    "OLLAMA_BASE_URL": "Ollama's Service",
    "OLLAMA_BASE_URLS": "Ollama's Service",
    "REQUESTS_CA_BUNDLE": "airis:caBundle",
    "SSL_CERT_FILE": "airis:caBundle",
    "STATIC_DIR": "the image",
    "WEBUI_AUTH_COOKIE_SECURE": "airis:ingress",
    "WEBUI_SESSION_COOKIE_SECURE": "airis:ingress",
    "WEBUI_URL": "airis:ingress",
}
"""Variables of Open WebUI that follow from more than its own settings, and from what: folders, addresses, ways in and out."""


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
    session_key_from: Annotated[SecretKeyRef | None, Variable("WEBUI_SECRET_KEY")] = None
    """An existing Secret with `WEBUI_SECRET_KEY`; null takes `airis:secrets.sessionKey`, or one generated once."""
    enable_persistent_config: Annotated[StrictBool, Variable("ENABLE_PERSISTENT_CONFIG")] = True
    """Open WebUI's `ENABLE_PERSISTENT_CONFIG`. True: what administrators set in the browser is kept, and wins over the
    environment from the second start on. False: the environment always wins, and their changes are lost at a restart."""
    auth: AuthSettings = AuthSettings()
    """Who may sign in, and how."""
    connections: ConnectionsSettings = ConnectionsSettings()
    """The servers that the WebUI works with, beside the stack's own Ollama."""
    logging: LoggingSettings = LoggingSettings()
    """What the WebUI writes to its log."""
    telemetry: TelemetrySettings | None = None
    """OpenTelemetry; null sends nothing."""
    database: DatabaseSettings | None = None
    """PostgreSQL; null keeps SQLite on the volume."""
    redis: RedisSettings | None = None
    """Redis; null shares nothing between pods."""
    object_storage: ObjectStorageSettings | None = None
    """Object storage for uploads; null keeps them on the volume. Needs a database and `pgvector`: without a volume, neither
    SQLite nor chroma has a place."""
    vector_store: Annotated[Literal["chroma", "pgvector"], Variable("VECTOR_DB")] = "chroma"
    """Where embeddings are kept: `chroma` in files on the volume, for one pod; `pgvector` in the PostgreSQL database."""
    rolling_updates: StrictBool = False
    """Whether a new pod starts before the old one stops. Two releases of Open WebUI must never serve one database, so this
    is only for changes that keep the release, and only where several pods may run."""

    @property
    def managed_env(self) -> Mapping[str, str]:
        """The variables that the component sets, whether or not these settings make it do so, and what decides on them."""
        return {**declared(type(self), "airis:webui"), **_FOLLOWING}

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
