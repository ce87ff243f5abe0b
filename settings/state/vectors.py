"""Settings of the vector store: files on the volume, PostgreSQL, or a dedicated server.

Stores that are not offered lack their Python package in the released image (MariaDB, Valkey, openGauss), or are tied to one
cloud provider (Pinecone, S3 Vectors, Oracle). Source: open_webui/retrieval/vector/factory.py and the package's metadata.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, StrictBool, StrictInt

from settings.types.base import Broken, Settings
from settings.types.references import SecretKeyRef
from settings.types.servers import Port, ServerHost, ServerUrl
from settings.types.variables import Value, Variable, VariableSettings

_CHROMA_CREDENTIALS = {
    "token": "chromadb.auth.token_authn.TokenAuthClientProvider",
    "basic": "chromadb.auth.basic_authn.BasicAuthClientProvider",
}

_MAX_FULL_PRECISION = 2000
"""Maximum dimensions of an index on 32-bit numbers. Source: pgvector's README, "Indexing"."""


def _port(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)


def _secure(url: str) -> str:
    return str(urlsplit(url).scheme == "https")


class ChromaSettings(VariableSettings):
    """A Chroma server, instead of Chroma's files on the volume."""

    DERIVED: ClassVar = frozenset(
        {"CHROMA_HTTP_HOST", "CHROMA_HTTP_PORT", "CHROMA_HTTP_SSL", "CHROMA_CLIENT_AUTH_PROVIDER"}
    )

    url: ServerUrl
    """URL of the server, such as `http://chroma.data:8000`."""
    tenant: Annotated[str | None, Field(min_length=1), Variable("CHROMA_TENANT")] = None
    """Tenant; null for Chroma's default."""
    database: Annotated[str | None, Field(min_length=1), Variable("CHROMA_DATABASE")] = None
    """Database; null for Chroma's default."""
    authentication: Literal["token", "basic"] | None = None
    """Authentication method: `token`, or `basic` (`user:password`); null for none."""
    credentials_from: Annotated[SecretKeyRef | None, Variable("CHROMA_CLIENT_AUTH_CREDENTIALS")] = None
    """Reference to an existing Secret with the credentials."""

    def derived(self) -> Mapping[str, Value]:
        """The parts of the URL, and the client's authentication provider."""
        kind = self.authentication
        return {
            "CHROMA_HTTP_HOST": str(urlsplit(self.url).hostname),
            "CHROMA_HTTP_PORT": str(_port(self.url)),
            "CHROMA_HTTP_SSL": _secure(self.url),
            **({"CHROMA_CLIENT_AUTH_PROVIDER": _CHROMA_CREDENTIALS[kind]} if kind else {}),
        }

    def rules(self) -> Iterator[Broken]:
        """Open WebUI uses only host and port; method and credentials belong together."""
        if urlsplit(self.url).path.strip("/") or urlsplit(self.url).query:
            yield Broken("url", self.url, "a URL without a path")
        if (self.authentication is None) != (self.credentials_from is None):
            yield Broken(
                "authentication", self.authentication, "together with credentialsFrom, or neither", ("credentialsFrom",)
            )


class PgvectorSettings(Settings):
    """Embeddings in PostgreSQL, with the extension `vector`."""

    url_from: Annotated[SecretKeyRef | None, Variable("PGVECTOR_DB_URL")] = None
    """Reference to an existing Secret with the URL of a separate database; null uses the database of `airis:webui.database`."""
    dimensions: Annotated[
        StrictInt | None, Field(ge=1, le=16000), Variable("PGVECTOR_INITIALIZE_MAX_VECTOR_LENGTH")
    ] = None
    """Maximum dimensions of an embedding, as the embedding model produces them; null for Open WebUI's default (1536). Cannot be
    changed once there are embeddings. Above 2000, `halfPrecision` is required."""
    half_precision: Annotated[StrictBool | None, Variable("PGVECTOR_USE_HALFVEC")] = None
    """Store each number in 16 bits; null for Open WebUI's default (false)."""
    create_extension: Annotated[StrictBool | None, Variable("PGVECTOR_CREATE_EXTENSION")] = None
    """Create the extension, for which the database user needs the privilege; null for Open WebUI's default (true)."""
    index: Annotated[Literal["hnsw", "ivfflat"] | None, Variable("PGVECTOR_INDEX_METHOD")] = None
    """Index type; null for Open WebUI's default (ivfflat, or hnsw above 2000 dimensions)."""
    pool_size: Annotated[StrictInt | None, Field(ge=0), Variable("PGVECTOR_POOL_SIZE")] = None
    """Connections for embeddings that each pod keeps open; 0 opens one for each request. Null for SQLAlchemy's default (5)."""

    def rules(self) -> Iterator[Broken]:
        """Otherwise, Open WebUI does not start (open_webui/config.py)."""
        if self.dimensions is not None and self.dimensions > _MAX_FULL_PRECISION and not self.half_precision:
            allowed = f"at most {_MAX_FULL_PRECISION}, or also set halfPrecision: true"
            yield Broken("dimensions", self.dimensions, allowed, ("halfPrecision",))


