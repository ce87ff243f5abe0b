"""The WebUI's credentials: the Secret and key of each variable."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.core.v1 import Secret, SecretKeySelectorArgs
from pydantic import SecretStr

from components.metadata import Place
from components.session_key import session_key
from settings.types.secrets import SecretsSettings
from settings.types.variables import variables
from settings.webui.webui import WebUISettings

_SESSION_KEY = "WEBUI_SECRET_KEY"


@dataclass(frozen=True)
class Credentials:
    """How a pod gets the stack's credentials."""

    variables: Mapping[str, SecretKeySelectorArgs]
    """References, by the name of the variable."""
    checksum: pulumi.Output[str]
    """Changes with every value in the stack's Secret, and reveals nothing about the values."""


def stack_secret(name: str, settings: WebUISettings, secrets: SecretsSettings, place: Place) -> Credentials:
    """Keeps the stack's credentials in one Secret, if there are any."""
    given = {variable: value for variable, value in variables(secrets).items() if isinstance(value, SecretStr)}
    key = session_key(f"{name}-session-key", secrets.session_key, place)
    held = {variable: pulumi.Output.secret(value.get_secret_value()) for variable, value in given.items()}
    if settings.session_key_from is None:
        held[_SESSION_KEY] = key
    further = {each: pulumi.Output.secret(value.get_secret_value()) for each, value in secrets.values.items()}
    if not held and not further:
        return Credentials({}, pulumi.Output.from_input("none"))

    secret = Secret(name, metadata=place.metadata(name), string_data={**held, **further}, opts=place.opts)
    selectors = {variable: SecretKeySelectorArgs(name=secret.metadata.name, key=variable) for variable in held}
    # The key is long and random, so that a short password cannot be guessed from the digest
    return Credentials(selectors, _checksum({**held, **further, _SESSION_KEY: key}))


def _checksum(values: Mapping[str, pulumi.Output[str]]) -> pulumi.Output[str]:
    """One digest over all values, which reveals nothing about any of them."""

    def digest(resolved: Mapping[str, str]) -> str:
        text = "\n".join(f"{name}={resolved[name]}" for name in sorted(resolved))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    return pulumi.Output.unsecret(pulumi.Output.all(**values).apply(digest))
