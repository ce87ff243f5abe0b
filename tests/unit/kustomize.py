"""Renders the two Kustomize folders of the deployment that this project replaces: resources, and patches by merge key.

Not Kustomize, but as much of it as these folders use. The rehearsal tests hold it against `kubectl kustomize`.
"""

from pathlib import Path
from typing import Any

import yaml

from tests.unit.fields import merge_key

REFERENCE = Path(__file__).parents[1] / "fixtures" / "kustomize"


def render(folder: Path) -> list[dict[str, Any]]:
    """The objects of a folder with a kustomization.yaml, in its order."""
    kustomization = _read(folder / "kustomization.yaml")[0]
    unknown = kustomization.keys() - {"apiVersion", "kind", "resources", "patches"}
    assert not unknown, f"{folder}: {unknown}"
    objects: list[dict[str, Any]] = []
    for resource in kustomization["resources"]:
        path = folder / resource
        objects += render(path) if path.is_dir() else _read(path)
    for patch in kustomization.get("patches", []):
        for change in _read(folder / patch["path"]):
            (target,) = [each for each in objects if _identity(each) == _identity(change)]
            target.update(merged(target, change))
    return objects


def merged(target: Any, change: Any, field: str = "") -> Any:
    """The strategic merge: mappings by key, lists of named items by name, everything else replaced; null removes."""
    if isinstance(target, dict) and isinstance(change, dict):
        both = {key: merged(target.get(key), value, key) for key, value in change.items()}
        return {key: value for key, value in (target | both).items() if value is not None}
    if isinstance(target, list) and isinstance(change, list) and (key := merge_key(field, change[0])):
        changes = {item[key]: item for item in change}
        kept = [merged(item, changes.pop(item[key], {})) for item in target]
        return kept + list(changes.values())
    return change


def _read(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def _identity(body: dict[str, Any]) -> tuple[str, str, str, str | None]:
    return body["apiVersion"], body["kind"], body["metadata"]["name"], body["metadata"].get("namespace")
