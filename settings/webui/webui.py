"""Settings of the Open WebUI front end."""

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
"""Variables of Open WebUI that follow from more than its own settings, and from what: folders, addresses, ways in and out."""


_THREADS = 2000
"""Threads of each pod where several share the work. Source: Open WebUI documentation, "Scaling"."""


class WebUISettings(WorkloadSettings, VariableSettings):
    """The Open WebUI front end: one Deployment, its Service, its claim and, with a host, its Ingress."""

    DERIVED: ClassVar = frozenset({"THREAD_POOL_SIZE"})

    image: ImageReference = OPEN_WEBUI.image
    """Container image, with a tag or a digest."""
    resources: Resources = Resources(
        requests=ResourceAmounts(cpu="500m", memory="1Gi", ephemeral_storage="100Mi"),
        limits=ResourceAmounts(cpu="1", memory="2Gi", ephemeral_storage="2Gi"),
    )
    """CPU and memory of each pod. Measured with the embedding model that Open WebUI loads by itself: 777 MiB after start, and
    1056 MiB while it reads a document of 5 MiB. Without one (`connections.embeddings`), it is 310 MiB after start."""
    storage: StorageSettings = StorageSettings(size="2Gi")
    """The volume for chats, users, uploads and the database."""
    service: ServiceSettings = ServiceSettings()
    """The Service in front of the pods."""
    url: Origin | None = None
    """URL under which people reach the WebUI, such as `https://chat.example.com`: for links, sign-in by OAuth and cookies. Null
    takes the first host of Ingress or Gateway. Needed where these do not tell: TLS that ends in front of them, another port,
    wildcard hosts, a load balancer. Sets `WEBUI_URL` and `CORS_ALLOW_ORIGIN`, and with https:// both
    `WEBUI_SESSION_COOKIE_SECURE` and `WEBUI_AUTH_COOKIE_SECURE`."""
    cors_origins: tuple[Origin, ...] = ()
    """Further origins whose pages may use the WebUI, beside `url` and the hosts: Open WebUI refuses the websockets of all
    others. Without any host, `url` or origin it refuses none. `http://localhost:8080`, for `kubectl port-forward`, is among
    them by itself where nothing goes by HTTPS."""
    probes: ProbesSettings = ProbesSettings(
        startup=ProbeSettings(period_seconds=10, failure_threshold=60),
        liveness=ProbeSettings(period_seconds=30, timeout_seconds=10, failure_threshold=6),
    )
    """How patiently Kubernetes asks. The first start downloads: its budget is 10 minutes. Migrations come before it, and have
    all the time that they need."""
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
    sqlite: SqliteSettings = SqliteSettings()
    """What SQLite takes of the pod's memory, where there is no `database`."""
    redis: RedisSettings | None = None
    """Redis; null shares nothing between pods."""
    object_storage: ObjectStorageSettings | None = None
    """Object storage for uploads; null keeps them on the volume. Needs a database and a `vectorStore` that is elsewhere:
    without a volume, neither SQLite nor chroma's files have a place."""
    vector_store: Annotated[VectorStore, Variable("VECTOR_DB")] = "chroma"
    """Where embeddings are kept: `chroma` in files on the volume, for one pod, or with its block in a Chroma server; `pgvector`
    in the PostgreSQL database; the others in their own server, which their block names. A change leaves the embeddings
    behind: knowledge bases have to be indexed anew (Admin Settings, Documents)."""
    chroma: ChromaSettings | None = None
    """A Chroma server, with `vectorStore: chroma`; null for files on the volume."""
    pgvector: PgvectorSettings | None = None
    """More on PostgreSQL, with `vectorStore: pgvector`."""
    qdrant: QdrantSettings | None = None
    """The Qdrant server, with `vectorStore: qdrant`."""
    milvus: MilvusSettings | None = None
    """The Milvus server, with `vectorStore: milvus`."""
    weaviate: WeaviateSettings | None = None
    """The Weaviate server, with `vectorStore: weaviate`."""
    opensearch: OpenSearchSettings | None = None
    """The OpenSearch server, with `vectorStore: opensearch`."""
    elasticsearch: ElasticsearchSettings | None = None
    """The Elasticsearch server, with `vectorStore: elasticsearch`."""
    rolling_updates: StrictBool = False
    """Whether a new pod starts before the old one stops. Two releases of Open WebUI must never serve one database, so this
    is only for changes that keep the release, and only where several pods may run."""
    autoscaling: AutoscalingSettings | None = None
    """Pods that come and go with the load, in place of `replicas`; null for a fixed number. `replicas: 0` still pauses."""
    thread_pool_size: Annotated[StrictInt | None, Field(ge=1), Variable("THREAD_POOL_SIZE")] = None
    """Threads of each pod for work that blocks; null for 2000 where there are several pods, and else leaves it to Open WebUI
    (40)."""
    active_status_interval_seconds: Annotated[
        StrictInt | None, Field(ge=0, lt=180), Variable("DATABASE_USER_ACTIVE_STATUS_UPDATE_INTERVAL")
    ] = None
    """How often it is noted that a user is there; 0 for never, null leaves it to Open WebUI (60). From 180 on, users would seem
    to be gone in between."""
    service_account_annotations: AnnotationMapping = Field(default_factory=dict)
    """Annotations of the pods' ServiceAccount: by these, clouds give the pods an identity (`eks.amazonaws.com/role-arn`,
    `iam.gke.io/gcp-service-account`, `azure.workload.identity/client-id`)."""

    @property
    def managed_env(self) -> Mapping[str, str]:
        """The variables that the component sets, whether or not these settings make it do so, and what decides on them."""
        return {**declared(type(self), "airis:webui"), **_FOLLOWING}

    @property
    def vectors_on_volume(self) -> bool:
        """Whether the embeddings are files of one pod."""
        return self.vector_store == "chroma" and self.chroma is None

    @property
    def one_process(self) -> bool:
        """Whether only one process may use the volume: SQLite's file is there, or chroma's."""
        return self.database is None or self.vectors_on_volume

    @property
    def min_pods(self) -> int:
        """How many pods there are at least."""
        return self.replicas if self.autoscaling is None or self.replicas == 0 else self.autoscaling.min_replicas

    @property
    def max_pods(self) -> int:
        """How many pods there may be."""
        return self.replicas if self.autoscaling is None else self.autoscaling.max_replicas

    @property
    def others_take_over(self) -> bool:
        """Whether other pods take over from one that ends."""
        return self.rolling_updates or self.max_pods > 1

    def warnings(self) -> Iterator[str]:
        """What the image's release may not read, and what is less than it was measured to need."""
        kind = LOCAL_EMBEDDINGS if self.connections.embeddings is None else EMBEDDINGS_ELSEWHERE
        yield from measured_warnings("webui", self, kind)
        for key, words in unsupported_warnings(self, self.image, OPEN_WEBUI):
            yield f"airis:webui.{key}: {words}"

    def derived(self) -> Mapping[str, Value]:
        """Threads for many users, where the number of pods says that there are many."""
        return {"THREAD_POOL_SIZE": str(_THREADS)} if self.thread_pool_size is None and self.max_pods > 1 else {}

    def rules(self) -> Iterator[Broken]:
        """What would lose data or mix two pods' work.

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
            allowed = "null, because objectStorage takes the volume's place"
            yield Broken("storage.existingClaim", self.storage.existing_claim, allowed, ("objectStorage",))
        yield from vector_store_rules(self.vector_store, {name: getattr(self, name) for name in get_args(VectorStore)})
        own_vectors = self.pgvector is not None and self.pgvector.url_from is not None
        if self.vector_store == "pgvector" and self.database is None and not own_vectors:
            yield Broken("vectorStore", self.vector_store, "chroma, or also set database", ("database", "pgvector"))
        if self.database is not None and self.sqlite != SqliteSettings():
            for name, field in SqliteSettings.model_fields.items():
                if (value := getattr(self.sqlite, name)) is not None:
                    yield Broken(
                        f"sqlite.{field.alias}", value, "null, because database takes its place", ("database",)
                    )
        if self.env.get("UVICORN_WORKERS", "1") != "1":
            allowed = "1: each pod is one process; replicas and autoscaling make more of them"
            yield Broken("env.UVICORN_WORKERS", "[not shown]", allowed)

    def _autoscaling_rules(self, settings: AutoscalingSettings, also: str, keys: tuple[str, ...]) -> Iterator[Broken]:
        """What makes several pods possible, and what the autoscaler measures by."""
        if self.replicas > 1:
            yield Broken("replicas", self.replicas, "1, because autoscaling decides; or 0 to pause", ("autoscaling",))
        if settings.max_replicas > 1 and also:
            yield Broken("autoscaling.maxReplicas", settings.max_replicas, f"at most 1, {also}", keys)
        for key, percent in (("cpu", settings.cpu_percent), ("memory", settings.memory_percent)):
            request = getattr(self.resources.requests, key)
            if percent is not None and request is None:
                allowed = f"null, or also set resources.requests.{key}, which it is a part of"
                yield Broken(f"autoscaling.{key}Percent", percent, allowed, (f"resources.requests.{key}",))

    def _missing_for_several_pods(self) -> list[str]:
        missing = []
        if self.database is None:
            missing.append("database (PostgreSQL)")
        if self.redis is None:
            missing.append("redis")
        if self.object_storage is None and self.storage.access_mode != "ReadWriteMany":
            missing.append("objectStorage, or storage.accessMode ReadWriteMany (the volume is now for one node)")
        if self.vectors_on_volume:
            missing.append("vectorStore pgvector, or another server")
        return missing
