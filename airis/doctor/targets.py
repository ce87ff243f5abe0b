"""The table of servers that a stack can configure, and that `airis doctor --probe` tries to reach.

A row gives the setting, the protocol, and the variables of the WebUI's container that hold address and credentials. The
rendered environment is the source of truth: a row whose variable is not set does not apply.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airis.cluster.kubectl import KubeObject


@dataclass(frozen=True)
class Row:
    """A kind of target. probe_script.py defines `kind` and the parts in `variables`."""

    key: str
    """Key in the stack file."""
    what: str
    """The name of the server in findings."""
    kind: str
    variables: Mapping[str, str]
    """Environment variables by the part they hold; the first one decides whether the row applies."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of the target: `path`, `header`, `lenient`, `discovery`, `values`."""
    where: Mapping[str, str] = field(default_factory=dict)
    """Required values of other variables."""


def _http(key: str, what: str, url: str, *, auth: str = "", path: str = "", **options: Any) -> Row:
    """An HTTP server, with its URL in one variable and its key in another."""
    return Row(key, what, "http", {"url": url, **({"key": auth} if auth else {})}, {"path": path, **options})


def _published(key: str, what: str, variable: str, url: str) -> Row:
    """A provider with a fixed public address; the variable shows whether it is used."""
    return Row(key, what, "http", {"used": variable}, {"values": {"url": url}})


_WEBUI = "airis:webui"
_CONNECTIONS = f"{_WEBUI}.connections"
_API_KEY = "api-key: {}"

