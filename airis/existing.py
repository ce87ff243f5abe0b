"""What is in the cluster already and is not the stack's: Pulumi would refuse to make it, and end in the middle of its work."""

import json
from collections.abc import Sequence

from airis.cluster import Cluster
from airis.engine import Engine
from airis.errors import AirisError
from airis.kubectl import KubectlError, KubeObject
from airis.recovery import strangers
from airis.stacks import StackFile
from components.existing import LEFT_BEHIND

_LEFT_BEHIND = ("Namespace", "PersistentVolumeClaim")
"""What `destroy` leaves in the cluster."""
_IN_USE = (
    "Another stack, or something else, runs there: give this stack another airis:namespace. What runs without Pulumi, `airis "
    "adopt` takes over (docs/moving.md)."
)


def refuse_existing(engine: Engine, cluster: Cluster | None, wanted: Sequence[KubeObject], stack: StackFile) -> None:
    """Raises AirisError, naming them, where wanted objects exist that the stack's state does not know.

    Not where the engine takes over what exists, nor where kubectl cannot ask.
    """
    if cluster is None or stack.upserts or engine.takes_existing:
        return
    there = _there(cluster, wanted)
    found = strangers(engine.export_state(), wanted, lambda each: {} if (each[1].lower(), each[3]) in there else None)
    if not found:
        return
    names = ", ".join(f"{kind}/{name}" for _, kind, _, name in found)
    left = all(kind in _LEFT_BEHIND for _, kind, _, _ in found)
    raise AirisError(
        f"there already, and not made by stack {stack.name}: {names}. Nothing was changed",
        LEFT_BEHIND if left else _IN_USE,
    )


def _there(cluster: Cluster, wanted: Sequence[KubeObject]) -> set[tuple[str, str]]:
    """Kind, in small letters, and name of those that exist; none where kubectl cannot tell: Pulumi then does, later."""
    inside = [each for each in wanted if each["metadata"].get("namespace", cluster.namespace) == cluster.namespace]
    objects = json.dumps({"apiVersion": "v1", "kind": "List", "items": inside})
    try:
        named = cluster.run("get", "--filename=-", "--ignore-not-found", "--output=name", stdin=objects)
    except KubectlError:
        return set()
    lines = (line.partition("/") for line in named.splitlines())
    return {(resource.partition(".")[0], name) for resource, _, name in lines}
