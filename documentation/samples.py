"""Samples for the pictures: fixed results for the committed stack gpu, made by the program's own code.

Names and times that differ between runs are fixed here; everything else comes from the program, and changes with it.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from airis.cluster.finding import Finding, State
from airis.diff.changes import whole
from airis.diff.model import Diff
from airis.diff.registered import taken
from airis.diff.stack_objects import Side, side_of
from airis.doctor.checks import CHECKS
from airis.doctor.examination import Examination  # registers the checks
from airis.doctor.observation import Observation, Server
from airis.doctor.requirements import Requirements
from airis.doctor.this_machine import Machine
from airis.rehearse.sandbox.nodes import load_nodes
from airis.rehearse.verdict import Verdict
from airis.render import manifest, program
from airis.render.objects import manifests
from airis.stack_file.stacks import read_stack, settings_of

STACK = "gpu"

LACKING = "0/2 nodes are available: 2 Insufficient nvidia.com/gpu."
"""The scheduler's message if too many GPUs are requested."""

_PODS = {
    "Deployment": ("-57d8b4c5b4-6mvkq", "cpu-0"),
    "StatefulSet": ("-0", "gpu-0"),
    "Job": ("-58mzz", "gpu-0"),
}
"""By kind: the suffix of the pod's name, and its node."""
_STATES = {
    "PersistentVolumeClaim": State.BOUND,
    **dict.fromkeys(("Namespace", "Service", "Deployment", "StatefulSet", "Job"), State.READY),
}
_SECONDS = 1.7

_CHANGE: Mapping[str, Any] = {
    "ollama": {"gpu": {"count": 2}, "storage": {"size": "60Gi"}, "models": ["llama3.1:8b"]},
    "ingress": {"host": "airis.minikube.local"},
}
"""The settings that the diff is about."""

_CHECKS = ("version", "default-storage-class", "gpu", "ingress-class", "dns")
"""The checks in the picture. The others need more objects of a cluster than the sample has."""

_MACHINE = Machine((3, 12), "3.300.0", "3.260.0", "4.34.0", True, "kubectl", ".state", "")


def verdict(root: Path, *, lacking: str = "") -> Verdict:
    """The verdict of a rehearsal; with `lacking`, the reason why Ollama's pod is not scheduled."""
    findings = []
    for each in manifest.in_order(program.run(read_stack(STACK, root)).objects):
        namespace = str(each.manifest["metadata"].get("namespace", ""))
        waits = lacking != "" and each.kind in ("StatefulSet", "Service") and each.name.startswith("ollama")
        state = State.PENDING if waits else _STATES.get(each.kind, State.ADMITTED)
        findings.append(Finding(each.kind, each.name, namespace, state))
        if each.kind in _PODS:
            suffix, node = _PODS[each.kind]
            reason = lacking if waits else ""
            findings.append(Finding("Pod", f"{each.name}{suffix}", namespace, state, "" if waits else node, reason))
    return Verdict(STACK, tuple(findings), _SECONDS)


def diff(root: Path) -> Diff:
    """What a change of the stack file does: another GPU, a larger volume, and a model."""
    stack = read_stack(STACK, root)

    def side(label: str, config: Mapping[str, str]) -> Side:
        found = taken(replace(stack, config=dict(config)), b"the same on both sides")
        return side_of(label, {"problem": "", **found})

    changed = {f"airis:{key}": json.dumps(value) for key, value in _CHANGE.items()}
    sides = side("main", stack.config), side("the working tree", changed)
    return whole(STACK, *sides, lambda config: side("tried", config))


def examination(root: Path) -> Examination:
    """The findings of `airis doctor` in a new cluster without GPUs, default StorageClass and ingress controller."""
    stack = read_stack(STACK, root)
    nodes = [each for each in load_nodes() if not each["metadata"]["name"].startswith("gpu")]
    classes = [{"metadata": {"name": "standard"}, "provisioner": "kubernetes.io/host-path"}]
    server = Server(
        version="v1.36.3",
        client="v1.36.3",
        objects={
            "nodes": nodes,
            "pods": [],
            "storageclasses.storage.k8s.io": classes,
            "ingressclasses.networking.k8s.io": [],
            "persistentvolumeclaims": [],
            "ingresses.networking.k8s.io": [],
        },
    )
    look = Observation(_MACHINE, server=server, wanted=Requirements(STACK, settings_of(stack), manifests(stack)))
    found = [finding for name in _CHECKS for finding in CHECKS[name].findings(look)]
    return Examination(STACK, found, cluster_needed=True, cluster_answers=True)