TABLE: tuple[Row, ...] = (
    Row(
        f"{_WEBUI}.database",
        "PostgreSQL",
        "postgresql",
        {"url": "DATABASE_URL", "password": "PGPASSWORD", "token": "DATABASE_ENABLE_IAM_TOKEN_AUTH"},
    ),
    Row(f"{_WEBUI}.pgvector", "PostgreSQL of the vector store", "postgresql", {"url": "PGVECTOR_DB_URL"}),
    Row(
        f"{_WEBUI}.redis",
        "Redis",
        "redis",
        {"url": "REDIS_URL", "sentinels": "REDIS_SENTINEL_HOSTS", "sentinel_port": "REDIS_SENTINEL_PORT"},
    ),
    Row(
        f"{_WEBUI}.chroma",
        "Chroma",
        "http",
        {"host": "CHROMA_HTTP_HOST", "port": "CHROMA_HTTP_PORT", "secure": "CHROMA_HTTP_SSL"},
        {"path": "/api/v2/heartbeat"},
    ),
    *(
        Row(
            f"{_WEBUI}.chroma",
            "Chroma, with sign-in",
            "http",
            {
                "key": "CHROMA_CLIENT_AUTH_CREDENTIALS",
                "host": "CHROMA_HTTP_HOST",
                "port": "CHROMA_HTTP_PORT",
                "secure": "CHROMA_HTTP_SSL",
            },
            {"path": "/api/v2/auth/identity", "header": f"Authorization: {form}"},
            {"CHROMA_CLIENT_AUTH_PROVIDER": f"chromadb.auth.{provider}"},
        )
        for form, provider in (
            ("Bearer {}", "token_authn.TokenAuthClientProvider"),
            ("basic", "basic_authn.BasicAuthClientProvider"),
        )
    ),
    _http(f"{_WEBUI}.qdrant", "Qdrant", "QDRANT_URI", auth="QDRANT_API_KEY", path="/collections", header=_API_KEY),
    Row(
        f"{_WEBUI}.weaviate",
        "Weaviate",
        "http",
        {
            "host": "WEAVIATE_HTTP_HOST",
            "port": "WEAVIATE_HTTP_PORT",
            "secure": "WEAVIATE_HTTP_SECURE",
            "key": "WEAVIATE_API_KEY",
        },
        {"path": "/v1/meta"},
    ),
    Row(
        f"{_WEBUI}.weaviate",
        "Weaviate's gRPC",
        "connection",
        {"host": "WEAVIATE_GRPC_HOST", "port": "WEAVIATE_GRPC_PORT"},
        {"values": {"port": "50051"}},
    ),
    Row(f"{_WEBUI}.milvus", "Milvus", "connection", {"url": "MILVUS_URI", "authorities": "MILVUS_SERVER_PEM_PATH"}),
    Row(
        f"{_WEBUI}.opensearch",
        "OpenSearch",
        "http",
        {
            "url": "OPENSEARCH_URI",
            "user": "OPENSEARCH_USERNAME",
            "password": "OPENSEARCH_PASSWORD",
            "verify": "OPENSEARCH_CERT_VERIFY",
        },
        {"path": "/"},
    ),
    Row(
        f"{_WEBUI}.elasticsearch",
        "Elasticsearch",
        "http",
        {
            "url": "ELASTICSEARCH_URL",
            "key": "ELASTICSEARCH_API_KEY",
            "user": "ELASTICSEARCH_USERNAME",
            "password": "ELASTICSEARCH_PASSWORD",
            "authorities": "ELASTICSEARCH_CA_CERTS",
        },
        {"path": "/", "header": "Authorization: ApiKey {}"},
    ),
    Row(
        f"{_WEBUI}.objectStorage",
        "S3",
        "s3",
        {
            "bucket": "S3_BUCKET_NAME",
            "url": "S3_ENDPOINT_URL",
            "region": "S3_REGION_NAME",
            "style": "S3_ADDRESSING_STYLE",
            "key": "S3_ACCESS_KEY_ID",
            "password": "S3_SECRET_ACCESS_KEY",
        },
        where={"STORAGE_PROVIDER": "s3"},
    ),
    _http(f"{_WEBUI}.objectStorage.azure", "Azure Blob Storage", "AZURE_STORAGE_ENDPOINT"),
    _published(
        f"{_WEBUI}.objectStorage.gcs", "Google Cloud Storage", "GCS_BUCKET_NAME", "https://storage.googleapis.com"
    ),
    Row(
        f"{_WEBUI}.auth.oauth.oidc",
        "the OpenID provider",
        "http",
        {"url": "OPENID_PROVIDER_URL"},
        {"discovery": True},
    ),
    _published(
        f"{_WEBUI}.auth.oauth.google",
        "Google's sign-in",
        "GOOGLE_CLIENT_ID",
        "https://accounts.google.com/.well-known/openid-configuration",
    ),
    Row(
        f"{_WEBUI}.auth.oauth.microsoft",
        "Microsoft's sign-in",
        "http",
        {"used": "MICROSOFT_CLIENT_ID", "url": "MICROSOFT_CLIENT_LOGIN_BASE_URL"},
        {"values": {"url": "https://login.microsoftonline.com"}},
    ),
    _published(f"{_WEBUI}.auth.oauth.github", "GitHub's sign-in", "GITHUB_CLIENT_ID", "https://github.com"),
    Row(
        f"{_WEBUI}.auth.ldap",
        "LDAP",
        "ldap",
        {
            "host": "LDAP_SERVER_HOST",
            "port": "LDAP_SERVER_PORT",
            "secure": "LDAP_USE_TLS",
            "verify": "LDAP_VALIDATE_CERT",
            "authorities": "LDAP_CA_CERT_FILE",
            "user": "LDAP_APP_DN",
            "password": "LDAP_APP_PASSWORD",
        },
    ),
    Row(
        f"{_WEBUI}.telemetry",
        "the collector",
        "connection",
        {"url": "OTEL_EXPORTER_OTLP_ENDPOINT", "insecure": "OTEL_EXPORTER_OTLP_INSECURE"},
        where={"OTEL_OTLP_SPAN_EXPORTER": "grpc"},
    ),
    Row(
        f"{_WEBUI}.telemetry",
        "the collector",
        "http",
        {
            "url": "OTEL_EXPORTER_OTLP_ENDPOINT",
            "user": "OTEL_BASIC_AUTH_USERNAME",
            "password": "OTEL_BASIC_AUTH_PASSWORD",
        },
        where={"OTEL_OTLP_SPAN_EXPORTER": "http"},
    ),
    Row("airis:proxy", "the proxy", "proxy", {"url": "HTTPS_PROXY"}),
    _http("airis:ollama", "Ollama", "OLLAMA_BASE_URL", path="/api/version"),
    Row("airis:ollama", "Ollama", "http", {"urls": "OLLAMA_BASE_URLS"}, {"path": "/api/version"}),
    Row(
        f"{_CONNECTIONS}.openai",
        "an OpenAI-compatible server",
        "http",
        {"urls": "OPENAI_API_BASE_URLS", "key": "OPENAI_API_KEYS"},
        {"path": "/models", "lenient": True},
    ),
    _http(f"{_CONNECTIONS}.contentExtraction", "Tika", "TIKA_SERVER_URL", path="/tika"),
    _http(f"{_CONNECTIONS}.contentExtraction", "Docling", "DOCLING_SERVER_URL", path="/health"),
    _http(f"{_CONNECTIONS}.contentExtraction", "the document loader", "EXTERNAL_DOCUMENT_LOADER_URL"),
    _http(f"{_CONNECTIONS}.embeddings", "the embeddings' Ollama", "RAG_OLLAMA_BASE_URL", path="/api/version"),
    _http(
        f"{_CONNECTIONS}.embeddings",
        "the embeddings' server",
        "RAG_OPENAI_API_BASE_URL",
        auth="RAG_OPENAI_API_KEY",
        path="/models",
        lenient=True,
    ),
    _http(f"{_CONNECTIONS}.embeddings", "the embeddings' server", "RAG_AZURE_OPENAI_BASE_URL"),
    _http(f"{_CONNECTIONS}.reranking", "the reranker", "RAG_EXTERNAL_RERANKER_URL"),
    *(
        _http(f"{_CONNECTIONS}.{key}", "the speech server", url)
        for key, url in (
            ("speechToText", "AUDIO_STT_OPENAI_API_BASE_URL"),
            ("speechToText", "AUDIO_STT_AZURE_BASE_URL"),
            ("speechToText", "AUDIO_STT_MISTRAL_API_BASE_URL"),
            ("textToSpeech", "AUDIO_TTS_OPENAI_API_BASE_URL"),
            ("textToSpeech", "AUDIO_TTS_AZURE_SPEECH_BASE_URL"),
            ("textToSpeech", "AUDIO_TTS_MISTRAL_API_BASE_URL"),
            ("textToSpeech", "ELEVENLABS_API_BASE_URL"),
        )
    ),
)


