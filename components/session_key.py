"""The key that signs WebUI's sessions: made once, and never changed by itself."""

import secrets

import pulumi
from pydantic import SecretStr

from components.metadata import Place

_BYTES = 48


def session_key(name: str, given: SecretStr | None, place: Place) -> pulumi.Output[str]:
    """The user's own key, or one that is generated at the first `up` and kept in the stack's state, encrypted.

    A Stash keeps its first value for ever, as long as changes of its input are ignored; and protected it outlives
    `destroy`, as the claims do that hold what the key encrypts. It is there even when a key is given: so one can go over to
    a key of one's own, and back.
    """
    stash = pulumi.Stash(
        name,
        input=pulumi.Output.secret(secrets.token_urlsafe(_BYTES)),
        opts=pulumi.ResourceOptions(parent=place.parent, ignore_changes=["input"], protect=True),
    )
    return pulumi.Output.secret(stash.output if given is None else given.get_secret_value())
