"""Objects as Kubernetes YAML, for `kubectl apply -f -` and for people."""

import base64
from collections.abc import Iterable, Mapping
from typing import Any

from airis.render.program import KubernetesObject, Secret
from airis.stack_file.yaml_writer import dump_all

REDACTED = "[secret]"

_ORDER = (
    "Namespace",
    "ResourceQuota",
    "LimitRange",
    "PriorityClass",
    "ServiceAccount",
    "Secret",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "NetworkPolicy",
    "DeviceClass",
    "ResourceClaimTemplate",
    "ResourceClaim",
    "Service",
    "StatefulSet",
    "Deployment",
    "PodDisruptionBudget",
    "HorizontalPodAutoscaler",
    "Job",
    "Ingress",
    "HTTPRoute",
)
"""Dependencies come first, as in kubectl and Helm; unknown kinds come last."""

_FIRST_KEYS = ("apiVersion", "kind", "metadata", "name", "namespace")


def in_order(objects: Iterable[KubernetesObject]) -> list[KubernetesObject]:
    """The objects sorted by kind (dependencies first), namespace and name: the same in every run."""
    return sorted(objects, key=lambda each: place(each.kind, each.namespace, each.name))


def place(kind: str, namespace: str | None, name: str) -> tuple[int, str, str, str]:
    """The sort key of an object."""
    return _ORDER.index(kind) if kind in _ORDER else len(_ORDER), kind, namespace or "", name


def manifest(each: KubernetesObject, *, show_secrets: bool = False) -> dict[str, Any]:
    """The object as a plain manifest. Secret values are redacted as `[secret]`, unless `show_secrets`."""
    reveal = each.manifest if show_secrets else _redact_secret_data(each.manifest)
    return dict(_unwrap(reveal, show_secrets))


def to_yaml(objects: Iterable[KubernetesObject], *, show_secrets: bool = False) -> str:
    """All objects as one multi-document YAML text, in order."""
    return dump_all(manifest(each, show_secrets=show_secrets) for each in in_order(objects))


def _redact_secret_data(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Redacts all data of a Secret, whether or not it is marked as secret."""
    if body["kind"] != "Secret":
        return body
    # data must stay base64, or the API server refuses the object for the wrong reason
    shown = {"stringData": REDACTED, "data": base64.b64encode(REDACTED.encode()).decode()}
    hidden = {field: dict.fromkeys(_bare(body[field]), text) for field, text in shown.items() if field in body}
    return {**body, **hidden}


def _bare(value: Any) -> Any:
    """The value without its secret marker. Pulumi marks the data of a Secret as a whole."""
    return value.value if isinstance(value, Secret) else value


def _key_order(key: str) -> tuple[int, str]:
    """Sorts the identifying keys first, as in hand-written manifests: a protobuf Struct has no order."""
    return _FIRST_KEYS.index(key) if key in _FIRST_KEYS else len(_FIRST_KEYS), key


def _unwrap(value: Any, show_secrets: bool) -> Any:
    if isinstance(value, Secret):
        return _unwrap(value.value, show_secrets) if show_secrets else REDACTED
    if isinstance(value, Mapping):
        return {key: _unwrap(value[key], show_secrets) for key in sorted(value, key=_key_order)}
    if isinstance(value, list):
        return [_unwrap(inner, show_secrets) for inner in value]
    return value
