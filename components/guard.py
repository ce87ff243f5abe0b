"""Refuses to run on another cluster than the pinned one, whatever starts the program."""

import pulumi
from pulumi_kubernetes.core.v1 import Namespace

from settings.platform.cluster import ClusterSettings


def only_on(cluster: ClusterSettings, value: str) -> pulumi.Input[str]:
    """The value, once the API server is confirmed to be that of the pinned cluster.

    Everything that depends on the value waits for that, in a preview too. On another cluster, the program fails with both UIDs.
    With mocks there is no cluster, and nothing to compare.
    """
    if cluster.uid is None:
        return value

    def check(metadata: object) -> str:
        uid = getattr(metadata, "uid", None)
        if uid is not None and uid != cluster.uid:
            raise pulumi.RunError(
                f"this stack is pinned to cluster {cluster.uid} (airis:cluster.uid), but this is {uid}. Nothing was changed."
            )
        return value

    return Namespace.get("kube-system", "kube-system").metadata.apply(check)
