"""Settings of the servers for content extraction, embeddings and reranking.

From the first start on, Open WebUI keeps these in its database, unless `airis:webui.enablePersistentConfig` is false.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StrictInt

from settings.types.base import Broken
from settings.types.open_webui import Endpoint, Text
from settings.types.references import SecretKeyRef
from settings.types.variables import Value, Variable, VariableSettings


class ContentExtractionSettings(VariableSettings):
    """Server that extracts text from documents, instead of Open WebUI's built-in loaders."""

    engine: Annotated[Literal["tika", "docling", "external"], Variable("CONTENT_EXTRACTION_ENGINE")]
    """`tika` for Apache Tika, `docling` for Docling Serve, `external` for a server with Open WebUI's own protocol."""
    url: Endpoint
    """URL of the server, such as `http://tika.documents.svc:9998`; without a path for Tika and Docling."""
    key_from: SecretKeyRef | None = None
    """Reference to an existing Secret with the API key. Required for `external`; not supported by Tika."""

    _URLS: ClassVar = {
        "tika": "TIKA_SERVER_URL",
        "docling": "DOCLING_SERVER_URL",
        "external": "EXTERNAL_DOCUMENT_LOADER_URL",
    }
    _KEYS: ClassVar = {"docling": "DOCLING_API_KEY", "external": "EXTERNAL_DOCUMENT_LOADER_API_KEY"}
    DERIVED: ClassVar = frozenset({*_URLS.values(), *_KEYS.values()})

    def derived(self) -> Mapping[str, Value]:
        """Each engine has its own variables."""
        found: dict[str, Value] = {self._URLS[self.engine]: self.url}
        if self.key_from is not None and self.engine in self._KEYS:
            found[self._KEYS[self.engine]] = self.key_from
        return found

    def rules(self) -> Iterator[Broken]:
        """Without its key, Open WebUI silently skips an external server (open_webui/retrieval/loaders/main.py)."""
        if self.engine == "external" and self.key_from is None:
            yield Broken("keyFrom", None, "a reference to an existing Secret, with engine external", ("engine",))
        if self.engine == "tika" and self.key_from is not None:
            yield Broken("keyFrom", {"name": self.key_from.name}, "null, because Tika has no keys", ("engine",))


class EmbeddingsSettings(VariableSettings):
    """Server that computes embeddings, instead of a local model in the WebUI's pods, which needs memory and a download.

    Embeddings of different models are incompatible: after a change, reindex the documents in the browser.
    """

    engine: Annotated[Literal["ollama", "openai", "azure_openai"], Variable("RAG_EMBEDDING_ENGINE")]
    """API of the server."""
    model: Annotated[Text, Variable("RAG_EMBEDDING_MODEL")]
    """Embedding model, such as `nomic-embed-text`; for Azure, the deployment. For the stack's Ollama, also add it to
    `airis:ollama.models`."""
    url: Endpoint | None = None
    """Base URL of the server; null for the WebUI's first Ollama server, or for OpenAI."""
    key_from: SecretKeyRef | None = None
    """Reference to an existing Secret with the API key."""
    api_version: Annotated[Text | None, Variable("RAG_AZURE_OPENAI_API_VERSION")] = None
    """Version of Azure's API, such as `2024-10-21`."""
    batch_size: Annotated[Annotated[StrictInt, Field(ge=1)] | None, Variable("RAG_EMBEDDING_BATCH_SIZE")] = None
    """Number of texts in one request; null for 1."""

    _PREFIXES: ClassVar = {"ollama": "RAG_OLLAMA", "openai": "RAG_OPENAI_API", "azure_openai": "RAG_AZURE_OPENAI"}
    _KEYS: ClassVar = {
        "ollama": "RAG_OLLAMA_API_KEY",
        "openai": "RAG_OPENAI_API_KEY",
        "azure_openai": "RAG_AZURE_OPENAI_API_KEY",
    }
    DERIVED: ClassVar = frozenset(
        {*(f"{each}_BASE_URL" for each in ("RAG_OLLAMA", "RAG_OPENAI_API", "RAG_AZURE_OPENAI")), *_KEYS.values()}
    )

    def derived(self) -> Mapping[str, Value]:
        """Each engine has its own variables."""
        found: dict[str, Value] = {}
        if self.url is not None:
            found[f"{self._PREFIXES[self.engine]}_BASE_URL"] = self.url
        if self.key_from is not None:
            found[self._KEYS[self.engine]] = self.key_from
        return found

    def rules(self) -> Iterator[Broken]:
        """Settings that the engine requires, and settings that it does not support."""
        if self.engine == "azure_openai":
            for key, value in (("url", self.url), ("keyFrom", self.key_from), ("apiVersion", self.api_version)):
                if value is None:
                    yield Broken(key, None, "a value, with engine azure_openai", ("engine",))
        elif self.api_version is not None:
            yield Broken("apiVersion", self.api_version, "only with engine azure_openai", ("engine",))
        if self.engine == "openai" and self.url is None and self.key_from is None:
            yield Broken(
                "keyFrom", None, "a reference to an existing Secret; or also set url, for another server", ("url",)
            )
        if self.engine == "ollama" and self.url is not None and self.url.endswith(("/api", "/v1")):
            yield Broken("url", self.url, "the base URL of Ollama, without /api or /v1", ("engine",))
        if self.engine == "openai" and self.url is not None and self.url.endswith("/embeddings"):
            yield Broken("url", self.url, "the base URL: Open WebUI appends /embeddings", ("engine",))


class RerankingSettings(VariableSettings):
    """Server that reranks search results. Enables hybrid search, because Open WebUI reranks only its results."""

    DERIVED: ClassVar = frozenset({"ENABLE_RAG_HYBRID_SEARCH", "RAG_RERANKING_ENGINE"})

    url: Annotated[Endpoint, Variable("RAG_EXTERNAL_RERANKER_URL")]
    """Full URL, including the path, such as `http://rerank.example.com/v1/rerank`."""
    model: Annotated[Text, Variable("RAG_RERANKING_MODEL")]
    """Reranking model."""
    key_from: Annotated[SecretKeyRef | None, Variable("RAG_EXTERNAL_RERANKER_API_KEY")] = None
    """Reference to an existing Secret with the API key."""
    timeout_seconds: Annotated[
        Annotated[StrictInt, Field(ge=1)] | None,
        Variable("RAG_EXTERNAL_RERANKER_TIMEOUT"),
    ] = None
    """Timeout of a response; null for none."""

    def derived(self) -> Mapping[str, Value]:
        """Enabled if this section is set."""
        return {"ENABLE_RAG_HYBRID_SEARCH": "True", "RAG_RERANKING_ENGINE": "external"}
