"""Credentials that are generated once and do not change."""

import secrets

import pulumi

from components.metadata import Place

_BYTES = 48


def generated(name: str, place: Place) -> pulumi.Output[str]:
    """A random text of 64 letters, digits, - and _, valid in any URL. Generated at the first `up`, and kept in the state.

    A Stash keeps its first value as long as changes of its input are ignored. Because it is protected, it outlives `destroy`,
    like the claims with the data that it opens. It is encrypted in the state.
    """
    stash = pulumi.Stash(
        name,
        input=pulumi.Output.secret(secrets.token_urlsafe(_BYTES)),
        opts=pulumi.ResourceOptions(parent=place.parent, ignore_changes=["input"], protect=True),
    )
    return pulumi.Output.secret(stash.output)
