"""Adds a cluster's other objects to the sandbox, removes them, and provisions volumes as external provisioners do."""

import time
from collections.abc import Collection, Sequence
from typing import Any

from airis.cluster.kubectl import Kubectl, KubectlError, KubeObject
from airis.rehearse.sandbox.control_plane import STORAGE_CLASS

_LABEL = "airis.dev/furnished"
_MANAGER = "airis-snapshot"
"""Another field manager than for the stack's objects: if both apply an object, it keeps its further fields."""

_POLICIES = (
    "validatingadmissionpolicybindings",
    "mutatingadmissionpolicybindings",
    "validatingadmissionpolicies",
    "mutatingadmissionpolicies",
)
_KINDS = (
    *_POLICIES,
    "customresourcedefinitions",
    "deviceclasses",
    "ingressclasses",
    "persistentvolumes",
    "priorityclasses",
    "resourceslices",
    "runtimeclasses",
    "storageclasses",
    "configmaps",
    "limitranges",
    "persistentvolumeclaims",
    "resourcequotas",
    "secrets",
)
"""Kinds to delete, in this order: cluster-scoped ones, and those in built-in namespaces."""

_LAST = ("ResourceQuota", "LimitRange")
"""Applied last, so that they only affect the stack's objects."""

_WAIT_SECONDS = 15.0
_POLL_SECONDS = 0.2

_PROBE = "airis-rehearsal-probe"
_PROVISIONER = "volume.kubernetes.io/storage-provisioner"
"""The annotation with which the volume controller requests a volume from an external provisioner."""
_OWN_PROVISIONERS = ("kubernetes.io/",)


def furnish(objects: Sequence[KubeObject], kubectl: Kubectl, *, replace_own: bool = False) -> list[str]:
    """Applies a cluster's objects to the sandbox, before the stack. `clear` removes them.

    With `replace_own`, they replace the sandbox's default StorageClass and definitions. Returns the objects that the API server
    rejected, with its messages. Raises KubectlError if it does not answer.
    """
    if replace_own:
        _replace_own(kubectl)
    every = [marked(each) for each in objects]
    policies = [each for each in every if "AdmissionPolicy" in each["kind"]]
    last = [each for each in every if each["kind"] in _LAST]
    first = [each for each in every if each not in policies and each not in last]
    refused = [*_applied(first, kubectl), *_applied(last, kubectl)]
    _await_quotas(kubectl, last)
    refused += _applied(policies, kubectl)
    if policies:
        kubectl.apply([marked(each) for each in _probe()], field_manager=_MANAGER)
        _await_policies(kubectl, enforced=True)
    return refused


def clear(kubectl: Kubectl, *, policies: bool = False, wait: bool = True) -> None:
    """Removes what `furnish` applied, and restores the sandbox's defaults. Other namespaces must be deleted before.

    With `policies`, only removes admission policies, and waits until they have no effect: they could block other deletions.
    """
    found = kubectl.get(",".join(_POLICIES if policies else _KINDS), f"--selector={_LABEL}", "--all-namespaces")
    kubectl.delete(found, wait=wait)
    if policies and found:
        _await_policies(kubectl, enforced=False)
    if not policies and not kubectl.present([STORAGE_CLASS]):
        kubectl.apply([STORAGE_CLASS])


def provision(claims: Sequence[KubeObject], refused: Collection[tuple[str, str]], kubectl: Kubectl) -> int:
    """Creates a volume for each claim that waits for an external provisioner, except for those `refused`.

    `refused` are claims by namespace and name. Returns the number of volumes created.
    """
    asking = [
        each
        for each in claims
        if (each.get("status") or {}).get("phase") == "Pending"
        and not each["spec"].get("volumeName")
        and (by := (each["metadata"].get("annotations") or {}).get(_PROVISIONER))
        and not by.startswith(_OWN_PROVISIONERS)
        and (each["metadata"]["namespace"], each["metadata"]["name"]) not in refused
    ]
    kubectl.apply([marked(_volume_for(each)) for each in asking], field_manager=_MANAGER)
    return len(asking)