class QdrantSettings(Settings):
    """A Qdrant server."""

    url: Annotated[ServerUrl, Variable("QDRANT_URI")]
    """URL of the server, such as `http://qdrant.data:6333`."""
    api_key_from: Annotated[SecretKeyRef | None, Variable("QDRANT_API_KEY")] = None
    """Reference to an existing Secret with the API key; null for none."""
    prefer_grpc: Annotated[StrictBool | None, Variable("QDRANT_PREFER_GRPC")] = None
    """Use gRPC. Only host and port of the URL are then used, and the connection is encrypted if there is an API key."""
    grpc_port: Annotated[Port | None, Variable("QDRANT_GRPC_PORT")] = None
    """gRPC port; null for Open WebUI's default (6334)."""
    timeout_seconds: Annotated[StrictInt | None, Field(ge=1), Variable("QDRANT_TIMEOUT")] = None
    """Timeout of a response; null for Open WebUI's default (5)."""
    on_disk: Annotated[StrictBool | None, Variable("QDRANT_ON_DISK")] = None
    """Store new embeddings on disk instead of in memory; null for Open WebUI's default (false)."""
    multitenancy: Annotated[StrictBool | None, Variable("ENABLE_QDRANT_MULTITENANCY_MODE")] = None
    """Use a few shared collections instead of one for each file and knowledge base. Null for Open WebUI's default (true). After
    a change, existing embeddings are not used."""
    collection_prefix: Annotated[str | None, Field(min_length=1), Variable("QDRANT_COLLECTION_PREFIX")] = None
    """Prefix of the names of collections; null for `open-webui`."""

    def rules(self) -> Iterator[Broken]:
        """With gRPC, the client uses TLS if and only if there is a key (open_webui/retrieval/vector/dbs/qdrant.py)."""
        if self.grpc_port is not None and not self.prefer_grpc:
            yield Broken("grpcPort", self.grpc_port, "only together with preferGrpc: true", ("preferGrpc",))
        if self.prefer_grpc and (urlsplit(self.url).scheme == "https") != (self.api_key_from is not None):
            allowed = "https:// together with apiKeyFrom, or http:// without: with preferGrpc, only the key enables TLS"
            yield Broken("url", self.url, allowed, ("preferGrpc", "apiKeyFrom"))


class MilvusSettings(Settings):
    """A Milvus server."""

    url: Annotated[ServerUrl, Variable("MILVUS_URI")]
    """URL of the server, such as `http://milvus.data:19530`."""
    token_from: Annotated[SecretKeyRef | None, Variable("MILVUS_TOKEN")] = None
    """Reference to an existing Secret with the token (an API key, or `user:password`); null for none."""
    database: Annotated[str | None, Field(min_length=1), Variable("MILVUS_DB")] = None
    """Database; null for `default`."""
    multitenancy: Annotated[StrictBool | None, Variable("ENABLE_MILVUS_MULTITENANCY_MODE")] = None
    """Use a few shared collections. Null for Open WebUI's default (false). After a change, existing embeddings are not used."""
    index: Annotated[
        Literal["HNSW", "IVF_FLAT", "FLAT", "DISKANN", "AUTOINDEX"] | None, Variable("MILVUS_INDEX_TYPE")
    ] = None
    """Index type; null for Open WebUI's default (HNSW)."""


