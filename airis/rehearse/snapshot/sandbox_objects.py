"""The objects of a snapshot for the sandbox: without status, with dummy volumes, and Secrets without values."""

from collections.abc import Iterator, Sequence

from airis.cluster.kubectl import KubeObject
from airis.cluster.readiness import group_of, version_of
from airis.rehearse.sandbox import definitions_for
from airis.rehearse.sandbox.cluster_objects import volume
from airis.rehearse.sandbox.control_plane import OWN_NAMESPACES, STORAGE_CLASS
from airis.rehearse.snapshot.assumptions import assumed_definitions, open_definition
from airis.rehearse.snapshot.model import Snapshot
from airis.rehearse.snapshot.volumes import claim_with, spec_of_volume

_AS_THEY_ARE = (
    "StorageClass",
    "PriorityClass",
    "RuntimeClass",
    "IngressClass",
    "DeviceClass",
    "ResourceSlice",
    "ResourceQuota",
    "LimitRange",
)
_SYSTEM = "system-"
"""Prefix of the built-in PriorityClasses."""

_POLICY_GROUP = "admissionregistration.k8s.io/v1"
"""The API version that the sandbox serves; older ones have the same fields."""


def objects_of(snapshot: Snapshot, stack: Sequence[KubeObject]) -> Iterator[KubeObject]:
    """The objects that are in the cluster before the stacks' objects."""
    made = {(each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"]) for each in stack}
    there = {each["metadata"]["name"]: each for each in snapshot.of_kind("Namespace")}
    for name in snapshot.namespaces:
        if not snapshot.knows("namespaces", name):
            there[name] = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    yield from (each for name, each in there.items() if name not in OWN_NAMESPACES)
    for each in snapshot.objects:
        name = each["metadata"]["name"]
        if each["kind"] in _AS_THEY_ARE and not name.startswith(_SYSTEM):
            yield each
        elif "AdmissionPolicy" in each["kind"] and not takes_parameters(each, snapshot):
            yield {**each, "apiVersion": _POLICY_GROUP}
    if not snapshot.knows("storageclasses.storage.k8s.io"):
        yield STORAGE_CLASS
    yield from _volumes(snapshot)
    for kind, found in (("Secret", snapshot.secrets), ("ConfigMap", snapshot.config_maps)):
        for held in found:
            # Not those that the stack creates; every namespace has a ConfigMap with the cluster's CA
            if (
                held.name != "kube-root-ca.crt"
                and (kind, held.namespace, held.name) not in made
                and held.namespace in there
            ):
                yield {
                    "apiVersion": "v1",
                    "kind": kind,
                    "metadata": {"name": held.name, "namespace": held.namespace},
                    "data": dict.fromkeys(held.keys, ""),
                }


def _volumes(snapshot: Snapshot) -> Iterator[KubeObject]:
    """Available volumes, and claims with their volumes."""
    volumes = {}
    for each in snapshot.of_kind("PersistentVolume"):
        spec = {key: value for key, value in each["spec"].items() if key != "claimRef"}
        claim = each["spec"].get("claimRef")
        if claim is None:
            yield volume(each["metadata"]["name"], spec)
        else:
            volumes[claim["namespace"], claim["name"]] = (each["metadata"]["name"], spec)
    for each in snapshot.objects:
        if each["kind"] != "PersistentVolumeClaim":
            continue
        name, namespace = each["metadata"]["name"], each["metadata"]["namespace"]
        phase = (each.get("status") or {}).get("phase")
        called, spec = volumes.get((namespace, name), (f"{namespace}-{name}", spec_of_volume(each)))
        if phase == "Bound":
            yield volume(called, spec, (namespace, name))
        yield claim_with(each, called if phase in ("Bound", "Lost") else "", lost=phase == "Lost")


def takes_parameters(body: KubeObject, snapshot: Snapshot) -> bool:
    """Whether a policy, or a binding's policy, has parameters, whose values are only in the cluster."""
    policy = body["spec"].get("policyName", body["metadata"]["name"])
    return "paramRef" in body["spec"] or any(
        "paramKind" in each["spec"]
        for each in snapshot.objects
        if each["kind"].endswith("Policy") and each["metadata"]["name"] == policy
    )


def definitions_of(stack: Sequence[KubeObject], snapshot: Snapshot) -> Iterator[KubeObject]:
    """Definitions of the kinds that the stacks use and the cluster serves: from the snapshot, bundled, or without a schema."""
    if not snapshot.knows("customresourcedefinitions.apiextensions.k8s.io"):
        yield from assumed_definitions(stack)
        return
    whole = {each["metadata"]["name"]: each for each in snapshot.of_kind("CustomResourceDefinition")}
    used = {(group_of(each), each["kind"]): each for each in stack}
    for each in snapshot.definitions:
        if (body := used.get((each.group, each.kind))) is None:
            continue
        ours = definitions_for([body]) if version_of(body) in each.versions else []
        yield whole.get(f"{each.plural}.{each.group}") or next(iter(ours), open_definition(each))
