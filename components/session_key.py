"""The key that signs WebUI's sessions: made once, and never changed by itself."""

import pulumi
from pydantic import SecretStr

from components.generated import generated
from components.metadata import Place


def session_key(name: str, given: SecretStr | None, place: Place) -> pulumi.Output[str]:
    """The user's own key, or one that is generated at the first `up`.

    The generated one is there even when a key is given: so one can go over to a key of one's own, and back.
    """
    made = generated(name, place)
    return made if given is None else pulumi.Output.secret(given.get_secret_value())
