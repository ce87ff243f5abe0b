"""ServiceAccounts for pods, without access to the API server."""

from collections.abc import Mapping
from types import MappingProxyType

import pulumi
from pulumi_kubernetes.core.v1 import ServiceAccount

from components.metadata import Place


def service_account(
    name: str, place: Place, annotations: Mapping[str, str] = MappingProxyType({})
) -> pulumi.Output[str]:
    """Creates a ServiceAccount without a token, and returns its name.

    `annotations` may give it a cloud identity, for which the cloud's webhook mounts a token.
    """
    account = ServiceAccount(
        name, metadata=place.metadata(name, annotations), automount_service_account_token=False, opts=place.opts
    )
    return account.metadata.name
