"""Settings of Open WebUI, the front end."""

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, get_args

from pydantic import Field, StrictBool, StrictInt

from settings.exposure.public_url import Origin
from settings.exposure.service import ServiceSettings
from settings.pods.autoscaling import AutoscalingSettings
from settings.pods.measured import EMBEDDINGS_ELSEWHERE, LOCAL_EMBEDDINGS, measured_warnings
from settings.pods.probes import ProbeSettings, ProbesSettings
from settings.pods.workload import ResourceAmounts, Resources, StorageSettings, WorkloadSettings
from settings.sign_in.auth import AuthSettings
from settings.state.database import DatabaseSettings, SqliteSettings
from settings.state.object_storage import ObjectStorageSettings
from settings.state.redis import RedisSettings
from settings.state.vectors import (
    ChromaSettings,
    ElasticsearchSettings,
    MilvusSettings,
    OpenSearchSettings,
    PgvectorSettings,
    QdrantSettings,
    VectorStore,
    WeaviateSettings,
    vector_store_rules,
)
from settings.types.base import Broken
from settings.types.names import AnnotationMapping, ImageReference
from settings.types.references import SecretKeyRef
from settings.types.releases import OPEN_WEBUI, unsupported_rules, unsupported_warnings
from settings.types.variables import Value, Variable, VariableSettings, declared
from settings.webui.connections import ConnectionsSettings
from settings.webui.observability import LoggingSettings, TelemetrySettings

_FOLLOWING = {
    "CORS_ALLOW_ORIGIN": "airis:webui.corsOrigins, airis:ingress and airis:gateway",
    "DATA_DIR": "the image",
    "ENABLE_OLLAMA_API": "airis:ollama.enabled and airis:webui.connections.ollamaUrls",
    "ELASTICSEARCH_CA_CERTS": "airis:caBundle",
    "HOME": "the image",
    "HTTPS_PROXY": "airis:proxy",
    "HTTP_PROXY": "airis:proxy",
    "MILVUS_SERVER_PEM_PATH": "airis:caBundle",
    "NO_PROXY": "airis:proxy",
    "OLLAMA_BASE_URL": "Ollama's Service",
    "OLLAMA_BASE_URLS": "Ollama's Service",
    "PGSSLROOTCERT": "airis:caBundle",
    "REQUESTS_CA_BUNDLE": "airis:caBundle",
    "SSL_CERT_FILE": "airis:caBundle",
    "STATIC_DIR": "the image",
    "WEBUI_AUTH_COOKIE_SECURE": "airis:webui.url, airis:ingress and airis:gateway",
    "WEBUI_SESSION_COOKIE_SECURE": "airis:webui.url, airis:ingress and airis:gateway",
    "WEBUI_URL": "airis:webui.url, airis:ingress and airis:gateway",
}
"""Variables that depend on more than the WebUI's own settings (directories, URLs, proxy), with what decides on each."""


_THREADS = 2000
"""Default threads of each pod if there are several pods. Source: Open WebUI documentation, "Scaling"."""


