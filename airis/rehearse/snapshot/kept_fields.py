"""The fields that a snapshot keeps of each kind of object. Other kinds and fields are not in the file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from airis.cluster.kubectl import KubeObject
from airis.rehearse.sandbox.nodes import Node

_ANNOTATIONS = (
    "storageclass.kubernetes.io/is-default-class",
    "ingressclass.kubernetes.io/is-default-class",
    "api-approved.kubernetes.io",  # without it the API server rejects definitions of a *.k8s.io group
)
"""Annotations that a rehearsal needs. Others may contain anything: `kubectl apply` stores the whole object in one."""
_LABELLED = ("Namespace", "Node")
"""Kinds whose labels are used by selectors."""


@dataclass(frozen=True)
class Kept:
    """What is kept of a kind."""

    kind: str
    fields: tuple[str, ...] = ()
    """Paths of the fields."""
    own: bool = False
    """Whether only objects in the selected namespaces are kept."""
    asked: bool = True
    """Whether all objects of the kind are listed; others are read by name."""
    made: Callable[[KubeObject], KubeObject] | None = None
    """Computes further fields."""

    def of(self, body: KubeObject) -> dict[str, Any]:
        """The object with only the kept fields."""
        made = self.made(body) if self.made else {}
        found = {"apiVersion": body["apiVersion"], "kind": self.kind, "metadata": metadata_of(body), **made}
        for path in self.fields:
            _copy(body, found, path.split("."))
        return found


def metadata_of(body: KubeObject) -> dict[str, Any]:
    """Name, namespace, and the kept labels and annotations, sorted."""
    given = body["metadata"]
    annotations = {key: text for key, text in sorted((given.get("annotations") or {}).items()) if key in _ANNOTATIONS}
    labels = dict(sorted((given.get("labels") or {}).items())) if body["kind"] in _LABELLED else {}
    return {
        "name": given["name"],
        **({"namespace": given["namespace"]} if given.get("namespace") else {}),
        **({"labels": labels} if labels else {}),
        **({"annotations": annotations} if annotations else {}),
    }


def _copy(source: Mapping[str, Any], target: dict[str, Any], path: list[str]) -> None:
    first, *rest = path
    if (value := source.get(first)) in (None, {}, []):
        return
    if not rest:
        target[first] = value
    elif isinstance(value, Mapping):
        _copy(value, target.setdefault(first, {}), rest)
        if not target[first]:
            del target[first]


def _node(body: KubeObject) -> KubeObject:
    return {key: value for key, value in Node.model_validate(body).node().items() if key in ("spec", "status")}


def _gateway(body: KubeObject) -> KubeObject:
    conditions = (body.get("status") or {}).get("conditions") or []
    kept = [{key: each[key] for key in ("type", "status")} for each in conditions if each["type"] == "Programmed"]
    return {"status": {"conditions": kept}} if kept else {}


def _definition(body: KubeObject) -> KubeObject:
    """A definition without the descriptions of its fields, which are its largest part, and without its conversion webhook."""
    spec = {key: body["spec"][key] for key in ("group", "names", "scope")}
    versions = [
        {key: _undescribed(each[key]) for key in ("name", "served", "storage", "schema", "subresources") if key in each}
        for each in body["spec"]["versions"]
    ]
    return {"spec": {**spec, "versions": versions}}


def _undescribed(value: Any) -> Any:
    if isinstance(value, Mapping):
        # A field may be named `description`: its value is then a schema, not text
        return {
            key: _undescribed(each) for key, each in value.items() if key != "description" or not isinstance(each, str)
        }
    return [_undescribed(each) for each in value] if isinstance(value, list) else value


KEPT: Mapping[str, Kept] = {
    "namespaces": Kept("Namespace", asked=False),
    "nodes": Kept("Node", made=_node),
    "customresourcedefinitions.apiextensions.k8s.io": Kept("CustomResourceDefinition", asked=False, made=_definition),
    "storageclasses.storage.k8s.io": Kept(
        # Without its parameters, which contain credentials with some drivers
        "StorageClass",
        ("provisioner", "volumeBindingMode", "allowVolumeExpansion", "reclaimPolicy", "allowedTopologies"),
    ),
    "csidrivers.storage.k8s.io": Kept("CSIDriver"),
    "ingressclasses.networking.k8s.io": Kept("IngressClass", ("spec.controller",)),
    "gatewayclasses.gateway.networking.k8s.io": Kept("GatewayClass", ("spec.controllerName",)),
    "gateways.gateway.networking.k8s.io": Kept("Gateway", ("spec.gatewayClassName", "spec.listeners"), made=_gateway),
    "priorityclasses.scheduling.k8s.io": Kept("PriorityClass", ("value", "globalDefault", "preemptionPolicy")),
    "runtimeclasses.node.k8s.io": Kept("RuntimeClass", ("handler", "overhead", "scheduling")),
    "deviceclasses.resource.k8s.io": Kept("DeviceClass", ("spec",)),
    "resourceslices.resource.k8s.io": Kept("ResourceSlice", ("spec",)),
    "persistentvolumes": Kept(
        "PersistentVolume",
        (
            "spec.accessModes",
            "spec.capacity",
            "spec.claimRef.name",
            "spec.claimRef.namespace",
            "spec.nodeAffinity",
            "spec.persistentVolumeReclaimPolicy",
            "spec.storageClassName",
            "spec.volumeMode",
            "status.phase",
        ),
    ),
    "persistentvolumeclaims": Kept(
        "PersistentVolumeClaim",
        (
            "spec.accessModes",
            "spec.resources.requests",
            "spec.storageClassName",
            "spec.volumeMode",
            "status.capacity",
            "status.phase",
        ),
        own=True,
    ),
    "resourcequotas": Kept("ResourceQuota", ("spec",), own=True),
    "limitranges": Kept("LimitRange", ("spec",), own=True),
    "validatingadmissionpolicies.admissionregistration.k8s.io": Kept("ValidatingAdmissionPolicy", ("spec",)),
    "validatingadmissionpolicybindings.admissionregistration.k8s.io": Kept(
        "ValidatingAdmissionPolicyBinding", ("spec",)
    ),
    "mutatingadmissionpolicies.admissionregistration.k8s.io": Kept("MutatingAdmissionPolicy", ("spec",)),
    "mutatingadmissionpolicybindings.admissionregistration.k8s.io": Kept("MutatingAdmissionPolicyBinding", ("spec",)),
}
"""By resource, in the order of the file."""
