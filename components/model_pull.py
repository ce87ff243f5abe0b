"""Jobs that pull models into Ollama: the logs show what happens, and a model that cannot be pulled fails the `up`."""

import hashlib
from collections.abc import Sequence

import pulumi
from pulumi_kubernetes.batch.v1 import Job, JobSpecArgs
from pulumi_kubernetes.core.v1 import ContainerArgs, PodSpecArgs, PodTemplateSpecArgs, VolumeMountArgs
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from components import pod
from components.metadata import Place, labels
from components.security import container_context, pod_context
from settings.ollama import OllamaSettings
from settings.stack import PodSecurity
from settings.workload import ResourceAmounts, Resources

_RETRIES = 6
_SCRATCH, _SCRATCH_PATH = "tmp", "/tmp"  # noqa: S108  (inside the container)
_RESOURCES = Resources(
    requests=ResourceAmounts(cpu="50m", memory="64Mi", ephemeral_storage="50Mi"),
    limits=ResourceAmounts(cpu="500m", memory="512Mi", ephemeral_storage="1Gi"),
)
"""The client only asks and shows progress: the server downloads, onto its own volume."""


def puller(app: str) -> dict[str, str]:
    """The labels of the pods that pull models for this installation of Ollama; never those of Ollama itself."""
    return labels(f"{app}-pull", "ollama")


def pull_job(
    app: str,
    ordinal: int,
    url: pulumi.Input[str],
    settings: OllamaSettings,
    place: Place,
    *,
    pod_security: PodSecurity,
    image_pull_secrets: Sequence[str],
    after: pulumi.Resource,
) -> Job:
    """A Job that has the Ollama at `url` pull every model: one container for each, so that each has a log of its own.

    `ollama pull` exits with 1 and the reason when it cannot, and at once with 0 when the model is there. The Job's name
    changes with what it would do: an unchanged one is not run again.
    """
    todo = "\n".join([settings.image, *settings.models])
    name = f"{app}-pull-{ordinal}-{hashlib.sha256(todo.encode()).hexdigest()[:8]}"
    containers = [
        ContainerArgs(
            name=f"pull-{index}",
            image=settings.image,
            image_pull_policy=settings.image_pull_policy,
            args=["pull", model],
            env=pod.env({"OLLAMA_HOST": url, "HOME": _SCRATCH_PATH}),
            resources=pod.resources(_RESOURCES),
            security_context=container_context(pod_security),
            volume_mounts=[VolumeMountArgs(name=_SCRATCH, mount_path=_SCRATCH_PATH)],
        )
        for index, model in enumerate(settings.models)
    ]
    return Job(
        name,
        metadata=place.metadata(name),
        spec=JobSpecArgs(
            backoff_limit=_RETRIES,
            active_deadline_seconds=settings.model_pull_seconds,
            template=PodTemplateSpecArgs(
                metadata=ObjectMetaArgs(labels=puller(app)),
                spec=PodSpecArgs(
                    restart_policy="OnFailure",
                    containers=containers,
                    volumes=[pod.scratch(_SCRATCH, "1Gi")],
                    security_context=pod_context(pod_security),
                    automount_service_account_token=False,
                    enable_service_links=False,
                    image_pull_secrets=pod.image_pull_secrets(image_pull_secrets),
                ),
            ),
        ),
        opts=pulumi.ResourceOptions(
            parent=place.parent,
            depends_on=[after],
            custom_timeouts=pulumi.CustomTimeouts(create=f"{settings.model_pull_seconds}s"),
        ),
    )
