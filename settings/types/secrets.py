"""Credentials: encrypted in the stack file, or in existing Secrets. Never in plain text."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field, SecretStr

from settings.types.base import Broken, FrozenMapping, Settings
from settings.types.names import SecretKey
from settings.types.variables import Variable, declared


def _not_empty(given: SecretStr) -> SecretStr:
    if not given.get_secret_value().strip():
        raise ValueError("a value that is not empty; omit the key if there is none")
    return given


Credential = Annotated[SecretStr, AfterValidator(_not_empty)]

UNREADABLE = "[secret]"
"""Placeholder for an encrypted value that cannot be decrypted: in renders and rehearsals."""

URL_WITH_PASSWORD = re.compile(r"://[^/@\s]*:[^/@\s]+@")

MIN_SESSION_KEY_LENGTH = 32
"""Characters. The key signs every session; a short one can be brute-forced offline from any session token."""


def holds_encrypted(value: Any) -> bool:
    """Whether a value of a stack file is encrypted (`secure: ...`) or contains an encrypted value."""
    if isinstance(value, Mapping):
        return set(value) == {"secure"} or any(map(holds_encrypted, value.values()))
    return isinstance(value, list) and any(map(holds_encrypted, value))


class SecretsSettings(Settings):
    """Credentials of the stack, encrypted: `pulumi config set --secret --path airis:secrets.databaseUrl`."""

    session_key: Annotated[Credential | None, Variable("WEBUI_SECRET_KEY")] = None
    """`WEBUI_SECRET_KEY`, which signs sessions and encrypts stored tokens. Null generates a key once and keeps it."""
    database_url: Annotated[Credential | None, Variable("DATABASE_URL")] = None
    """URL of the PostgreSQL database, `postgresql://user:password@host:5432/name`, with special characters URL-encoded."""
    database_password: Annotated[Credential | None, Variable("PGPASSWORD")] = None
    """Password of the PostgreSQL database, not URL-encoded, with `airis:webui.database.host`."""
    redis_url: Annotated[Credential | None, Variable("REDIS_URL"), Variable("WEBSOCKET_REDIS_URL")] = None
    """URL of Redis, `redis://:password@host:6379/0`, or `rediss://` for TLS."""
    s3_access_key_id: Annotated[Credential | None, Variable("S3_ACCESS_KEY_ID")] = None
    """Access key ID of the object storage."""
    s3_secret_access_key: Annotated[Credential | None, Variable("S3_SECRET_ACCESS_KEY")] = None
    """Secret access key of the object storage."""
    values: FrozenMapping[SecretKey, Credential] = Field(default_factory=dict)
    """Additional values of the stack's Secret, `airis-secrets`, by key. Any reference can name them: `keyFrom: {name:
    airis-secrets, key: openai}`."""

    def rules(self) -> Iterator[Broken]:
        """Refuse values that cannot work before a pod crashes because of them. Values are never shown."""
        schemes = {"database_url": ("postgresql://", "postgres://"), "redis_url": ("redis://", "rediss://")}
        for name, allowed in schemes.items():
            value: SecretStr | None = getattr(self, name)
            if value is not None and not value.get_secret_value().startswith((*allowed, UNREADABLE)):
                yield Broken(
                    type(self).model_fields[name].alias or name, "[secret]", f"a URL that begins with {allowed[0]}"
                )
        for name in sorted(self.values.keys() & declared(SecretsSettings, "").keys()):
            yield Broken(f"values.{name}", "[secret]", "another key: this one has its own setting")
        key = self.session_key.get_secret_value() if self.session_key else UNREADABLE
        if key != UNREADABLE and len(key) < MIN_SESSION_KEY_LENGTH:
            yield Broken("sessionKey", "[secret]", f"at least {MIN_SESSION_KEY_LENGTH} characters")
