"""ServiceAccounts that give a pod a name of its own, and no way to the API server."""

import pulumi
from pulumi_kubernetes.core.v1 import ServiceAccount

from components.metadata import Place


def service_account(name: str, place: Place) -> pulumi.Output[str]:
    """Makes a ServiceAccount without a token, and returns its name."""
    account = ServiceAccount(
        name, metadata=place.metadata(name), automount_service_account_token=False, opts=place.opts
    )
    return account.metadata.name
