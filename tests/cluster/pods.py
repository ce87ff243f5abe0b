"""Small pods for tests: a shell script and its output."""

from collections.abc import Mapping
from typing import Any

from tests.cluster.images.recipes import BUSYBOX
from tests.cluster.ready import wait_ready
from tests.cluster.target import Target

_RESTRICTED = {
    "runAsNonRoot": True,
    "runAsUser": 10001,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""The fields that the namespace of a stack requires of pods (Kubernetes, "Pod Security Standards")."""


def shell(name: str, namespace: str, script: str = "sleep 3600", **container: Any) -> dict[str, Any]:
    """A pod named and labeled `name`, in which busybox runs `script`. `container` are other fields of the container."""
    body = {
        "name": "shell",
        "image": BUSYBOX,
        "command": ["sh", "-euc", script],
        "securityContext": _RESTRICTED,
        **container,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        # It ends immediately: a shell as process 1 ignores SIGTERM
        "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": [body]},
    }


def make(cluster: Target, namespace: str, *objects: Mapping[str, Any]) -> None:
    """Creates the namespace and the objects, and waits until they are ready."""
    wanted = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}, *objects]
    cluster.images.load(BUSYBOX)
    cluster.kubectl.apply(wanted)
    wait_ready(cluster.kubectl, wanted)
