"""PersistentVolumeClaims, which hold the data and outlive all other objects."""

from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi_kubernetes.core.v1 import (
    PersistentVolumeClaim,
    PersistentVolumeClaimSpecArgs,
    VolumeResourceRequirementsArgs,
)

from components.metadata import SKIP_AWAIT, Place
from settings.pods.workload import StorageSettings
from settings.types.quantity import as_bytes

_KIND = "airis.dev/storage"
"""Annotation with the immutable fields of a claim: class and access mode."""


def claim_spec(storage: StorageSettings) -> PersistentVolumeClaimSpecArgs:
    """The spec of a claim, standalone or in a StatefulSet's template."""
    return PersistentVolumeClaimSpecArgs(
        access_modes=[storage.access_mode],
        storage_class_name=storage.storage_class,
        resources=VolumeResourceRequirementsArgs(requests={"storage": storage.size}),
    )


def data_claim(name: str, storage: StorageSettings, place: Place) -> PersistentVolumeClaim:
    """A claim that is protected and retained: no change replaces it, and `destroy` leaves it in the cluster.

    It can grow in place. Changes that Kubernetes cannot make without data loss (shrinking, another class or access mode) are
    refused in the preview, with both values.
    """
    kind = f"{storage.access_mode}, class {storage.storage_class or 'default'}"
    guard = pulumi.ResourceHook(f"{name}-storage", _refuse_loss, opts=pulumi.ResourceHookOptions(on_dry_run=True))
    return PersistentVolumeClaim(
        name,
        metadata=place.metadata(name, {**SKIP_AWAIT, _KIND: kind}),
        spec=claim_spec(storage),
        opts=pulumi.ResourceOptions(
            parent=place.parent,
            protect=True,
            retain_on_delete=True,
            # A change of these would be a replacement, which protection refuses without giving a reason. If they are
            # ignored, only the annotation changes: an update, which the hook checks before anything is changed
            ignore_changes=["spec.accessModes", "spec.storageClassName"],
            hooks=pulumi.ResourceHookBinding(before_update=[guard]),
        ),
    )


def _refuse_loss(args: pulumi.ResourceHookArgs) -> None:
    """Compares the claim with its planned state."""
    if not args.old_inputs or not args.new_inputs:
        return
    before, after = (_storage_of(inputs) for inputs in (args.old_inputs, args.new_inputs))
    if before["kind"] and before["kind"] != after["kind"]:
        raise ValueError(
            f"the claim {args.name} is {before['kind']}, but the settings require {after['kind']}, which cannot change on a "
            "volume. Keep the settings, or back up, create another claim and restore into it (storage.existingClaim)"
        )
    if as_bytes(after["size"]) < as_bytes(before["size"]):
        raise ValueError(
            f"the claim {args.name} has {before['size']}, but the settings require {after['size']}: a volume cannot shrink"
        )


def _storage_of(inputs: Mapping[str, Any]) -> dict[str, str]:
    annotations = inputs["metadata"].get("annotations") or {}
    return {"kind": annotations.get(_KIND, ""), "size": inputs["spec"]["resources"]["requests"]["storage"]}
