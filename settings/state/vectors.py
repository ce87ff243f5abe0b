"""Settings of where embeddings are kept: in files on the volume, in PostgreSQL, or in a server of their own.

What is not offered here lacks its Python package in the released image (MariaDB, Valkey, openGauss) or keeps to one
provider's cloud (Pinecone, S3 Vectors, Oracle). Source: open_webui/retrieval/vector/factory.py and the package's metadata.
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
"""Dimensions of an index on 32-bit numbers. Source: pgvector's README, "Indexing"."""


def _port(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)


def _secure(url: str) -> str:
    return str(urlsplit(url).scheme == "https")


class ChromaSettings(VariableSettings):
    """A Chroma server, in place of Chroma's files on the volume."""

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
    """How the server wants credentials: a token, or `user:password`; null for none."""
    credentials_from: Annotated[SecretKeyRef | None, Variable("CHROMA_CLIENT_AUTH_CREDENTIALS")] = None
    """An existing Secret with them."""

    def derived(self) -> Mapping[str, Value]:
        """The parts of the URL, and the class that sends the credentials."""
        kind = self.authentication
        return {
            "CHROMA_HTTP_HOST": str(urlsplit(self.url).hostname),
            "CHROMA_HTTP_PORT": str(_port(self.url)),
            "CHROMA_HTTP_SSL": _secure(self.url),
            **({"CHROMA_CLIENT_AUTH_PROVIDER": _CHROMA_CREDENTIALS[kind]} if kind else {}),
        }

    def rules(self) -> Iterator[Broken]:
        """Open WebUI takes nothing but host and port; half a credential is none."""
        if urlsplit(self.url).path.strip("/") or urlsplit(self.url).query:
            yield Broken("url", self.url, "a URL without a path")
        if (self.authentication is None) != (self.credentials_from is None):
            yield Broken(
                "authentication", self.authentication, "together with credentialsFrom, or neither", ("credentialsFrom",)
            )


class PgvectorSettings(Settings):
    """How embeddings are kept in PostgreSQL, by its extension `vector`."""

    url_from: Annotated[SecretKeyRef | None, Variable("PGVECTOR_DB_URL")] = None
    """An existing Secret with the URL of a database of their own; null keeps them beside everything else."""
    dimensions: Annotated[
        StrictInt | None, Field(ge=1, le=16000), Variable("PGVECTOR_INITIALIZE_MAX_VECTOR_LENGTH")
    ] = None
    """Longest embedding, as the embedding model makes them; null leaves it to Open WebUI (1536). It cannot change once there
    are embeddings; above 2000 it needs `halfPrecision`."""
    half_precision: Annotated[StrictBool | None, Variable("PGVECTOR_USE_HALFVEC")] = None
    """Whether 16 bits are kept of each number; null leaves it to Open WebUI (no)."""
    create_extension: Annotated[StrictBool | None, Variable("PGVECTOR_CREATE_EXTENSION")] = None
    """Whether the WebUI creates the extension, for which its user needs the right; null leaves it to Open WebUI (yes)."""
    index: Annotated[Literal["hnsw", "ivfflat"] | None, Variable("PGVECTOR_INDEX_METHOD")] = None
    """Kind of index; null leaves it to Open WebUI (ivfflat, or hnsw above 2000 dimensions)."""
    pool_size: Annotated[StrictInt | None, Field(ge=0), Variable("PGVECTOR_POOL_SIZE")] = None
    """Connections that each pod keeps open for embeddings; 0 opens one for each request, null leaves it to SQLAlchemy (5)."""

    def rules(self) -> Iterator[Broken]:
        """Open WebUI does not start otherwise (open_webui/config.py)."""
        if self.dimensions is not None and self.dimensions > _MAX_FULL_PRECISION and not self.half_precision:
            allowed = f"at most {_MAX_FULL_PRECISION}, or also set halfPrecision: true"
            yield Broken("dimensions", self.dimensions, allowed, ("halfPrecision",))


class QdrantSettings(Settings):
    """A Qdrant server."""

    url: Annotated[ServerUrl, Variable("QDRANT_URI")]
    """URL of the server, such as `http://qdrant.data:6333`."""
    api_key_from: Annotated[SecretKeyRef | None, Variable("QDRANT_API_KEY")] = None
    """An existing Secret with the API key; null for none."""
    prefer_grpc: Annotated[StrictBool | None, Variable("QDRANT_PREFER_GRPC")] = None
    """Whether gRPC is used. Then only the URL's host and port count: it is encrypted if there is an API key, else not."""
    grpc_port: Annotated[Port | None, Variable("QDRANT_GRPC_PORT")] = None
    """Port for gRPC; null leaves it to Open WebUI (6334)."""
    timeout_seconds: Annotated[StrictInt | None, Field(ge=1), Variable("QDRANT_TIMEOUT")] = None
    """For how long an answer may take; null leaves it to Open WebUI (5)."""
    on_disk: Annotated[StrictBool | None, Variable("QDRANT_ON_DISK")] = None
    """Whether Qdrant keeps new embeddings on disk rather than in memory; null leaves it to Open WebUI (no)."""
    multitenancy: Annotated[StrictBool | None, Variable("ENABLE_QDRANT_MULTITENANCY_MODE")] = None
    """Whether a few collections hold everything, rather than one for each file and knowledge base. Null leaves it to Open WebUI
    (yes); a change leaves behind what is there."""
    collection_prefix: Annotated[str | None, Field(min_length=1), Variable("QDRANT_COLLECTION_PREFIX")] = None
    """Beginning of every collection's name; null for `open-webui`."""

    def rules(self) -> Iterator[Broken]:
        """By gRPC, the client encrypts exactly where there is a key (open_webui/retrieval/vector/dbs/qdrant.py)."""
        if self.grpc_port is not None and not self.prefer_grpc:
            yield Broken("grpcPort", self.grpc_port, "only together with preferGrpc: true", ("preferGrpc",))
        if self.prefer_grpc and (urlsplit(self.url).scheme == "https") != (self.api_key_from is not None):
            allowed = (
                "https:// together with apiKeyFrom, or http:// without, because preferGrpc encrypts by the key alone"
            )
            yield Broken("url", self.url, allowed, ("preferGrpc", "apiKeyFrom"))