class WeaviateSettings(VariableSettings):
    """A Weaviate server, with HTTP and gRPC."""

    DERIVED: ClassVar = frozenset(
        {
            "WEAVIATE_HTTP_HOST",
            "WEAVIATE_HTTP_PORT",
            "WEAVIATE_HTTP_SECURE",
            "WEAVIATE_GRPC_HOST",
            "WEAVIATE_GRPC_SECURE",
        }
    )

    url: ServerUrl
    """URL of the server, such as `http://weaviate.data:8080`."""
    grpc_host: ServerHost | None = None
    """gRPC host; null for the host of the URL. The connection is encrypted if the URL is https."""
    grpc_port: Annotated[Port | None, Variable("WEAVIATE_GRPC_PORT")] = None
    """gRPC port; null for Open WebUI's default (50051)."""
    api_key_from: Annotated[SecretKeyRef | None, Variable("WEAVIATE_API_KEY")] = None
    """Reference to an existing Secret with the API key; null for none."""
    skip_checks: Annotated[StrictBool | None, Variable("WEAVIATE_SKIP_INIT_CHECKS")] = None
    """Skip the client's connection check at startup; null for Open WebUI's default (false)."""

    def derived(self) -> Mapping[str, Value]:
        """The parts of the URL."""
        host, secure = str(urlsplit(self.url).hostname), _secure(self.url)
        return {
            "WEAVIATE_HTTP_HOST": host,
            "WEAVIATE_HTTP_PORT": str(_port(self.url)),
            "WEAVIATE_HTTP_SECURE": secure,
            "WEAVIATE_GRPC_HOST": self.grpc_host or host,
            "WEAVIATE_GRPC_SECURE": secure,
        }

    def rules(self) -> Iterator[Broken]:
        """Open WebUI uses only host and port."""
        if urlsplit(self.url).path.strip("/") or urlsplit(self.url).query:
            yield Broken("url", self.url, "a URL without a path")


class OpenSearchSettings(VariableSettings):
    """An OpenSearch server."""

    DERIVED: ClassVar = frozenset({"OPENSEARCH_SSL"})

    url: Annotated[ServerUrl, Variable("OPENSEARCH_URI")]
    """URL of the server, such as `https://opensearch.data:9200`."""
    verify_certificates: Annotated[StrictBool, Variable("OPENSEARCH_CERT_VERIFY")] = True
    """Verify the server's certificate. Open WebUI's default is not to."""
    username: Annotated[str, Field(min_length=1), Variable("OPENSEARCH_USERNAME")]
    """User name."""
    password_from: Annotated[SecretKeyRef, Variable("OPENSEARCH_PASSWORD")]
    """Reference to an existing Secret with the password."""

    def derived(self) -> Mapping[str, Value]:
        """TLS, if the URL is https."""
        return {"OPENSEARCH_SSL": _secure(self.url)}


class ElasticsearchSettings(Settings):
    """An Elasticsearch server."""

    url: Annotated[ServerUrl, Variable("ELASTICSEARCH_URL")]
    """URL of the server, such as `https://elasticsearch.data:9200`."""
    api_key_from: Annotated[SecretKeyRef | None, Variable("ELASTICSEARCH_API_KEY")] = None
    """Reference to an existing Secret with the API key; null for none."""
    username: Annotated[str | None, Field(min_length=1), Variable("ELASTICSEARCH_USERNAME")] = None
    """User name, instead of an API key."""
    password_from: Annotated[SecretKeyRef | None, Variable("ELASTICSEARCH_PASSWORD")] = None
    """Reference to an existing Secret with the password."""
    index_prefix: Annotated[str | None, Field(min_length=1), Variable("ELASTICSEARCH_INDEX_PREFIX")] = None
    """Prefix of the names of indexes; null for `open_webui_collections`."""

    def rules(self) -> Iterator[Broken]:
        """One complete method: the client refuses two, and Open WebUI ignores half of one."""
        if (self.username is None) != (self.password_from is None):
            yield Broken("username", self.username, "together with passwordFrom, or neither", ("passwordFrom",))
        if self.api_key_from is not None and self.username is not None:
            yield Broken("username", self.username, "one of this and apiKeyFrom, not both", ("apiKeyFrom",))


VectorStore = Literal["chroma", "pgvector", "qdrant", "milvus", "weaviate", "opensearch", "elasticsearch"]

_OPTIONAL = ("chroma", "pgvector")
"""Stores that work without a section, because the WebUI has their storage anyway."""


def vector_store_rules(chosen: VectorStore, blocks: Mapping[str, Settings | None]) -> Iterator[Broken]:
    """The chosen store needs its section, and sections of other stores are refused. `blocks` are by the store's name."""
    for name, block in blocks.items():
        if name == chosen and block is None and name not in _OPTIONAL:
            allowed = f"chroma or pgvector, or also set {name}: the server and its credentials"
            yield Broken("vectorStore", name, allowed, (name,))
        if name != chosen and block is not None:
            shown = block.model_dump(mode="json", by_alias=True, exclude_defaults=True)
            yield Broken(name, shown, f"null, or vectorStore: {name}", ("vectorStore",))