class WebUISettings(WorkloadSettings, VariableSettings):
    """Open WebUI, the front end: one Deployment, its Service, its PersistentVolumeClaim and, with a host, its Ingress."""

    DERIVED: ClassVar = frozenset({"THREAD_POOL_SIZE"})

    image: ImageReference = OPEN_WEBUI.image
    """Container image, with a tag or a digest."""
    resources: Resources = Resources(
        requests=ResourceAmounts(cpu="500m", memory="1Gi", ephemeral_storage="100Mi"),
        limits=ResourceAmounts(cpu="1", memory="2Gi", ephemeral_storage="2Gi"),
    )
    """CPU and memory of each pod. Measured with the embedding model that Open WebUI loads by default: 777 MiB after start, and
    1056 MiB while it indexes a document of 5 MiB. Without a local embedding model (`connections.embeddings`): 310 MiB after
    start."""
    storage: StorageSettings = StorageSettings(size="2Gi")
    """Volume for chats, users, uploads and the SQLite database."""
    service: ServiceSettings = ServiceSettings()
    """Service in front of the WebUI."""
    url: Origin | None = None
    """Public URL of the WebUI, such as `https://chat.example.com`, for links, OAuth and cookies. Null derives it from the first
    host of Ingress or Gateway. Set it if these do not determine the URL: with TLS termination in front of them, another port,
    wildcard hosts, or a load balancer. Sets `WEBUI_URL` and `CORS_ALLOW_ORIGIN`, and with https:// also
    `WEBUI_SESSION_COOKIE_SECURE` and `WEBUI_AUTH_COOKIE_SECURE`."""
    cors_origins: tuple[Origin, ...] = ()
    """Additional allowed origins, on top of `url` and the hosts. Open WebUI refuses websockets from all other origins. If no
    host, `url` or origin is set, it refuses none. `http://localhost:8080`, for `kubectl port-forward`, is added automatically
    if no URL is https."""
    probes: ProbesSettings = ProbesSettings(
        startup=ProbeSettings(period_seconds=10, failure_threshold=60),
        liveness=ProbeSettings(period_seconds=30, timeout_seconds=10, failure_threshold=6),
    )
    """Startup, readiness and liveness probes. The startup probe allows 10 minutes, because the first start downloads a model.
    Migrations run before it, without a time limit."""
    session_key_from: Annotated[SecretKeyRef | None, Variable("WEBUI_SECRET_KEY")] = None
    """Reference to an existing Secret with `WEBUI_SECRET_KEY`; null uses `airis:secrets.sessionKey`, or a key that is generated
    once."""
    enable_persistent_config: Annotated[StrictBool, Variable("ENABLE_PERSISTENT_CONFIG")] = True
    """Open WebUI's `ENABLE_PERSISTENT_CONFIG`. True: settings that administrators change in the browser are kept, and take
    precedence over the environment from the second start on. False: the environment always takes precedence, and changes in the
    browser are lost at a restart."""
    auth: AuthSettings = AuthSettings()
    """Authentication and sign-up."""
    connections: ConnectionsSettings = ConnectionsSettings()
    """Servers that the WebUI uses, in addition to the stack's Ollama."""
    logging: LoggingSettings = LoggingSettings()
    """Log level, log format and audit log."""
    telemetry: TelemetrySettings | None = None
    """OpenTelemetry; null disables it."""
    database: DatabaseSettings | None = None
    """PostgreSQL; null uses SQLite on the volume."""
    sqlite: SqliteSettings = SqliteSettings()
    """Memory that SQLite uses, without `database`."""
    redis: RedisSettings | None = None
    """Redis, which several pods require; null for none."""
    object_storage: ObjectStorageSettings | None = None
    """Object storage for uploads; null stores them on the volume. Requires `database` and a vector store other than Chroma's
    files: without a volume, neither SQLite nor Chroma can store its files."""
    vector_store: Annotated[VectorStore, Variable("VECTOR_DB")] = "chroma"
    """Vector store for embeddings: `chroma` stores files on the volume, for one pod, or uses the server in `chroma`; `pgvector`
    uses the PostgreSQL database; the others use a dedicated server, configured in the section of the same name. A change does
    not migrate embeddings: reindex the knowledge bases (Admin Settings, Documents)."""
    chroma: ChromaSettings | None = None
    """Chroma server, with `vectorStore: chroma`; null for files on the volume."""
    pgvector: PgvectorSettings | None = None
    """Options of pgvector, with `vectorStore: pgvector`."""
    qdrant: QdrantSettings | None = None
    """Qdrant server, with `vectorStore: qdrant`."""
    milvus: MilvusSettings | None = None
    """Milvus server, with `vectorStore: milvus`."""
    weaviate: WeaviateSettings | None = None
    """Weaviate server, with `vectorStore: weaviate`."""
    opensearch: OpenSearchSettings | None = None
    """OpenSearch server, with `vectorStore: opensearch`."""
    elasticsearch: ElasticsearchSettings | None = None
    """Elasticsearch server, with `vectorStore: elasticsearch`."""
    rolling_updates: StrictBool = False
    """Use rolling updates: a new pod starts before the old one stops. Two releases of Open WebUI must never use one database at
    the same time, so enable this only for changes that keep the release, and only if several pods are possible."""
    autoscaling: AutoscalingSettings | None = None
    """HorizontalPodAutoscaler, instead of `replicas`; null for a fixed number of pods. `replicas: 0` still pauses the
    workload."""
    thread_pool_size: Annotated[StrictInt | None, Field(ge=1), Variable("THREAD_POOL_SIZE")] = None
    """Threads of each pod for blocking work; null for 2000 with several pods, and otherwise for Open WebUI's default (40)."""
    active_status_interval_seconds: Annotated[
        StrictInt | None, Field(ge=0, lt=180), Variable("DATABASE_USER_ACTIVE_STATUS_UPDATE_INTERVAL")
    ] = None
    """How often a user's activity is recorded; 0 for never, null for Open WebUI's default (60). With 180 or more, active users
    would appear inactive."""
    service_account_annotations: AnnotationMapping = Field(default_factory=dict)
    """Annotations of the pods' ServiceAccount, for workload identity: `eks.amazonaws.com/role-arn`,
    `iam.gke.io/gcp-service-account`, `azure.workload.identity/client-id`."""

    @property
    def managed_env(self) -> Mapping[str, str]:
        """Variables that the component may set, with what decides on each."""
        return {**declared(type(self), "airis:webui"), **_FOLLOWING}

    @property
    def vectors_on_volume(self) -> bool:
        """Whether embeddings are files on the volume, for one pod."""
        return self.vector_store == "chroma" and self.chroma is None

    @property
    def one_process(self) -> bool:
        """Whether only one process may use the volume, because SQLite's or Chroma's files are on it."""
        return self.database is None or self.vectors_on_volume

    @property
    def min_pods(self) -> int:
        """The minimum number of pods."""
        return self.replicas if self.autoscaling is None or self.replicas == 0 else self.autoscaling.min_replicas

    @property
    def max_pods(self) -> int:
        """The maximum number of pods."""
        return self.replicas if self.autoscaling is None else self.autoscaling.max_replicas

    @property
    def others_take_over(self) -> bool:
        """Whether other pods take over when one stops."""
        return self.rolling_updates or self.max_pods > 1

    def warnings(self) -> Iterator[str]:
        """Settings that the image's release may not support, and resources below the measured ones."""
        kind = LOCAL_EMBEDDINGS if self.connections.embeddings is None else EMBEDDINGS_ELSEWHERE
        yield from measured_warnings("webui", self, kind)
        for key, text in unsupported_warnings(self, self.image, OPEN_WEBUI):
            yield f"airis:webui.{key}: {text}"

    def derived(self) -> Mapping[str, Value]:
        """More threads if there are several pods, and so presumably many users."""
        return {"THREAD_POOL_SIZE": str(_THREADS)} if self.thread_pool_size is None and self.max_pods > 1 else {}

    def rules(self) -> Iterator[Broken]:
        """Combinations that lose data, or let pods interfere with each other.

        Source: Open WebUI documentation, "Scaling" and "Multi-replica"; backend/open_webui/env.py.
        """
        yield from super().rules()
        yield from unsupported_rules(self, self.image, OPEN_WEBUI)
        yield from self.auth.open_to(self.service.type)
        missing = self._missing_for_several_pods()
        keys = ("database", "redis", "objectStorage", "storage.accessMode", "vectorStore", "chroma")
        also = f"or also set {'; '.join(missing)}"
        if self.replicas > 1 and missing:
            yield Broken("replicas", self.replicas, f"at most 1, {also}", keys)
        if self.rolling_updates and missing:
            yield Broken("rollingUpdates", True, f"false, {also}", keys)
        if self.autoscaling is not None:
            yield from self._autoscaling_rules(self.autoscaling, also if missing else "", keys)
        if self.object_storage is not None and self.database is None:
            allowed = "null, or also set database: without a volume the SQLite database would be lost with the pod"
            yield Broken("objectStorage", dict(self.object_storage.where), allowed, ("database",))
        if self.object_storage is not None and self.vectors_on_volume:
            allowed = "pgvector or another server, because objectStorage leaves no volume for chroma's files"
            yield Broken("vectorStore", self.vector_store, allowed, ("objectStorage", "chroma"))
        if self.object_storage is not None and self.storage.existing_claim is not None:
            allowed = "null, because objectStorage replaces the volume"
            yield Broken("storage.existingClaim", self.storage.existing_claim, allowed, ("objectStorage",))
        yield from vector_store_rules(self.vector_store, {name: getattr(self, name) for name in get_args(VectorStore)})
        own_vectors = self.pgvector is not None and self.pgvector.url_from is not None
        if self.vector_store == "pgvector" and self.database is None and not own_vectors:
            yield Broken("vectorStore", self.vector_store, "chroma, or also set database", ("database", "pgvector"))
        if self.database is not None and self.sqlite != SqliteSettings():
            for name, field in SqliteSettings.model_fields.items():
                if (value := getattr(self.sqlite, name)) is not None:
                    yield Broken(
                        f"sqlite.{field.alias}", value, "null, because database replaces SQLite", ("database",)
                    )
        if self.env.get("UVICORN_WORKERS", "1") != "1":
            allowed = "1: each pod is one process; for more, set replicas or autoscaling"
            yield Broken("env.UVICORN_WORKERS", "[not shown]", allowed)

    def _autoscaling_rules(self, settings: AutoscalingSettings, also: str, keys: tuple[str, ...]) -> Iterator[Broken]:
        """Requirements of several pods, and of the autoscaler's metrics."""
        if self.replicas > 1:
            yield Broken(
                "replicas", self.replicas, "1, because autoscaling sets the number; or 0 to pause", ("autoscaling",)
            )
        if settings.max_replicas > 1 and also:
            yield Broken("autoscaling.maxReplicas", settings.max_replicas, f"at most 1, {also}", keys)
        for key, percent in (("cpu", settings.cpu_percent), ("memory", settings.memory_percent)):
            request = getattr(self.resources.requests, key)
            if percent is not None and request is None:
                allowed = f"null, or also set resources.requests.{key}, which it is a percentage of"
                yield Broken(f"autoscaling.{key}Percent", percent, allowed, (f"resources.requests.{key}",))

    def _missing_for_several_pods(self) -> list[str]:
        missing = []
        if self.database is None:
            missing.append("database (PostgreSQL)")
        if self.redis is None:
            missing.append("redis")
        if self.object_storage is None and self.storage.access_mode != "ReadWriteMany":
            missing.append("objectStorage, or storage.accessMode ReadWriteMany (the volume is now limited to one node)")
        if self.vectors_on_volume:
            missing.append("vectorStore pgvector, or another server")
        return missing
