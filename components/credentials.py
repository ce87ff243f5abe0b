"""WebUI's credentials: which variable takes its value from which key of which Secret."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.core.v1 import Secret, SecretKeySelectorArgs
from pydantic import SecretStr

from components.metadata import Place
from components.session_key import session_key
from settings.secrets import SecretKeyRef, SecretsSettings
from settings.webui import WebUISettings


@dataclass(frozen=True)
class Credentials:
    """How a pod gets its credentials."""

    env: Mapping[str, SecretKeyRef | SecretKeySelectorArgs]
    """References by the name of the variable."""
    checksum: pulumi.Output[str]
    """Changes when a value in the stack's own Secret does, and tells nothing about it."""


def stack_secret(name: str, settings: WebUISettings, secrets: SecretsSettings, place: Place) -> Credentials:
    """Keeps the stack's own credentials in one Secret; those that exist elsewhere are only referred to."""
    references: dict[str, SecretKeyRef] = {}
    own: dict[str, pulumi.Output[str]] = {}

    def add(reference: SecretKeyRef | None, value: SecretStr | None, *variables: str) -> None:
        for variable in variables:
            if reference is not None:
                references[variable] = reference
            elif value is not None:
                own[variable] = pulumi.Output.secret(value.get_secret_value())

    key = session_key(f"{name}-session-key", secrets.session_key, place)
    if settings.session_key_from is not None:
        references["WEBUI_SECRET_KEY"] = settings.session_key_from
    else:
        own["WEBUI_SECRET_KEY"] = key
    if settings.database is not None:
        add(settings.database.url_from, secrets.database_url, "DATABASE_URL")
    if settings.redis is not None:
        add(settings.redis.url_from, secrets.redis_url, "REDIS_URL", "WEBSOCKET_REDIS_URL")
    if (store := settings.object_storage) is not None:
        add(store.access_key_id_from, secrets.s3_access_key_id, "S3_ACCESS_KEY_ID")
        add(store.secret_access_key_from, secrets.s3_secret_access_key, "S3_SECRET_ACCESS_KEY")
    if not own:
        return Credentials(references, pulumi.Output.from_input("none"))

    secret = Secret(name, metadata=place.metadata(name), string_data=own, opts=place.opts)
    selectors = {variable: SecretKeySelectorArgs(name=secret.metadata.name, key=variable) for variable in own}
    # The key is long and random: with it, nobody can guess a short password from the digest
    return Credentials({**references, **selectors}, _checksum({**own, "WEBUI_SECRET_KEY": key}))


def _checksum(values: Mapping[str, pulumi.Output[str]]) -> pulumi.Output[str]:
    """One digest over all values, which tells nothing about a single one."""

    def digest(resolved: Mapping[str, str]) -> str:
        text = "\n".join(f"{name}={resolved[name]}" for name in sorted(resolved))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    return pulumi.Output.unsecret(pulumi.Output.all(**values).apply(digest))
