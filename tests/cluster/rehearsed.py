"""Rehearses the stacks of the stories with snapshots of their cluster, and compares the verdicts with the real results."""

import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime

from airis.cluster.kubectl import KubeObject
from airis.rehearse.rehearsal import clean, rehearse_together, surroundings
from airis.rehearse.sandbox import Sandbox
from airis.rehearse.snapshot import Snapshot
from airis.rehearse.snapshot.take import take
from airis.rehearse.verdict import Verdict
from tests.cluster.target import Target
from tests.rehearsal.conftest import remove

_SECONDS = 180.0


def snapshot_of(target: Target, *namespaces: str) -> Snapshot:
    """A snapshot of the cluster, as by `airis snapshot`."""
    return take(target.within(namespaces[0]), namespaces, set(), datetime.now(UTC).date())


def rehearsed(stacks: Mapping[str, Sequence[KubeObject]], snapshot: Snapshot, target: Target) -> dict[str, Verdict]:
    """The verdicts of a rehearsal of all stacks together, with the snapshot."""
    sandbox = Sandbox(f"airis-test-{os.getpid()}")
    # The tests are in the node's network; a second control plane there would disturb the node's
    with target.node.outside() if target.node else nullcontext():
        try:
            sandbox.up()
            clean(sandbox.kubectl)
            sandbox.set_nodes(snapshot.of_kind("Node"))
            around = surroundings(stacks, snapshot)
            verdicts = rehearse_together(stacks, sandbox.kubectl, timeout_seconds=_SECONDS, around=around)
        finally:
            remove(sandbox)
    return {each.stack: each for each in verdicts}


@dataclass
class Deployed:
    """The stacks that came up on the cluster, each with an earlier snapshot."""

    stacks: dict[str, tuple[Snapshot, Sequence[KubeObject]]] = field(default_factory=dict)
    """By namespace; for a changed stack, its last state."""

    def surprises(self, target: Target) -> list[str]:
        """The problems that a rehearsal reports for stacks that came up."""
        if not self.stacks:
            return []
        stacks = {namespace: wanted for namespace, (_, wanted) in self.stacks.items()}
        verdicts = rehearsed(stacks, _together([seen for seen, _ in self.stacks.values()]), target)
        return [
            f"{name}: {each.kind}/{each.name} is {each.state} in the rehearsal: {each.reason}"
            for name, verdict in verdicts.items()
            for each in verdict.findings
            if not each.ok
        ]


def _together(snapshots: Sequence[Snapshot]) -> Snapshot:
    """One snapshot for all stacks: the stories ran one after the other, but here the nodes have room for all at once."""
    last = snapshots[-1]
    own = [each for seen in snapshots for each in seen.objects if _is_own(each)]
    nodes = [_with_room(each, snapshots) for each in last.of_kind("Node")]
    wide = [each for each in last.objects if not _is_own(each) and each["kind"] != "Node"]
    return last.model_copy(
        update={
            "namespaces": tuple(name for seen in snapshots for name in seen.namespaces),
            "secrets": tuple(each for seen in snapshots for each in seen.secrets),
            "config_maps": tuple(each for seen in snapshots for each in seen.config_maps),
            "objects": (*nodes, *wide, *own),
        }
    )


def _is_own(body: KubeObject) -> bool:
    """Whether it is in the only namespace of its snapshot."""
    return body["kind"] in ("Namespace", "PersistentVolume") or "namespace" in body["metadata"]


def _with_room(node: KubeObject, snapshots: Sequence[Snapshot]) -> KubeObject:
    """The uncordoned node with all resources that it had in a story: some add GPUs for a while, or taint or cordon it."""
    metadata, offered, labels = node["metadata"], dict[str, str](), dict[str, str]()
    for seen in snapshots:
        for each in seen.of_kind("Node"):
            if each["metadata"]["name"] == metadata["name"]:
                offered |= each["status"]["allocatable"]
                labels |= each["metadata"].get("labels", {})
    return {
        **node,
        "metadata": {**metadata, "labels": labels},
        "spec": {},
        "status": {"allocatable": {**offered, "cpu": "1000", "memory": "4Ti", "pods": "1000"}},
    }
