"""The target of a backup: Open WebUI's Deployment and its claim, as the stack's program renders them."""

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
    """The location of a stack's Open WebUI data."""

    stack: str
    namespace: str
    deployment: str
    container: str
    labels: Mapping[str, str]
    """The selector of the Deployment's pods."""
    claim: str
    folder: str
    """The mount path of the claim in the container."""


def target_of(stack: StackFile) -> Target:
    """Finds the data of a stack.

    Raises AirisError for an invalid stack, and for a stack whose data is elsewhere (PostgreSQL, object storage): only the
    tools of those stores can back it up consistently.
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
        f"{stack.path.name}: this stack's data is not on a single volume, and airis backs up and restores nothing else",
        f"the database: `pg_dump --format=custom` and `pg_restore`, or your provider's snapshots; {uploads}",
    )
