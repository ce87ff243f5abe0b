"""Which test covers the effect of each key of the settings in the real application.

Every key that sets a variable of Open WebUI or Ollama is in one of three places: in `PLACES`, where its value is looked
up in the administrator's pages of a real server (test_administrators_pages.py); in `TESTS`, with a dedicated test; or in
`keys_without_effect.txt`. tests/unit/test_effects.py compares them with the settings.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from airis.stack_file.reference import rows
from settings import OllamaSettings, WebUISettings
from settings.ollama.server import OllamaServerSettings
from settings.types.base import Settings, models_in
from settings.types.references import ConfigMapKeyRef, SecretKeyRef
from settings.types.secrets import SecretsSettings
from settings.types.variables import VariableSettings, of_field
from tests.app.rendered import value

WITHOUT = Path(__file__).with_name("keys_without_effect.txt")

_SECTIONS: Mapping[str, type[Settings]] = {
    "airis:webui": WebUISettings,
    "airis:ollama.server": OllamaServerSettings,
    "airis:secrets": SecretsSettings,
}
_REFERENCES = {SecretKeyRef, ConfigMapKeyRef}


def keys() -> frozenset[str]:
    """Every key that sets a variable: by its annotation, through a section that combines several keys, or by name."""
    sections = {
        key
        for section, model in _SECTIONS.items()
        for key in _keys(section, model, derives=model is OllamaServerSettings)
    }
    decides = (each for model in (WebUISettings, OllamaSettings) for each in _managed(model).values())
    by_name = {key for words in decides for key in re.findall(r"airis:(?:webui|ollama)\.[\w.]+", words)}
    return frozenset(sections | (by_name & {row.key for row in rows() if "mapping" not in row.type}))


def _managed(model: type[WebUISettings | OllamaSettings]) -> Mapping[str, str]:
    return model().managed_env


def _keys(prefix: str, model: type[Settings], *, derives: bool) -> Iterator[str]:
    for name, field in model.model_fields.items():
        inner = [each for each in models_in(field.annotation) if each not in _REFERENCES]
        key = f"{prefix}.{field.alias or name}"
        for each in inner:
            if "image" not in each.model_fields:  # that is a separate server
                own = issubclass(each, VariableSettings) and bool(each.DERIVED)
                yield from _keys(key, each, derives=derives or own)
        if not inner and (derives or of_field(field.metadata)):
            yield key


def without() -> list[str]:
    """The keys without a test of their effect."""
    lines = WITHOUT.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def same(found: Any) -> Any:
    """The stack's value, unchanged."""
    return found


def secret(found: Any) -> Any:
    """The value in the Secret."""
    return value(found["name"])


def joined(separator: str) -> Callable[[Any], Any]:
    """A list as one text."""
    return separator.join


class Place(NamedTuple):
    """The place of a value in the application's responses."""

    page: str
    at: tuple[str | int, ...]
    shown: Callable[[Any], Any] = same
    """Converts the stack's value to the one on the page."""
    stack: str = "all"
    """The stack of test_administrators_pages.py that sets it."""


ACCOUNTS = "/api/v1/auths/admin/config"
OAUTH = "/api/v1/auths/admin/config/oauth"
LDAP = "/api/v1/auths/admin/config/ldap/server"
OPENAI = "/openai/config"
OLLAMA = "/ollama/config"
DOCUMENTS = "/api/v1/retrieval/config"
EMBEDDINGS = "/api/v1/retrieval/embedding"
AUDIO = "/api/v1/audio/config"
EVERYBODY = "/api/config"
"""The pages of Admin Settings, by the URLs that they request; and the first request of every browser."""

_AUTH = "airis:webui.auth"
_OAUTH = f"{_AUTH}.oauth"
_LDAP = f"{_AUTH}.ldap"
_CONNECTIONS = "airis:webui.connections"

