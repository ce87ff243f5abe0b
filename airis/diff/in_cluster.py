"""What a changed stack lacks in the cluster of a snapshot. Only reads the snapshot; nothing is rehearsed."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from airis.cluster.kubectl import KubeObject
from airis.diff.model import Diff, Problem
from airis.doctor.observation import named
from airis.doctor.requirements import amount
from airis.rehearse.snapshot import Snapshot
from airis.rehearse.snapshot.environment import of_snapshot
from airis.rehearse.snapshot.missing import class_of
from airis.render.objects import manifests
from airis.stack_file.stacks import read_stack


def with_snapshot(diff: Diff, stack: str, snapshot: Snapshot) -> Diff:
    """The diff, with what the stack lacks in the cluster, assumptions, and notes on the snapshot."""
    objects = manifests(read_stack(stack))
    around = of_snapshot({stack: objects}, snapshot, datetime.now(UTC).date())
    lacking = [f"{kind}/{name}: {each.words}" for each in around.lacks for kind, _, name in [each.by]]
    problems = [
        *(Problem("cluster", words) for words in (*lacking, *_growing(objects, snapshot))),
        *(Problem("reasons", f"assumed to exist in the cluster: {words}") for words in around.assumed[stack]),
        *(Problem("reasons", words) for words in around.notes),
    ]
    return replace(diff, problems=(*diff.problems, *problems))


def _growing(objects: Sequence[KubeObject], snapshot: Snapshot) -> Iterator[str]:
    """Claims that are to grow, but whose class does not allow expansion: the API server rejects that."""
    for each in objects:
        if each["kind"] != "PersistentVolumeClaim":
            continue
        there = named(
            snapshot.of_kind("PersistentVolumeClaim", each["metadata"]["namespace"]), each["metadata"]["name"]
        )
        found = None if there is None else class_of(there, snapshot)
        if there is None or found is None or found.get("allowVolumeExpansion"):
            continue
        has, wanted = (one["spec"]["resources"]["requests"]["storage"] for one in (there, each))
        if amount(wanted) > amount(has):
            name, of = each["metadata"]["name"], found["metadata"]["name"]
            yield f"PersistentVolumeClaim/{name}: would grow from {has} to {wanted}; its class {of} does not allow expansion"
