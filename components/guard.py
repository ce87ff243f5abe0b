"""Keeps a stack to its own cluster, whatever runs the program."""

import pulumi
from pulumi_kubernetes.core.v1 import Namespace

from settings.platform.cluster import ClusterSettings


def only_on(cluster: ClusterSettings, value: str) -> pulumi.Input[str]:
    """The value, once the API server has turned out to be the one that the stack belongs to.

    What is made of the value waits for that, in a preview too. On another cluster the program fails with both UIDs. Under
    mocks there is no cluster, and nothing to compare.
    """
    if cluster.uid is None:
        return value

    def check(metadata: object) -> str:
        uid = getattr(metadata, "uid", None)
        if uid is not None and uid != cluster.uid:
            raise pulumi.RunError(
                f"airis:cluster.uid is {cluster.uid}, and this cluster is {uid}: it is another one. Nothing was changed."
            )
        return value

    return Namespace.get("kube-system", "kube-system").metadata.apply(check)
