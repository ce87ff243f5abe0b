"""Jobs that pull models into Ollama: the logs show what happens, and a model that cannot be pulled fails the `up`."""

import hashlib

import pulumi
from pulumi_kubernetes.batch.v1 import Job, JobSpecArgs

from components import pod
from components.metadata import Place, labels
from settings.ollama import OllamaSettings
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
    app: str, ordinal: int, url: pulumi.Input[str], settings: OllamaSettings, place: Place, *, after: pulumi.Resource
) -> Job:
    """A Job that has the Ollama at `url` pull every model: one container for each, so that each has a log of its own.

    `ollama pull` exits with 1 and the reason when it cannot, and at once with 0 when the model is there. The Job's name
    changes with what it would do: an unchanged one is not run again.
    """
    todo = "\n".join([settings.image, *settings.models])
    name = f"{app}-pull-{ordinal}-{hashlib.sha256(todo.encode()).hexdigest()[:8]}"
    containers = [
        pod.container(
            place,
            f"pull-{index}",
            settings.image,
            image_pull_policy=settings.image_pull_policy,
            args=["pull", model],
            environment=pod.env({"OLLAMA_HOST": url, "HOME": _SCRATCH_PATH}),
            resources=pod.resources(_RESOURCES),
            mounts={_SCRATCH: _SCRATCH_PATH},
        )
        for index, model in enumerate(settings.models)
    ]
    return Job(
        name,
        metadata=place.metadata(name),
        spec=JobSpecArgs(
            backoff_limit=_RETRIES,
            active_deadline_seconds=settings.model_pull_seconds,
            template=pod.template(
                place,
                containers=containers,
                volumes=[pod.scratch(_SCRATCH, "1Gi")],
                labels=puller(app),
                restart_policy="OnFailure",
            ),
        ),
        opts=pulumi.ResourceOptions(
            parent=place.parent,
            depends_on=[after],
            custom_timeouts=pulumi.CustomTimeouts(create=f"{settings.model_pull_seconds}s"),
        ),
    )
