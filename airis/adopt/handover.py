"""Hands the fields that kubectl or Helm owns over to Pulumi's field manager.

Server-side apply only removes fields that its own manager applied before. Without the handover, stale fields (a GPU limit of 0,
an old mount) would remain forever, and every changed field would be a conflict. Only the owners in `metadata.managedFields`
change: the object itself does not change, and no pod restarts. kubectl does the same when it migrates from client-side to
server-side apply (k8s.io/client-go, util/csaupgrade), and so does Pulumi's provider with its own objects.
"""

import copy
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from airis.cluster.kubectl import KubeObject
from components.takeover import FIELD_MANAGER

_BEFORE = ("kubectl", "helm", "Helm", "before-first-apply", "kustomize")
"""Prefixes of the field managers of deployment tools. Controllers keep their fields."""

_LAST_APPLIED = "f:kubectl.kubernetes.io/last-applied-configuration"

Fields = dict[str, Any]


def was_deployed_by(entry: Mapping[str, Any]) -> bool:
    """Whether an entry of `managedFields` belongs to a deployment tool, and not to a controller."""
    return str(entry.get("manager", "")).startswith(_BEFORE) and entry.get("subresource", "scale") == "scale"


def managers(body: KubeObject) -> list[str]:
    """The field managers of the tools that deployed the object."""
    entries = body["metadata"].get("managedFields", [])
    return sorted({str(each["manager"]) for each in entries if was_deployed_by(each)})


def handed_over(body: KubeObject, wanted: KubeObject) -> list[dict[str, Any]] | None:
    """The object's new `managedFields`, or None if there is nothing to hand over.

    `wanted` is what the stack will apply. Of a namespace and of claims, only the fields that the stack sets are handed over:
    the stack must not remove other fields (such as labels for a service mesh), and a claim's spec is immutable.
    """
    mine: Fields = {}
    kept: list[dict[str, Any]] = []
    found = False
    for entry in body["metadata"].get("managedFields", []):
        if entry["manager"] == FIELD_MANAGER and entry["operation"] == "Apply" and not entry.get("subresource"):
            mine = merged(mine, entry["fieldsV1"])
        elif not was_deployed_by(entry):
            kept.append(entry)
        elif body["kind"] in ("Namespace", "PersistentVolumeClaim"):
            taken, left = _split(entry["fieldsV1"], wanted)
            found = found or bool(taken)
            mine = merged(mine, taken)
            if left:
                kept.append({**entry, "fieldsV1": left})
        else:
            found = True
            mine = merged(mine, entry["fieldsV1"])
    if not found:
        return None
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    entry = {
        "manager": FIELD_MANAGER,
        "operation": "Apply",
        "apiVersion": body["apiVersion"],
        "time": now,
        "fieldsType": "FieldsV1",
        "fieldsV1": mine,
    }
    return [entry, *kept]


def operations(fields: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The JSON patch that sets `managedFields`."""
    return [{"op": "replace", "path": "/metadata/managedFields", "value": list(fields)}]


def merged(one: Fields, other: Mapping[str, Any]) -> Fields:
    """The union of two sets of fields."""
    both = copy.deepcopy(one)
    for key, value in other.items():
        both[key] = merged(both.get(key, {}), value)
    return both


def _split(fields: Mapping[str, Any], wanted: KubeObject) -> tuple[Fields, Fields]:
    """Splits the fields into those that the stack sets, and the others."""
    taken: Fields = {}
    left = copy.deepcopy(dict(fields))
    for group in ("labels", "annotations"):
        names = {f"f:{key}" for key in wanted["metadata"].get(group) or {}} | {_LAST_APPLIED}
        there = left.get("f:metadata", {}).get(f"f:{group}", {})
        for name in names & there.keys():
            taken.setdefault("f:metadata", {}).setdefault(f"f:{group}", {})[name] = there.pop(name)
    if "f:resources" in left.get("f:spec", {}):
        taken["f:spec"] = {"f:resources": left["f:spec"].pop("f:resources")}
    return taken, left
