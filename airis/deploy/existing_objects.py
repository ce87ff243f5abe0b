"""Objects that exist in the cluster, but not in the stack's state: Pulumi refuses to create them, and stops halfway."""

import json
from collections.abc import Sequence

from airis.cluster.connection import Cluster
from airis.cluster.kubectl import KubectlError, KubeObject
from airis.deploy.engine import Engine
from airis.deploy.recovery import strangers
from airis.stack_file.stacks import StackFile
from airis.terminal.errors import AirisError
from components.existing import what_to_do


def refuse_existing(engine: Engine, cluster: Cluster | None, wanted: Sequence[KubeObject], stack: StackFile) -> None:
    """Raises AirisError with the names of wanted objects that exist, but are not in the stack's state.

    Does nothing if the engine takes over existing objects, or if kubectl cannot reach the cluster.
    """
    if cluster is None or stack.upserts or engine.takes_existing or not (there := _there(cluster, wanted)):
        return
    found = strangers(engine.export_state(), wanted, lambda each: {} if (each[1].lower(), each[3]) in there else None)
    if found:
        names = ", ".join(f"{kind}/{name}" for _, kind, _, name in found)
        raise AirisError(
            f"already in the cluster, but not created by stack {stack.name}: {names}. Nothing was changed",
            what_to_do(kind for _, kind, _, _ in found),
        )


def _there(cluster: Cluster, wanted: Sequence[KubeObject]) -> set[tuple[str, str]]:
    """Lower-case kind and name of the objects that exist. Empty if kubectl fails: Pulumi then reports the conflict later."""
    inside = [each for each in wanted if each["metadata"].get("namespace", cluster.namespace) == cluster.namespace]
    objects = json.dumps({"apiVersion": "v1", "kind": "List", "items": inside})
    try:
        named = cluster.run("get", "--filename=-", "--ignore-not-found", "--output=name", stdin=objects)
    except KubectlError:
        return set()
    lines = (line.partition("/") for line in named.splitlines())
    return {(resource.partition(".")[0], name) for resource, _, name in lines}
