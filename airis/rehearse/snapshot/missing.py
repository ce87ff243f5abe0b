"""Compares what a stack needs with a snapshot: what exists, what is missing, and what is unknown."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from airis.cluster.kubectl import KubeObject
from airis.cluster.readiness import group_of, key_of, version_of
from airis.doctor.checks import listed
from airis.doctor.exposure import gateway_trouble
from airis.doctor.network_storage import is_for_one_node
from airis.doctor.observation import is_default, name_of, named
from airis.rehearse.snapshot.kept_fields import KEPT
from airis.rehearse.snapshot.model import Snapshot
from airis.rehearse.snapshot.references import ADDRESS, DEFINITION, Need, needs

_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_RESOURCES = {kept.kind: resource for resource, kept in KEPT.items()} | {"Secret": "secrets", "ConfigMap": "configmaps"}
_IN_EVERY_NAMESPACE = ("ConfigMap", "kube-root-ca.crt")
_OF_NAMESPACES = ("Secret", "ConfigMap", "PersistentVolumeClaim")
"""Kinds that a snapshot only contains for some namespaces."""

_SHARED = ("ReadWriteMany", "ReadOnlyMany")


@dataclass(frozen=True)
class Lack:
    """Why an object of a stack fails in the cluster."""

    by: tuple[str, str, str]
    """Kind, namespace and name of the object."""
    words: str
    """The message of the component that fails: kubelet, scheduler, provisioner or API server."""


def sorted_out(objects: Sequence[KubeObject], snapshot: Snapshot) -> tuple[list[Lack], list[Need]]:
    """The needs of the objects that are missing in the cluster, and those that the snapshot does not cover."""
    lacks: list[Lack] = []
    unknown: list[Need] = []
    bodies = {key_of(each): each for each in objects}
    for need in needs(objects):
        words = _missing(need, bodies[need.by], snapshot)
        if words is None:
            unknown.append(need)
        elif words:
            lacks.append(Lack(need.by, words))
    return lacks, unknown


def _missing(need: Need, body: KubeObject, snapshot: Snapshot) -> str | None:
    """The message if it is missing; empty if it exists, None if the snapshot does not cover it."""
    if need.kind == ADDRESS:
        given = snapshot.load_balancers
        words = f"this cluster has no controller for LoadBalancer Services: {given.evidence}"
        return {"yes": "", "no": words, "unknown": None}[given.given]
    if not snapshot.knows(_RESOURCES[need.kind], need.namespace if need.kind in _OF_NAMESPACES else ""):
        return None
    return _ASKED.get(need.kind, _named)(need, body, snapshot)


def _named(need: Need, _body: KubeObject, snapshot: Snapshot) -> str:
    """PriorityClasses and RuntimeClasses, with the message of the API server's admission."""
    return "" if named(snapshot.of_kind(need.kind), need.name) else f'{need.kind} "{need.name}" not found'


def _claim(need: Need, _body: KubeObject, snapshot: Snapshot) -> str:
    found = named(snapshot.of_kind(need.kind, need.namespace), need.name)
    if found is None:
        return f'persistentvolumeclaim "{need.name}" not found'
    lost = (found.get("status") or {}).get("phase") == "Lost"
    return f'persistentvolumeclaim "{need.name}" bound to non-existent persistentvolume' if lost else ""


def _ingress_class(need: Need, _body: KubeObject, snapshot: Snapshot) -> str:
    there = snapshot.of_kind(need.kind)
    if named(there, need.name):
        return ""
    return f"there is no IngressClass {need.name}, so no controller serves it; there are: {_names(there)}"


def _key(need: Need, _body: KubeObject, snapshot: Snapshot) -> str:
    """The kubelet's message for a missing Secret or ConfigMap, or a missing key."""
    if (need.kind, need.name) == _IN_EVERY_NAMESPACE:
        return ""
    held = snapshot.secrets if need.kind == "Secret" else snapshot.config_maps
    found = next((each for each in held if (each.namespace, each.name) == (need.namespace, need.name)), None)
    kind = need.kind.lower()
    if found is not None and (not need.key or need.key in found.keys):
        return ""
    if need.pulls:
        return (
            f"FailedToRetrieveImagePullSecret: Unable to retrieve some image pull secrets ({need.name}); attempting to pull "
            "the image may not succeed."
        )
    if need.volume:
        start = f'FailedMount: MountVolume.SetUp failed for volume "{need.volume}" : '
        config = "config" if need.kind == "ConfigMap" else kind
        return start + (
            f'{kind} "{need.name}" not found' if found is None else f"references non-existent {config} key: {need.key}"
        )
    if found is None:
        return f'CreateContainerConfigError: {kind} "{need.name}" not found'
    return f"CreateContainerConfigError: couldn't find key {need.key} in {need.kind} {need.namespace}/{need.name}"


def _definition(need: Need, body: KubeObject, snapshot: Snapshot) -> str:
    served = next(
        (each.versions for each in snapshot.definitions if (each.group, each.kind) == (group_of(body), body["kind"])),
        (),
    )
    if version_of(body) in served:
        return ""
    return f'no matches for kind "{body["kind"]}" in version "{body["apiVersion"]}"'


def class_of(claim: KubeObject, snapshot: Snapshot) -> KubeObject | None:
    """The class of a claim: its own, or the default (with several defaults the first, because a snapshot has no ages)."""
    classes = snapshot.of_kind("StorageClass")
    name = claim["spec"].get("storageClassName")
    if name is not None:
        return named(classes, name)
    return next((each for each in classes if is_default(each, _DEFAULT_CLASS)), None)


def _class(need: Need, claim: KubeObject, snapshot: Snapshot) -> str:
    live = named(snapshot.of_kind("PersistentVolumeClaim", need.by[1]), need.by[2])
    if live is not None and (live.get("status") or {}).get("phase") == "Bound":
        return ""
    found, there = class_of(claim, snapshot), _names(snapshot.of_kind("StorageClass"))
    if found is None and need.name:
        return f'storageclass.storage.k8s.io "{need.name}" not found; there are: {there}'
    if found is None:
        return (
            "no persistent volumes available for this claim and no storage class is set: there is no default StorageClass; "
            f"there are: {there}"
        )
    several = [each for each in claim["spec"].get("accessModes") or [] if each in _SHARED]
    if several and is_for_one_node(found["provisioner"]):
        return (
            f'failed to provision volume with StorageClass "{name_of(found)}": {found["provisioner"]} makes volumes of '
            f"ReadWriteOnce and ReadWriteOncePod, and the claim asks for {' and '.join(several)}"
        )
    return ""


def _gateway(need: Need, _body: KubeObject, snapshot: Snapshot) -> str:
    mine = need.by[1]
    there = [each for each in snapshot.objects if each["kind"] == "Gateway"]
    body = named(snapshot.of_kind("Namespace"), mine)
    labels = None if body is None else body["metadata"].get("labels", {})
    section = need.section or None
    return gateway_trouble(there, need.namespace, need.name, section=section, port=need.port, mine=mine, labels=labels)


_ASKED: Mapping[str, Callable[[Need, KubeObject, Snapshot], str]] = {
    "ConfigMap": _key,
    DEFINITION: _definition,
    "Gateway": _gateway,
    "IngressClass": _ingress_class,
    "PersistentVolumeClaim": _claim,
    "Secret": _key,
    "StorageClass": _class,
}
"""The checks by kind, for kinds whose name is not enough."""


def _names(objects: Sequence[KubeObject]) -> str:
    return listed(map(name_of, objects)) or "none"
