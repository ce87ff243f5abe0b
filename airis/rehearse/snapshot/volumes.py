"""Claims and volumes for the sandbox, where no pod mounts any."""

from typing import Any

from airis.cluster.kubectl import KubeObject


def spec_of_volume(claim: KubeObject) -> dict[str, Any]:
    """The spec of a volume that the claim could have."""
    spec, capacity = claim["spec"], (claim.get("status") or {}).get("capacity")
    return {
        "accessModes": spec.get("accessModes") or ["ReadWriteOnce"],
        "capacity": capacity or spec["resources"]["requests"],
        "storageClassName": spec.get("storageClassName", ""),
        "volumeMode": spec.get("volumeMode", "Filesystem"),
    }


def claim_with(claim: KubeObject, called: str, *, lost: bool = False) -> KubeObject:
    """The claim, with the volume of that name if one is named; `lost` for a claim whose volume is gone."""
    spec = dict(claim["spec"])
    if called:
        spec |= {"volumeName": called, "storageClassName": spec.get("storageClassName", "")}
    # What marks a claim that was bound once: the controller then finds that its volume is gone
    marks = {"annotations": {"pv.kubernetes.io/bind-completed": "yes"}} if lost else {}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {**claim["metadata"], **marks},
        "spec": spec,
    }
