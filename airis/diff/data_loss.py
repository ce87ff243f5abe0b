"""How a change affects data: claims, the volumes that pods mount, and the servers that store Open WebUI's data."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from airis.diff.compare import URN, Compared
from airis.diff.fields import ABSENT
from airis.diff.model import Action, DataNote
from airis.diff.stack_objects import Item, Side
from airis.diff.totals import quantity

_STORAGE = "airis.dev/storage"
"""The annotation with a claim's access mode and class (components/claim.py)."""

_ELSEWHERE = {
    "DATABASE_URL": "the database",
    "DATABASE_SCHEMA": "the database",
    "STORAGE_PROVIDER": "the storage for uploads",
    "S3_BUCKET_NAME": "the bucket for uploads",
    "S3_ENDPOINT_URL": "the server for uploads",
    "S3_KEY_PREFIX": "the folder for uploads in the bucket",
    "GCS_BUCKET_NAME": "the bucket for uploads",
    "AZURE_STORAGE_ENDPOINT": "the server for uploads",
    "AZURE_STORAGE_CONTAINER_NAME": "the container for uploads",
    "VECTOR_DB": "the place of embeddings",
    "PGVECTOR_DB_URL": "the place of embeddings",
    "CHROMA_HTTP_HOST": "the place of embeddings",
    "CHROMA_TENANT": "the place of embeddings",
    "CHROMA_DATABASE": "the place of embeddings",
    "QDRANT_URI": "the place of embeddings",
    "QDRANT_COLLECTION_PREFIX": "the place of embeddings",
    "MILVUS_URI": "the place of embeddings",
    "MILVUS_DB": "the place of embeddings",
    "WEAVIATE_HTTP_HOST": "the place of embeddings",
    "OPENSEARCH_URI": "the place of embeddings",
    "ELASTICSEARCH_URL": "the place of embeddings",
    "ELASTICSEARCH_INDEX_PREFIX": "the place of embeddings",
}
"""Variables of Open WebUI that determine where it stores data (open_webui/env.py, open_webui/config.py)."""

_DEFAULTS = {"VECTOR_DB": "chroma", "STORAGE_PROVIDER": "local"}
"""Open WebUI's defaults: setting a variable to its default is no change."""


def data_notes(change: Compared, before: Side, after: Side) -> Iterator[DataNote]:
    """Every way in which the change affects data; none for most changes."""
    if change.item.kind == "PersistentVolumeClaim":
        yield from _claim(change)
    elif change.item.template:
        yield from _mounts(change, before, after)
        yield from _servers(change)
        yield from _templates(change)
    elif change.item.kind == "Namespace" and change.action in (Action.DELETED, Action.REPLACED):
        if change.before is not None and not change.before.retain:
            yield DataNote(f"{change.before} is deleted with every claim in it")
    elif change.item.kind == "Secret":
        yield from _addresses(change)
    if change.item.kind in ("PersistentVolumeClaim", "Namespace"):
        for each in change.differences:
            if each.path in ("(protect)", "(retainOnDelete)") and each.after is False:
                yield DataNote(
                    "it is no longer protected from deletion and replacement"
                    if each.path == "(protect)"
                    else "it is no longer retained on `destroy`"
                )


def refusals(change: Compared) -> Iterator[str]:
    """Why `up` rejects the change in its preview, before it changes anything."""
    old = change.before
    if old is None:
        return
    if old.protect and change.action in (Action.REPLACED, Action.DELETED, Action.KEPT):
        verb = "replace" if change.action is Action.REPLACED else "remove"
        yield f"{old} is protected: `up` would have to {verb} it, and stops (docs/data.md describes how to remove protection)"
    if old.kind == "PersistentVolumeClaim" and change.after is not None:
        for each in change.differences:
            if each.path == f"metadata.annotations[{_STORAGE}]" and ABSENT not in (each.before, each.after):
                yield f"the claim would change from {each.before} to {each.after}, which is not possible for an existing volume"
        was, will = _size(old), _size(change.after)
        if quantity(will) < quantity(was):
            yield f"the claim would shrink from {was} to {will}: volumes can only grow"
    if old.urn and any(each.path == URN for each in change.differences):
        yield f"{old} has a new URN: Pulumi would create it again, but the name is taken (an alias avoids that)"


