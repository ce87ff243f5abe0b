"""Kubernetes objects as flat fields, to compare two of them field by field."""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from airis.render.program import Secret

MERGE_KEYS = {
    "containers": "name",
    "env": "name",
    "imagePullSecrets": "name",
    "volumeMounts": "mountPath",
    "volumes": "name",
}
"""The keys by which Kubernetes distinguishes the items of a list. Source: `patchMergeKey` in k8s.io/api, core/v1/types.go."""

_POWERS = {suffix: Decimal(1024) ** power for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)} | {
    suffix: Decimal(1000) ** power for power, suffix in enumerate(("m", "", "k", "M", "G", "T", "P", "E"), -1)
}


def amount(quantity: object) -> Decimal:
    """The value of a Kubernetes quantity, computed independently of settings/."""
    match = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", str(quantity))
    assert match, quantity
    return Decimal(match[1]) * _POWERS[match[2]]


def merge_key(field: str, item: Mapping[str, Any]) -> str | None:
    """The key that names the items of a list field, if they have names."""
    if field == "ports":
        return "containerPort" if "containerPort" in item else "port"
    return MERGE_KEYS.get(field)


def fields(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Every leaf with its path: `spec.template.spec.containers[ollama].image`.

    Quantities under `resources` come as what they amount to, `1000m` and `1` as the same; what is empty comes as text.
    """
    value = value.value if isinstance(value, Secret) else value
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from fields(inner, f"{path}.{key}".lstrip(".") if re.fullmatch(r"\w+", key) else f"{path}[{key}]")
    elif isinstance(value, list) and value:
        name = path.rpartition(".")[2]
        for index, item in enumerate(value):
            key = merge_key(name, item) if isinstance(item, Mapping) else None
            yield from fields(item, f"{path}[{item[key] if key else index}]")
    elif isinstance(value, Mapping | list):
        yield path, str(value)
    else:
        yield path, amount(value) if re.search(r"\bresources\.(requests|limits)\b", path) else value
