"""The key that signs the WebUI's sessions."""

import pulumi
from pydantic import SecretStr

from components.generated import generated
from components.metadata import Place


def session_key(name: str, given: SecretStr | None, place: Place) -> pulumi.Output[str]:
    """The configured key, or one that is generated at the first `up`.

    The generated key is kept even if a key is configured, so that it is possible to switch to a configured key and back.
    """
    made = generated(name, place)
    return made if given is None else pulumi.Output.secret(given.get_secret_value())
