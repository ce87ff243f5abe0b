"""How a change touches data: claims, the volumes that pods mount, and the servers that Open WebUI keeps things in."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from airis.diff.compare import Compared
from airis.diff.fields import ABSENT
from airis.diff.model import Action, DataNote
from airis.diff.stack_objects import Item, Side
from airis.diff.totals import quantity

_STORAGE = "airis.dev/storage"
"""The annotation with a claim's access mode and class (components/claim.py)."""

_ELSEWHERE = {
    "DATABASE_URL": "the database",
    "DATABASE_SCHEMA": "the database",
    "STORAGE_PROVIDER": "the place of uploads",
    "S3_BUCKET_NAME": "the bucket of uploads",
    "S3_ENDPOINT_URL": "the server of uploads",
    "S3_KEY_PREFIX": "the folder of uploads in the bucket",
    "GCS_BUCKET_NAME": "the bucket of uploads",
    "AZURE_STORAGE_ENDPOINT": "the server of uploads",
    "AZURE_STORAGE_CONTAINER_NAME": "the container of uploads",
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
"""Variables of Open WebUI that say where it keeps data (open_webui/env.py, open_webui/config.py)."""

_DEFAULTS = {"VECTOR_DB": "chroma", "STORAGE_PROVIDER": "local"}
"""What Open WebUI takes where the variable is not set: to name it is no change."""


def data_notes(change: Compared, before: Side, after: Side) -> Iterator[DataNote]:
    """Every way in which the change touches data; none for most."""
    if change.item.kind == "PersistentVolumeClaim":
        yield from _claim(change)
    elif change.item.template:
        yield from _mounts(change, before, after)
        yield from _servers(change)
        yield from _templates(change)
    elif change.item.kind == "Namespace" and change.action in (Action.DELETED, Action.REPLACED):
        if change.before is not None and not change.before.retain:
            yield DataNote(f"{change.before} is deleted, and with it every claim in it")
    elif change.item.kind == "Secret":
        yield from _addresses(change)
    if change.item.kind in ("PersistentVolumeClaim", "Namespace"):
        for each in change.differences:
            if each.path in ("(protect)", "(retainOnDelete)") and each.after is False:
                what = (
                    "protects it from being deleted or replaced"
                    if each.path == "(protect)"
                    else "keeps it at `destroy`"
                )
                yield DataNote(f"nothing {what} any more")


def refusals(change: Compared) -> Iterator[str]:
    """Why `up` refuses the change in its preview, before it touches anything."""
    old = change.before
    if old is None:
        return
    if old.protect and change.action in (Action.REPLACED, Action.DELETED, Action.KEPT):
        verb = "replace" if change.action is Action.REPLACED else "let go of"
        yield f"{old} is protected: `up` would have to {verb} it, and stops (docs/data.md says how to give it up on purpose)"
    if old.kind == "PersistentVolumeClaim" and change.after is not None:
        for each in change.differences:
            if each.path == f"metadata.annotations[{_STORAGE}]" and ABSENT not in (each.before, each.after):
                yield f"the claim is {each.before}, and would be {each.after}: that cannot change on a volume with data"
        was, will = _size(old), _size(change.after)
        if quantity(will) < quantity(was):
            yield f"the claim has {was}, and would have {will}: a volume can grow, never shrink"
    if old.urn and any(each.path == "(its place in the program)" for each in change.differences):
        yield f"{old} moved in the program: Pulumi makes it anew, and the name is taken (an alias avoids that)"


def _claim(change: Compared) -> Iterator[DataNote]:
    old, new = change.before, change.after
    if old is None:
        return
    if new is None:
        if old.stray:
            yield DataNote(
                f"the claim {old.name} is not in the stack, and no pod uses it; its data stays", harmless=True
            )
        elif change.action is Action.KEPT:
            yield DataNote(f"the claim {old.name} leaves the stack; it stays in the cluster with its data, unused")
        else:
            yield DataNote(f"the claim {old.name} is deleted, and its data with it")
        return
    if change.action is Action.REPLACED:
        moved = old.identity != new.identity
        left = "stays behind" if old.retain else "is deleted"
        words = f"{new.name} in {new.namespace} is new and empty; the data of {old.name} in {old.namespace} {left}"
        yield DataNote(words if moved else f"the claim {old.name} is deleted with its data, and made anew, empty")
        return
    was, will = _size(old), _size(new)
    if quantity(will) > quantity(was):
        yield DataNote(
            f"the claim {new.name} grows in place from {was} to {will}, if its StorageClass allows it; it never shrinks again",
            harmless=True,
        )
    elif quantity(will) < quantity(was):
        yield DataNote(f"the claim {new.name} would shrink from {was} to {will}, which no volume can")
    for field in ("spec.accessModes", "spec.storageClassName", "spec.volumeName", "spec.selector"):
        for each in change.differences:
            if each.path.startswith(field):
                yield DataNote(
                    f"the claim {new.name} would have another {field.removeprefix('spec.')}: {_word(each.before)} before, "
                    f"{_word(each.after)} after"
                )


def _word(value: Any) -> str:
    if value is ABSENT:
        return "the default"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _size(item: Item) -> str:
    spec = item.body.get("spec") or {}
    return str(((spec.get("resources") or {}).get("requests") or {}).get("storage", "0"))


def _mounts(change: Compared, before: Side, after: Side) -> Iterator[DataNote]:
    """Pods that find other data than before where they look for it."""
    old, new = change.before, change.after
    if old is None or new is None:
        return
    was, will = _claims(old), _claims(new)
    for claim in dict.fromkeys(was.values()):
        paths = [path for path, each in was.items() if each == claim]
        now = {path: will.get(path) for path in paths}
        if claim in will.values() and all(each in (claim, None) for each in now.values()):
            continue  # at another place perhaps, but the same data
        instead = ", ".join(sorted({each for each in now.values() if each is not None and each != claim}))
        where = ", ".join(paths)
        if instead:
            yield DataNote(
                f"{new} mounts {instead} at {where}, and no longer {claim}: what is in {claim} is not seen any more"
            )
        else:
            yield DataNote(f"{new} no longer mounts {claim} (at {where}): what is in it is not seen any more")


def _claims(item: Item) -> dict[str, str]:
    """By mount path, the claim behind it, with the folder in it where it is not the whole."""
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
    """Open WebUI is told to keep things somewhere else."""
    seen: set[str] = set()
    for each in change.effective("spec.template"):
        match = re.match(r"spec\.template\.spec\.containers\[[^]]*\]\.env\[(\w+)\]", each.path)
        if match is None or (what := _ELSEWHERE.get(match[1])) is None or what in seen or change.before is None:
            continue
        default = _DEFAULTS.get(match[1])
        if default is not None and _value(each.before) in (None, default) and _value(each.after) in (None, default):
            continue
        seen.add(what)
        yield DataNote(f"{what} changes ({match[1]}): what is in the old one does not move along")


def _addresses(change: Compared) -> Iterator[DataNote]:
    """The same by a Secret: nobody sees here whether only a password changed."""
    if change.action is not Action.CHANGED:
        return
    for each in change.differences:
        match = re.match(r"(?:stringData|data)\.(\w+)$", each.path)
        if match and match[1] in _ELSEWHERE and ABSENT not in (each.before, each.after):
            yield DataNote(
                f"{match[1]} in {change.item} changes, and cannot be read here: if it names another place than "
                f"{_ELSEWHERE[match[1]]} of before, the data there does not move along"
            )


def _value(entry: Any) -> Any:
    return entry.get("value") if isinstance(entry, Mapping) else None if entry is ABSENT else entry


def _templates(change: Compared) -> Iterator[DataNote]:
    if change.before is None or change.after is None:
        return
    for each in change.effective("spec.volumeClaimTemplates"):
        yield DataNote(
            f"{each.path} changes: {change.after} is replaced, and its pods look for claims as the new template names them"
        )