class MilvusSettings(Settings):
    """A Milvus server."""

    url: Annotated[ServerUrl, Variable("MILVUS_URI")]
    """URL of the server, such as `http://milvus.data:19530`."""
    token_from: Annotated[SecretKeyRef | None, Variable("MILVUS_TOKEN")] = None
    """An existing Secret with the token: an API key, or `user:password`; null for none."""
    database: Annotated[str | None, Field(min_length=1), Variable("MILVUS_DB")] = None
    """Database; null for `default`."""
    multitenancy: Annotated[StrictBool | None, Variable("ENABLE_MILVUS_MULTITENANCY_MODE")] = None
    """Whether a few collections hold everything; null leaves it to Open WebUI (no). A change leaves behind what is there."""
    index: Annotated[
        Literal["HNSW", "IVF_FLAT", "FLAT", "DISKANN", "AUTOINDEX"] | None, Variable("MILVUS_INDEX_TYPE")
    ] = None
    """Kind of index; null leaves it to Open WebUI (HNSW)."""


class WeaviateSettings(VariableSettings):
    """A Weaviate server, which is spoken to by HTTP and by gRPC."""

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
    """Host for gRPC; null for that of the URL. It is encrypted where the URL is."""
    grpc_port: Annotated[Port | None, Variable("WEAVIATE_GRPC_PORT")] = None
    """Port for gRPC; null leaves it to Open WebUI (50051)."""
    api_key_from: Annotated[SecretKeyRef | None, Variable("WEAVIATE_API_KEY")] = None
    """An existing Secret with the API key; null for none."""
    skip_checks: Annotated[StrictBool | None, Variable("WEAVIATE_SKIP_INIT_CHECKS")] = None
    """Whether the client starts without asking the server first; null leaves it to Open WebUI (no)."""

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
        """Open WebUI takes nothing but host and port."""
        if urlsplit(self.url).path.strip("/") or urlsplit(self.url).query:
            yield Broken("url", self.url, "a URL without a path")


class OpenSearchSettings(VariableSettings):
    """An OpenSearch server."""

    DERIVED: ClassVar = frozenset({"OPENSEARCH_SSL"})

    url: Annotated[ServerUrl, Variable("OPENSEARCH_URI")]
    """URL of the server, such as `https://opensearch.data:9200`."""
    verify_certificates: Annotated[StrictBool, Variable("OPENSEARCH_CERT_VERIFY")] = True
    """Whether the server's certificate must be right. Open WebUI would not look at it by itself."""
    username: Annotated[str, Field(min_length=1), Variable("OPENSEARCH_USERNAME")]
    """Who signs in."""
    password_from: Annotated[SecretKeyRef, Variable("OPENSEARCH_PASSWORD")]
    """An existing Secret with the password."""

    def derived(self) -> Mapping[str, Value]:
        """Encryption as the URL says."""
        return {"OPENSEARCH_SSL": _secure(self.url)}


class ElasticsearchSettings(Settings):
    """An Elasticsearch server."""

    url: Annotated[ServerUrl, Variable("ELASTICSEARCH_URL")]
    """URL of the server, such as `https://elasticsearch.data:9200`."""
    api_key_from: Annotated[SecretKeyRef | None, Variable("ELASTICSEARCH_API_KEY")] = None
    """An existing Secret with the API key; null for none."""
    username: Annotated[str | None, Field(min_length=1), Variable("ELASTICSEARCH_USERNAME")] = None
    """Who signs in, in place of an API key."""
    password_from: Annotated[SecretKeyRef | None, Variable("ELASTICSEARCH_PASSWORD")] = None
    """An existing Secret with the password."""
    index_prefix: Annotated[str | None, Field(min_length=1), Variable("ELASTICSEARCH_INDEX_PREFIX")] = None
    """Beginning of every index; null for `open_webui_collections`."""

    def rules(self) -> Iterator[Broken]:
        """One way in, and whole: the client refuses two, and Open WebUI sends no half."""
        if (self.username is None) != (self.password_from is None):
            yield Broken("username", self.username, "together with passwordFrom, or neither", ("passwordFrom",))
        if self.api_key_from is not None and self.username is not None:
            yield Broken("username", self.username, "one of this and apiKeyFrom, not both", ("apiKeyFrom",))


VectorStore = Literal["chroma", "pgvector", "qdrant", "milvus", "weaviate", "opensearch", "elasticsearch"]

_OPTIONAL = ("chroma", "pgvector")
"""Stores that work without a block of their own: beside what the WebUI has anyway."""


def vector_store_rules(chosen: VectorStore, blocks: Mapping[str, Settings | None]) -> Iterator[Broken]:
    """The chosen store needs its block, and no other may stand there for nothing. `blocks` are by the store's name."""
    for name, block in blocks.items():
        if name == chosen and block is None and name not in _OPTIONAL:
            allowed = f"chroma or pgvector, or also set {name}: the server and its credentials"
            yield Broken("vectorStore", name, allowed, (name,))
        if name != chosen and block is not None:
            shown = block.model_dump(mode="json", by_alias=True, exclude_defaults=True)
            yield Broken(name, shown, f"null, or vectorStore: {name}", ("vectorStore",))
