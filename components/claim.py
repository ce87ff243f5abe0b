"""Claims: the objects that hold the data, and outlive everything else."""

import pulumi
from pulumi_kubernetes.core.v1 import (
    PersistentVolumeClaim,
    PersistentVolumeClaimSpecArgs,
    VolumeResourceRequirementsArgs,
)

from components.metadata import SKIP_AWAIT, Place
from settings.workload import StorageSettings


def claim_spec(storage: StorageSettings) -> PersistentVolumeClaimSpecArgs:
    """The spec of a claim, alone or in a StatefulSet's template."""
    return PersistentVolumeClaimSpecArgs(
        access_modes=[storage.access_mode],
        storage_class_name=storage.storage_class,
        resources=VolumeResourceRequirementsArgs(requests={"storage": storage.size}),
    )


def data_claim(name: str, storage: StorageSettings, place: Place) -> PersistentVolumeClaim:
    """A claim that is protected and retained: no change replaces it, and `destroy` leaves it in the cluster."""
    return PersistentVolumeClaim(
        name,
        metadata=place.metadata(name, SKIP_AWAIT),
        spec=claim_spec(storage),
        opts=pulumi.ResourceOptions(parent=place.parent, protect=True, retain_on_delete=True),
    )
