"""What of a stack a backup is about: the WebUI's Deployment and its claim, as the stack's own program draws them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airis.render import program
from airis.render.program import KubernetesObject
from airis.stack_file.stacks import StackFile
from airis.terminal.errors import AirisError

_APPLICATION = "app.kubernetes.io/name"
_OTHER_DATABASE = ("DATABASE_URL", "DATABASE_TYPE", "DATABASE_HOST")


@dataclass(frozen=True)
class Target:
    """Where one stack's Open WebUI keeps its data."""

    stack: str
    namespace: str
    deployment: str
    container: str
    labels: Mapping[str, str]
    """What selects the Deployment's pods."""
    claim: str
    folder: str
    """Where the claim is mounted in the container."""


def target_of(stack: StackFile) -> Target:
    """Finds the data of a stack.

    Raises AirisError for a stack that does not hold, and for one whose data is elsewhere, which only its own tools can back
    up consistently.
    """
    (deployment,) = [
        each
        for each in program.run(stack).objects
        if each.kind == "Deployment" and each.manifest["metadata"]["labels"].get(_APPLICATION) == "open-webui"
    ]
    spec = deployment.manifest["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    _refuse_data_elsewhere(stack, container, deployment)
    claims = {
        each["name"]: each["persistentVolumeClaim"]["claimName"]
        for each in spec["volumes"]
        if "persistentVolumeClaim" in each
    }
    ((volume, claim),) = claims.items()
    return Target(
        stack=stack.name,
        namespace=str(deployment.namespace),
        deployment=deployment.name,
        container=container["name"],
        labels=deployment.manifest["spec"]["selector"]["matchLabels"],
        claim=claim,
        folder=next(each["mountPath"] for each in container["volumeMounts"] if each["name"] == volume),
    )


def _refuse_data_elsewhere(stack: StackFile, container: Mapping[str, Any], deployment: KubernetesObject) -> None:
    env = {each["name"]: each.get("value", "") for each in container.get("env", [])}
    bucket = env.get("S3_BUCKET_NAME")
    if not set(_OTHER_DATABASE) & env.keys() and "STORAGE_PROVIDER" not in env:
        return
    uploads = (
        f"the uploads in bucket {bucket}: the store's own versioning, or `rclone sync`"
        if "STORAGE_PROVIDER" in env
        else f"the uploads on the claim: a VolumeSnapshot, or `kubectl cp` from {deployment.name}'s pod"
    )
    raise AirisError(
        f"{stack.path.name}: this stack's data is not on one volume alone, and airis backs up and restores no other",
        f"the database: `pg_dump --format=custom` and `pg_restore`, or your provider's snapshots; {uploads}",
    )