def volume(name: str, spec: KubeObject, claim: tuple[str, str] | None = None) -> dict[str, Any]:
    """A PersistentVolume, reserved for the claim with that namespace and name, if given. No pod of the sandbox mounts it."""
    kind = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
    bound = {"claimRef": {**kind, "namespace": claim[0], "name": claim[1]}} if claim else {}
    given = {"persistentVolumeReclaimPolicy": "Retain", "hostPath": {"path": "/var/empty"}, **spec, **bound}
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": given}


def _volume_for(claim: KubeObject) -> dict[str, Any]:
    spec, metadata = claim["spec"], claim["metadata"]
    wanted = {
        "accessModes": spec["accessModes"],
        "capacity": {"storage": spec["resources"]["requests"]["storage"]},
        "storageClassName": spec.get("storageClassName", ""),
        "volumeMode": spec.get("volumeMode", "Filesystem"),
    }
    return volume(f"pvc-{metadata['uid']}", wanted, (metadata["namespace"], metadata["name"]))


def _replace_own(kubectl: Kubectl) -> None:
    kubectl.delete([STORAGE_CLASS, *kubectl.get("customresourcedefinitions")])


def marked(body: KubeObject) -> dict[str, Any]:
    """The object with the label that `clear` selects."""
    labels = {**body["metadata"].get("labels", {}), _LABEL: "yes"}
    return {**body, "metadata": {**body["metadata"], "labels": labels}}


def _applied(objects: Sequence[KubeObject], kubectl: Kubectl) -> list[str]:
    try:
        kubectl.apply(objects, field_manager=_MANAGER, force_conflicts=True)
    except KubectlError:
        kubectl.run("get", "--raw", "/readyz")
        refused = []
        for each in objects:
            try:
                kubectl.apply([each], field_manager=_MANAGER, force_conflicts=True)
            except KubectlError as error:
                refused.append(f"{each['kind']}/{each['metadata']['name']}: {error.message.partition(': ')[2]}")
        return refused
    return []


def _await_quotas(kubectl: Kubectl, objects: Sequence[KubeObject]) -> None:
    """Waits for the quota controller: until it has counted existing objects, admission rejects everything."""
    quotas = [each for each in objects if each["kind"] == "ResourceQuota"]
    deadline = time.monotonic() + _WAIT_SECONDS
    while quotas and any("hard" not in (each.get("status") or {}) for each in kubectl.present(quotas)):
        if time.monotonic() > deadline:
            return
        time.sleep(_POLL_SECONDS)


def _probe() -> list[KubeObject]:
    """A policy that rejects one ConfigMap, which is never created: applied last, it is enforced when all others are."""
    group = "admissionregistration.k8s.io/v1"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
    matched = {"resourceRules": [{**rule, "resourceNames": [_PROBE]}]}
    policy = {
        "failurePolicy": "Fail",
        "matchConstraints": matched,
        "validations": [{"expression": "false", "message": _PROBE}],
    }
    return [
        {"apiVersion": group, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": _PROBE}, "spec": policy},
        {
            "apiVersion": group,
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": _PROBE},
            "spec": {"policyName": _PROBE, "validationActions": ["Deny"]},
        },
    ]


def _await_policies(kubectl: Kubectl, *, enforced: bool) -> None:
    """Waits until policies are enforced, or no longer enforced: the API server notices them after a moment."""
    deadline = time.monotonic() + _WAIT_SECONDS
    probe = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": _PROBE, "namespace": "default"}}
    while time.monotonic() < deadline:
        refused = False
        try:
            kubectl.apply([probe], dry_run=True)
        except KubectlError as error:
            refused = _PROBE in error.message.partition("denied")[0]
        if refused is enforced:
            return
        time.sleep(_POLL_SECONDS)