PLACES: Mapping[str, Place] = {
    "airis:webui.url": Place(ACCOUNTS, ("WEBUI_URL",)),
    f"{_AUTH}.defaultRole": Place(ACCOUNTS, ("DEFAULT_USER_ROLE",)),
    f"{_AUTH}.loginForm": Place(ACCOUNTS, ("ENABLE_LOGIN_FORM",), stack="others"),
    f"{_AUTH}.jwtExpiresIn": Place(ACCOUNTS, ("JWT_EXPIRES_IN",)),
    f"{_OAUTH}.signUp": Place(OAUTH, ("ENABLE_OAUTH_SIGNUP",)),
    f"{_OAUTH}.mergeAccountsByEmail": Place(OAUTH, ("OAUTH_MERGE_ACCOUNTS_BY_EMAIL",)),
    f"{_OAUTH}.autoRedirect": Place(EVERYBODY, ("oauth", "auto_redirect"), stack="others"),
    f"{_OAUTH}.allowedDomains": Place(OAUTH, ("OAUTH_ALLOWED_DOMAINS",), joined(",")),
    f"{_OAUTH}.emailClaim": Place(OAUTH, ("OAUTH_EMAIL_CLAIM",)),
    f"{_OAUTH}.usernameClaim": Place(OAUTH, ("OAUTH_USERNAME_CLAIM",)),
    f"{_OAUTH}.pictureClaim": Place(OAUTH, ("OAUTH_PICTURE_CLAIM",)),
    f"{_OAUTH}.subClaim": Place(OAUTH, ("OAUTH_SUB_CLAIM",)),
    f"{_OAUTH}.updateNameOnLogin": Place(OAUTH, ("OAUTH_UPDATE_NAME_ON_LOGIN",)),
    f"{_OAUTH}.updateEmailOnLogin": Place(OAUTH, ("OAUTH_UPDATE_EMAIL_ON_LOGIN",)),
    f"{_OAUTH}.updatePictureOnLogin": Place(OAUTH, ("OAUTH_UPDATE_PICTURE_ON_LOGIN",)),
    f"{_OAUTH}.endSessionEndpoint": Place(OAUTH, ("OPENID_END_SESSION_ENDPOINT",)),
    f"{_OAUTH}.oidc.providerUrl": Place(OAUTH, ("OPENID_PROVIDER_URL",)),
    f"{_OAUTH}.oidc.clientId": Place(OAUTH, ("OAUTH_CLIENT_ID",)),
    f"{_OAUTH}.oidc.clientSecretFrom": Place(OAUTH, ("OAUTH_CLIENT_SECRET",), secret),
    f"{_OAUTH}.oidc.codeChallengeMethod": Place(OAUTH, ("OAUTH_CODE_CHALLENGE_METHOD",)),
    f"{_OAUTH}.oidc.tokenEndpointAuthMethod": Place(OAUTH, ("OAUTH_TOKEN_ENDPOINT_AUTH_METHOD",)),
    f"{_OAUTH}.oidc.providerName": Place(EVERYBODY, ("oauth", "providers", "oidc")),
    f"{_OAUTH}.oidc.scopes": Place(OAUTH, ("OAUTH_SCOPES",), joined(" ")),
    f"{_OAUTH}.oidc.redirectUri": Place(OAUTH, ("OPENID_REDIRECT_URI",)),
    f"{_OAUTH}.roles.claim": Place(OAUTH, ("OAUTH_ROLES_CLAIM",)),
    f"{_OAUTH}.roles.admin": Place(OAUTH, ("OAUTH_ADMIN_ROLES",), joined(",")),
    f"{_OAUTH}.groups.claim": Place(OAUTH, ("OAUTH_GROUP_CLAIM",)),
    f"{_OAUTH}.groups.create": Place(OAUTH, ("ENABLE_OAUTH_GROUP_CREATION",)),
    f"{_LDAP}.host": Place(LDAP, ("host",)),
    f"{_LDAP}.port": Place(LDAP, ("port",), stack="plain"),
    f"{_LDAP}.tls": Place(LDAP, ("use_tls",), stack="plain"),
    f"{_LDAP}.validateCertificate": Place(LDAP, ("validate_cert",), stack="plain"),
    f"{_LDAP}.caFile": Place(LDAP, ("certificate_path",)),
    f"{_LDAP}.label": Place(LDAP, ("label",)),
    f"{_LDAP}.appDn": Place(LDAP, ("app_dn",)),
    f"{_LDAP}.passwordFrom": Place(LDAP, ("app_dn_password",), secret),
    f"{_LDAP}.searchBase": Place(LDAP, ("search_base",)),
    f"{_LDAP}.searchFilter": Place(LDAP, ("search_filters",)),
    f"{_LDAP}.usernameAttribute": Place(LDAP, ("attribute_for_username",)),
    f"{_LDAP}.mailAttribute": Place(LDAP, ("attribute_for_mail",)),
    f"{_LDAP}.defaultEmailDomain": Place(LDAP, ("default_email_domain",)),
    f"{_LDAP}.groups.attribute": Place(LDAP, ("attribute_for_groups",)),
    f"{_LDAP}.groups.create": Place(LDAP, ("enable_group_creation",)),
    f"{_CONNECTIONS}.ollamaUrls": Place(OLLAMA, ("OLLAMA_BASE_URLS", 1), lambda urls: urls[0]),
    f"{_CONNECTIONS}.openai.url": Place(OPENAI, ("OPENAI_API_BASE_URLS", 0)),
    f"{_CONNECTIONS}.openai.keyFrom": Place(OPENAI, ("OPENAI_API_KEYS", 0), secret),
    f"{_CONNECTIONS}.openai.models": Place(OPENAI, ("OPENAI_API_CONFIGS", "0", "model_ids")),
    f"{_CONNECTIONS}.openai.prefix": Place(OPENAI, ("OPENAI_API_CONFIGS", "0", "prefix_id")),
    f"{_CONNECTIONS}.pipelines.url": Place(OPENAI, ("OPENAI_API_BASE_URLS", -1)),
    f"{_CONNECTIONS}.pipelines.keyFrom": Place(OPENAI, ("OPENAI_API_KEYS", -1), secret),
    f"{_CONNECTIONS}.contentExtraction.engine": Place(DOCUMENTS, ("CONTENT_EXTRACTION_ENGINE",)),
    f"{_CONNECTIONS}.contentExtraction.url": Place(DOCUMENTS, ("TIKA_SERVER_URL",)),
    f"{_CONNECTIONS}.contentExtraction.keyFrom": Place(DOCUMENTS, ("DOCLING_API_KEY",), secret, "others"),
    f"{_CONNECTIONS}.embeddings.engine": Place(EMBEDDINGS, ("RAG_EMBEDDING_ENGINE",)),
    f"{_CONNECTIONS}.embeddings.model": Place(EMBEDDINGS, ("RAG_EMBEDDING_MODEL",)),
    f"{_CONNECTIONS}.embeddings.url": Place(EMBEDDINGS, ("azure_openai_config", "url"), stack="others"),
    f"{_CONNECTIONS}.embeddings.keyFrom": Place(EMBEDDINGS, ("azure_openai_config", "key"), secret, "others"),
    f"{_CONNECTIONS}.embeddings.apiVersion": Place(EMBEDDINGS, ("azure_openai_config", "version"), stack="others"),
    f"{_CONNECTIONS}.embeddings.batchSize": Place(EMBEDDINGS, ("RAG_EMBEDDING_BATCH_SIZE",)),
    f"{_CONNECTIONS}.reranking.url": Place(DOCUMENTS, ("RAG_EXTERNAL_RERANKER_URL",)),
    f"{_CONNECTIONS}.reranking.model": Place(DOCUMENTS, ("RAG_RERANKING_MODEL",)),
    f"{_CONNECTIONS}.reranking.keyFrom": Place(DOCUMENTS, ("RAG_EXTERNAL_RERANKER_API_KEY",), secret),
    f"{_CONNECTIONS}.reranking.timeoutSeconds": Place(DOCUMENTS, ("RAG_EXTERNAL_RERANKER_TIMEOUT",), str),
    f"{_CONNECTIONS}.speechToText.engine": Place(AUDIO, ("stt", "ENGINE")),
    f"{_CONNECTIONS}.speechToText.url": Place(AUDIO, ("stt", "OPENAI_API_BASE_URL")),
    f"{_CONNECTIONS}.speechToText.keyFrom": Place(AUDIO, ("stt", "OPENAI_API_KEY"), secret),
    f"{_CONNECTIONS}.speechToText.region": Place(AUDIO, ("stt", "AZURE_REGION"), stack="others"),
    f"{_CONNECTIONS}.speechToText.model": Place(AUDIO, ("stt", "MODEL")),
    f"{_CONNECTIONS}.textToSpeech.engine": Place(AUDIO, ("tts", "ENGINE")),
    f"{_CONNECTIONS}.textToSpeech.url": Place(AUDIO, ("tts", "OPENAI_API_BASE_URL"), stack="others"),
    f"{_CONNECTIONS}.textToSpeech.keyFrom": Place(AUDIO, ("tts", "API_KEY"), secret),
    f"{_CONNECTIONS}.textToSpeech.model": Place(AUDIO, ("tts", "MODEL")),
    f"{_CONNECTIONS}.textToSpeech.voice": Place(AUDIO, ("tts", "VOICE")),
}
"""The place of each key's value. In lists, the key is that of the first item."""

