"""Objects that a stack refers to and does not create: they must already exist in the cluster."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airis.cluster.kubectl import KubeObject
from airis.cluster.readiness import group_of, key_of, resource_of
from airis.doctor.requirements import references_of

PODS = ("Deployment", "StatefulSet", "Job", "DaemonSet", "CronJob")
"""Kinds with a pod template."""

ADDRESS = "LoadBalancer address"
DEFINITION = "CustomResourceDefinition"

_BUILT_IN = frozenset(
    f"{each}.k8s.io"
    for each in (
        "admissionregistration",
        "apiextensions",
        "apiregistration",
        "authentication",
        "authorization",
        "certificates",
        "coordination",
        "discovery",
        "events",
        "flowcontrol.apiserver",
        "networking",
        "node",
        "rbac.authorization",
        "resource",
        "scheduling",
        "storage",
    )
)
"""API groups with a dot that every API server serves."""


@dataclass(frozen=True)
class Need:
    """A reference of one of a stack's objects."""

    kind: str
    name: str
    namespace: str
    """Empty for cluster-scoped objects."""
    by: tuple[str, str, str]
    """Kind, namespace and name of the object that refers to it."""
    key: str = ""
    """The required key of a Secret or ConfigMap; any if empty."""
    volume: str = ""
    """The volume that mounts it; empty for a variable."""
    pulls: bool = False
    """Whether it is a pull secret."""
    section: str = ""
    """The listener of a Gateway."""
    port: int | None = None
    """The port of a Gateway's listener."""


def needs(objects: Sequence[KubeObject]) -> list[Need]:
    """All references of the objects to others, in order."""
    made = {key_of(each) for each in objects}
    found = [need for body in objects for need in _of(body, objects)]
    return [each for each in dict.fromkeys(found) if (each.kind, each.namespace, each.name) not in made]


def is_defined(body: KubeObject) -> bool:
    """Whether its kind is from a CustomResourceDefinition."""
    group = group_of(body)
    return "." in group and group not in _BUILT_IN


def pod_of(body: KubeObject) -> Mapping[str, Any]:
    """The spec in an object's pod template; empty if it has none."""
    spec = body.get("spec") or {}
    if body["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    return dict(spec["template"]["spec"]) if body["kind"] in PODS else {}


def _of(body: KubeObject, objects: Sequence[KubeObject]) -> Iterator[Need]:
    by, spec = key_of(body), body.get("spec") or {}
    _, namespace, name = by
    if is_defined(body):
        yield Need(DEFINITION, resource_of(body), "", by)
    match body["kind"]:
        case kind if kind in PODS:
            yield from _of_pod(pod_of(body), by, objects)
        case "PersistentVolumeClaim" if spec.get("storageClassName") != "":
            yield Need("StorageClass", spec.get("storageClassName", ""), "", by)
        case "Ingress" if spec.get("ingressClassName"):
            yield Need("IngressClass", spec["ingressClassName"], "", by)
        case "HTTPRoute":
            for each in spec.get("parentRefs") or []:
                place = each.get("namespace", namespace)
                yield Need(
                    "Gateway", each["name"], place, by, section=each.get("sectionName", ""), port=each.get("port")
                )
        case "Service" if spec.get("type") == "LoadBalancer":
            yield Need(ADDRESS, name, "", by)


def _of_pod(pod: Mapping[str, Any], by: tuple[str, str, str], objects: Sequence[KubeObject]) -> Iterator[Need]:
    namespace = by[1]
    for each in references_of(pod):
        if not each.optional:
            yield Need(each.kind, each.name, namespace, by, each.key, each.volume)
    account = next((each for each in objects if key_of(each) == _account(pod, namespace)), {})
    for source in (pod, account):
        for secret in source.get("imagePullSecrets") or []:
            yield Need("Secret", secret["name"], namespace, by, pulls=True)
    for volume in pod.get("volumes") or []:
        if claim := volume.get("persistentVolumeClaim"):
            yield Need("PersistentVolumeClaim", claim["claimName"], namespace, by)
    for field, kind in (("priorityClassName", "PriorityClass"), ("runtimeClassName", "RuntimeClass")):
        if named := pod.get(field):
            yield Need(kind, named, "", by)


def _account(pod: Mapping[str, Any], namespace: str) -> tuple[str, str, str]:
    return "ServiceAccount", namespace, str(pod.get("serviceAccountName", "default"))