def targets(environment: Iterable[KubeObject], rows: Iterable[Row] = TABLE) -> list[dict[str, Any]]:
    """The targets of a container with this environment, as input for probe_script.py: names of variables, no values."""
    given = {str(each["name"]): each for each in environment}
    found = []
    for row in rows:
        first = next(iter(row.variables.values()))
        if first not in given or any(given.get(name, {}).get("value") != value for name, value in row.where.items()):
            continue
        used = {part: name for part, name in row.variables.items() if name in given}
        if any(str(given[used[part]].get("value", "")).startswith("sqlite") for part in ("url",) if part in used):
            continue
        found.append(
            {
                "key": row.key,
                "what": row.what,
                "kind": row.kind,
                "variables": used,
                "kept": {name: words for name in used.values() if (words := _kept(given[name]))},
                **{key: value for key, value in row.options.items() if value},
            }
        )
    return found


def secret(environment: Iterable[KubeObject]) -> list[str]:
    """The variables that come from Secrets."""
    return [str(each["name"]) for each in environment if "secretKeyRef" in (each.get("valueFrom") or {})]


def _kept(variable: KubeObject) -> str:
    """Why the value may be missing, if it comes from a Secret or ConfigMap."""
    source = variable.get("valueFrom") or {}
    for kind, field_name in (("Secret", "secretKeyRef"), ("ConfigMap", "configMapKeyRef")):
        if ref := source.get(field_name):
            return f"{kind}/{ref['name']} does not exist, or has no key {ref['key']}"
    return ""
