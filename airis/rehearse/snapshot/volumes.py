"""Claims and volumes for the sandbox, where no pod mounts them."""

from typing import Any

from airis.cluster.kubectl import KubeObject


def spec_of_volume(claim: KubeObject) -> dict[str, Any]:
    """The spec of a volume that fits the claim."""
    spec, capacity = claim["spec"], (claim.get("status") or {}).get("capacity")
    return {
        "accessModes": spec.get("accessModes") or ["ReadWriteOnce"],
        "capacity": capacity or spec["resources"]["requests"],
        "storageClassName": spec.get("storageClassName", ""),
        "volumeMode": spec.get("volumeMode", "Filesystem"),
    }


def claim_with(claim: KubeObject, called: str, *, lost: bool = False) -> KubeObject:
    """The claim, bound to the volume with that name, if given; `lost` for a claim whose volume is missing."""
    spec = dict(claim["spec"])
    if called:
        spec |= {"volumeName": called, "storageClassName": spec.get("storageClassName", "")}
    # This annotation marks a claim that was bound: the controller then finds that its volume is missing
    marks = {"annotations": {"pv.kubernetes.io/bind-completed": "yes"}} if lost else {}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {**claim["metadata"], **marks},
        "spec": spec,
    }