def _claim(change: Compared) -> Iterator[DataNote]:
    old, new = change.before, change.after
    if old is None:
        return
    if new is None:
        if old.stray:
            yield DataNote(
                f"the claim {old.name} is not in the stack, and no pod uses it; its data is kept", harmless=True
            )
        elif change.action is Action.KEPT:
            yield DataNote(
                f"the claim {old.name} is removed from the stack; it stays in the cluster with its data, unused"
            )
        else:
            yield DataNote(f"the claim {old.name} is deleted with its data")
        return
    if change.action is Action.REPLACED:
        moved = old.identity != new.identity
        left = "is left behind" if old.retain else "is deleted"
        words = f"{new.name} in {new.namespace} is new and empty; the data of {old.name} in {old.namespace} {left}"
        yield DataNote(words if moved else f"the claim {old.name} is deleted with its data, and recreated empty")
        return
    was, will = _size(old), _size(new)
    if quantity(will) > quantity(was):
        yield DataNote(
            f"the claim {new.name} grows in place from {was} to {will}, if its StorageClass allows it; it cannot shrink again",
            harmless=True,
        )
    elif quantity(will) < quantity(was):
        yield DataNote(f"the claim {new.name} would shrink from {was} to {will}, which is not possible")
    for field in ("spec.accessModes", "spec.storageClassName", "spec.volumeName", "spec.selector"):
        for each in change.differences:
            if each.path.startswith(field):
                yield DataNote(
                    f"{field.removeprefix('spec.')} of the claim {new.name} would change from {_word(each.before)} to "
                    f"{_word(each.after)}"
                )


def _word(value: Any) -> str:
    if value is ABSENT:
        return "the default"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _size(item: Item) -> str:
    spec = item.body.get("spec") or {}
    return str(((spec.get("resources") or {}).get("requests") or {}).get("storage", "0"))


def _mounts(change: Compared, before: Side, after: Side) -> Iterator[DataNote]:
    """Pods that no longer mount the same data at the same paths."""
    old, new = change.before, change.after
    if old is None or new is None:
        return
    was, will = _claims(old), _claims(new)
    for claim in dict.fromkeys(was.values()):
        paths = [path for path, each in was.items() if each == claim]
        now = {path: will.get(path) for path in paths}
        if claim in will.values() and all(each in (claim, None) for each in now.values()):
            continue  # the same data, perhaps at another path
        instead = ", ".join(sorted({each for each in now.values() if each is not None and each != claim}))
        where = ", ".join(paths)
        if instead:
            yield DataNote(
                f"{new} mounts {instead} instead of {claim} at {where}: the data in {claim} is no longer available to it"
            )
        else:
            yield DataNote(f"{new} no longer mounts {claim} (at {where}): the data in it is no longer available to it")


def _claims(item: Item) -> dict[str, str]:
    """The mounted claim by mount path, with its subPath, if any."""
    spec = item.body.get("spec") or {}
    sources = {
        each["name"]: each["persistentVolumeClaim"]["claimName"]
        for each in item.pod.get("volumes") or []
        if each.get("persistentVolumeClaim")
    }
    for template in spec.get("volumeClaimTemplates") or []:
        name = template["metadata"]["name"]
        sources[name] = f"{name}-{item.name}-*"
    return {
        mount["mountPath"]: "/".join(filter(None, (sources[mount["name"]], mount.get("subPath"))))
        for container in (*(item.pod.get("containers") or []), *(item.pod.get("initContainers") or []))
        for mount in container.get("volumeMounts") or []
        if mount["name"] in sources
    }


def _servers(change: Compared) -> Iterator[DataNote]:
    """Changes of the places where Open WebUI stores data."""
    seen: set[str] = set()
    for each in change.effective("spec.template"):
        match = re.match(r"spec\.template\.spec\.containers\[[^]]*\]\.env\[(\w+)\]", each.path)
        if match is None or (what := _ELSEWHERE.get(match[1])) is None or what in seen or change.before is None:
            continue
        default = _DEFAULTS.get(match[1])
        if default is not None and _value(each.before) in (None, default) and _value(each.after) in (None, default):
            continue
        seen.add(what)
        yield DataNote(f"{what} changes ({match[1]}): existing data is not migrated")


def _addresses(change: Compared) -> Iterator[DataNote]:
    """The same, for a URL in a Secret: possibly only its password changed."""
    if change.action is not Action.CHANGED:
        return
    for each in change.differences:
        match = re.match(r"(?:stringData|data)\.(\w+)$", each.path)
        if match and match[1] in _ELSEWHERE and ABSENT not in (each.before, each.after):
            yield DataNote(
                f"{match[1]} in {change.item} changes, but its value cannot be read: if {_ELSEWHERE[match[1]]} is a new one, "
                "existing data is not migrated"
            )


def _value(entry: Any) -> Any:
    return entry.get("value") if isinstance(entry, Mapping) else None if entry is ABSENT else entry


def _templates(change: Compared) -> Iterator[DataNote]:
    if change.before is None or change.after is None:
        return
    for each in change.effective("spec.volumeClaimTemplates"):
        yield DataNote(
            f"{each.path} changes: {change.after} is replaced, and its pods use claims named after the new template"
        )
