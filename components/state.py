"""Variables of the WebUI's state that depend on more than its own settings."""

from collections.abc import Mapping

from pulumi_kubernetes.core.v1 import SecretKeySelectorArgs

from components.egress import ca_variables
from components.redis import RedisConnection
from settings.platform.platform import PlatformSettings
from settings.state.database import VERIFYING
from settings.webui.webui import WebUISettings


def redis_variables(redis: RedisConnection | None) -> Mapping[str, SecretKeySelectorArgs]:
    """The URL of the stack's Redis, for sessions and for websockets."""
    return {} if redis is None else dict.fromkeys(("REDIS_URL", "WEBSOCKET_REDIS_URL"), redis.url)


def authority_variables(settings: WebUISettings, platform: PlatformSettings) -> Mapping[str, str]:
    """Certificate authorities for clients that do not read them from the usual variables.

    Source: PostgreSQL documentation, "Client Verification of Server Certificates" (with `require`, a file of authorities would
    mean `verify-ca`: so only if that is configured); open_webui/config.py.
    """
    bundle = ca_variables(platform).get("SSL_CERT_FILE")
    if bundle is None:
        return {}
    database, elasticsearch, milvus = settings.database, settings.elasticsearch, settings.milvus
    names = {
        "PGSSLROOTCERT": database is not None and database.ssl_mode in VERIFYING,
        "ELASTICSEARCH_CA_CERTS": elasticsearch is not None and elasticsearch.url.startswith("https:"),
        "MILVUS_SERVER_PEM_PATH": milvus is not None and milvus.url.startswith("https:"),
    }
    return {name: bundle for name, used in names.items() if used}