_CONFIGURATION = "tests/app/test_settings_take_effect.py"
_ADMIN = "tests/app/test_administrators_pages.py"
_SERVERS = "tests/app/test_real_servers.py"
_CLIENTS = "tests/app/test_clients.py"
_TEAM = "tests/cluster/test_team.py::test_two_pods_are_one_webui"
_TELEMETRY = "tests/app/test_telemetry.py::test_what_the_stack_says_arrives_at_the_collector_and_nothing_else"
_PROVIDERS = f"{_CONFIGURATION}::test_providers_are_registered"
_PARSED = "tests/ollama/test_ollama.py::test_ollama_understands_every_variable_that_is_for_the_release"


def _each(section: str, test: str, *names: str) -> dict[str, str]:
    return {f"{section}.{name}": test for name in names}


TESTS: Mapping[str, str] = {
    **_each("airis:webui", f"{_SERVERS}::test_sessions_are_signed_and_end_as_the_stack_says", "sessionKeyFrom"),
    **_each(
        "airis:webui", f"{_CONFIGURATION}::test_the_database_saves_the_documented_settings", "enablePersistentConfig"
    ),
    **_each(_AUTH, f"{_CONFIGURATION}::test_no_accounts_at_all", "enabled"),
    **_each(_AUTH, f"{_CONFIGURATION}::test_accounts_sessions_and_the_first_administrator", "signUp"),
    **_each(
        _AUTH,
        f"{_CONFIGURATION}::test_without_passwords_neither_ldap_nor_a_trusted_header_works",
        "passwordAuth",
    ),
    **_each(
        f"{_AUTH}.firstAdmin",
        f"{_ADMIN}::test_the_first_administrator_is_that_of_the_stack",
        *("email", "name", "passwordFrom"),
    ),
    **_each(
        f"{_AUTH}.trustedHeader",
        f"{_SERVERS}::test_a_trusted_proxy_identifies_the_user",
        *("email", "name", "groups", "role"),
    ),
    **_each(f"{_OAUTH}.google", _PROVIDERS, "clientId", "clientSecretFrom", "scopes", "redirectUri"),
    **_each(
        f"{_OAUTH}.microsoft",
        _PROVIDERS,
        "clientId",
        "clientSecretFrom",
        "tenantId",
        "loginBaseUrl",
        "scopes",
        "redirectUri",
    ),
    **_each(f"{_OAUTH}.github", _PROVIDERS, "clientId", "clientSecretFrom", "scopes", "redirectUri"),
    **_each(
        _OAUTH,
        f"{_CONFIGURATION}::test_accounts_roles_and_groups_of_providers",
        *("roles.allowed", "roles.separator", "groups.blocked", "groups.separator"),
    ),
    **_each(
        "airis:webui.logging",
        f"{_SERVERS}::test_the_log_is_as_the_stack_says",
        *("level", "format", "audit", "auditToStdout"),
    ),
    **_each(
        "airis:webui.telemetry",
        _TELEMETRY,
        *("endpoint", "protocol", "traces", "metrics", "logs", "serviceName", "resourceAttributes"),
        *("username", "passwordFrom"),
    ),
    **_each(
        "airis:webui.sqlite",
        f"{_SERVERS}::test_sqlite_uses_the_settings_of_the_stack",
        "poolSize",
        "cacheSize",
        "mmapSize",
    ),
    **_each("airis:webui.redis", f"{_SERVERS}::test_redis_has_keys_with_the_prefix", "urlFrom", "keyPrefix"),
    **_each("airis:webui", _TEAM, "vectorStore", "chroma.url"),
    **_each(
        "airis:webui.database",
        f"{_CLIENTS}::test_postgresql_by_its_parts",
        *("host", "port", "name", "user", "passwordFrom", "sslMode", "schemaName"),
        *("pool.size", "pool.maxOverflow", "pool.timeoutSeconds", "pool.recycleSeconds"),
    ),
    **_each("airis:webui.database", f"{_CLIENTS}::test_postgresql_by_its_url", "urlFrom"),
    **_each("airis:secrets", f"{_CLIENTS}::test_postgresql_by_its_url", "databaseUrl"),
    **_each(
        "airis:webui.objectStorage",
        f"{_CLIENTS}::test_requests_to_s3",
        *("keyPrefix", "accelerate", "tagging", "accessKeyIdFrom", "secretAccessKeyFrom"),
    ),
    **_each("airis:webui.objectStorage.azure", f"{_CLIENTS}::test_azure", "endpoint", "container", "keyFrom"),
    **_each(
        "airis:webui.opensearch",
        f"{_CLIENTS}::test_opensearch",
        *("url", "verifyCertificates", "username", "passwordFrom"),
    ),
    **_each("airis:webui.objectStorage", _TEAM, "bucket", "endpoint", "region", "addressingStyle", "localCache"),
    **_each("airis:secrets", _TEAM, "databasePassword", "redisUrl", "s3AccessKeyId", "s3SecretAccessKey"),
    **_each("airis:secrets", f"{_SERVERS}::test_sessions_are_signed_and_end_as_the_stack_says", "sessionKey"),
    **dict.fromkeys(_keys("airis:ollama.server", OllamaServerSettings, derives=False), _PARSED),
    **_each("airis:ollama", f"{_CONFIGURATION}::test_no_model_servers", "enabled"),
    **_each(_CONNECTIONS, f"{_CONFIGURATION}::test_speech_of_a_region", "textToSpeech.region"),
    **_each("airis:webui", f"{_ADMIN}::test_exactly_the_stacks_origins_are_allowed", "corsOrigins"),
    **_each(
        "airis:webui.redis",
        f"{_SERVERS}::test_connections_to_redis_use_the_timeouts_of_the_stack",
        *("connectTimeoutSeconds", "timeoutSeconds", "keepalive", "healthCheckIntervalSeconds"),
    ),
}
"""The test of a key's effect: in the server, its configuration, or Ollama's own parser."""
