"""Credentials that are made once, and never change by themselves."""

import secrets

import pulumi

from components.metadata import Place

_BYTES = 48


def generated(name: str, place: Place) -> pulumi.Output[str]:
    """A random text of 64 letters, digits, - and _, which fits into any URL; made at the first `up`, and kept in the state.

    A Stash keeps its first value for ever, as long as changes of its input are ignored; and protected it outlives `destroy`,
    as the claims do that hold what it opens. In the state it is encrypted.
    """
    stash = pulumi.Stash(
        name,
        input=pulumi.Output.secret(secrets.token_urlsafe(_BYTES)),
        opts=pulumi.ResourceOptions(parent=place.parent, ignore_changes=["input"], protect=True),
    )
    return pulumi.Output.secret(stash.output)
