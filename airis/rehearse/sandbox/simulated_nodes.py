"""Nodes in the sandbox, which KWOK simulates: it sets their status, and starts no containers."""

import hashlib
import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from airis.cluster.kubectl import Kubectl, KubeObject
from airis.cluster.readiness import is_ready
from airis.terminal.errors import EnvironmentProblem

_APPLYING = 4
"""The number of concurrent kubectl processes."""

_SECONDS = 60.0
_POLL_SECONDS = 0.2
_DIGEST = "airis.dev/node-digest"


def set_nodes(kubectl: Kubectl, nodes: Sequence[KubeObject]) -> None:
    """Makes these the sandbox's only nodes, and waits until they are Ready.

    Nodes that already match are kept; one that was cordoned or tainted since is recreated. Raises KubectlError if the API
    server rejects one, and EnvironmentProblem if they do not become Ready.
    """
    wanted = {each["metadata"]["name"]: _for_kwok(each) for each in nodes}
    present = {each["metadata"]["name"]: each for each in kubectl.get("nodes")}
    kept = {name for name, each in present.items() if name in wanted and _is_unchanged(each, wanted[name])}
    stale = [each for name, each in present.items() if name not in kept]
    missing = [each for name, each in wanted.items() if name not in kept]
    # The status of an existing node cannot be applied with its spec: a changed node is recreated
    limit = _SECONDS + len(nodes) / 5
    kubectl.delete(stale, timeout=_SECONDS + len(stale) / 5)
    with ThreadPoolExecutor(_APPLYING) as pool:  # kubectl sends one object after the other
        parts = [part for start in range(_APPLYING) if (part := missing[start::_APPLYING])]
        list(pool.map(partial(kubectl.apply, timeout=limit), parts))
    deadline = time.monotonic() + limit
    while not all(map(_is_schedulable, kubectl.get("nodes"))):
        if time.monotonic() > deadline:
            raise EnvironmentProblem(
                "the sandbox's nodes do not become Ready", "run `airis sandbox down`, and try again"
            )
        time.sleep(_POLL_SECONDS)


def _for_kwok(node: KubeObject) -> dict[str, Any]:
    """The node with the annotation by which KWOK selects nodes, and with the status that a kubelet would report."""
    status = dict(node.get("status", {}))
    allocatable = {"pods": "110", **status.get("allocatable", {})}
    status = {**status, "allocatable": allocatable, "capacity": {**allocatable, **status.get("capacity", {})}}
    digest = hashlib.sha256(json.dumps([node, status], sort_keys=True).encode()).hexdigest()
    annotations = {**node["metadata"].get("annotations", {}), "kwok.x-k8s.io/node": "fake", _DIGEST: digest}
    return {**node, "metadata": {**node["metadata"], "annotations": annotations}, "status": status}


def _digest_of(node: KubeObject) -> str | None:
    digest: str | None = node.get("metadata", {}).get("annotations", {}).get(_DIGEST)
    return digest


def _is_unchanged(node: KubeObject, wanted: KubeObject) -> bool:
    """Whether it was created from this description, and has the same taints."""
    return _digest_of(node) == _digest_of(wanted) and _closed_by(node) == _closed_by(wanted)


def _closed_by(node: KubeObject) -> set[tuple[str, str, str]]:
    """Taints and `kubectl cordon`, without the taints that the node controller sets and removes."""
    spec = node.get("spec", {})
    taints = {(each["key"], each.get("value", ""), each["effect"]) for each in spec.get("taints", [])}
    own = {each for each in taints if not each[0].startswith("node.kubernetes.io/")}
    return own | ({("cordoned", "", "")} if spec.get("unschedulable") else set())


def _is_schedulable(node: KubeObject) -> bool:
    """Ready and schedulable: a controller removes the taint of a new node a moment after it becomes Ready."""
    closed = any(each["key"] == "node.kubernetes.io/not-ready" for each in node["spec"].get("taints", []))
    return not closed and is_ready(node)
