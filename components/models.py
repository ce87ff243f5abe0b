"""Jobs that manage the models of each Ollama pod: remove, pull, create and load, in this order, each with its own log."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
from pulumi_kubernetes.batch.v1 import Job, JobSpecArgs
from pulumi_kubernetes.core.v1 import ConfigMap, ConfigMapVolumeSourceArgs, ContainerArgs, VolumeArgs

from components import pod
from components.gpu import NO_NVIDIA
from components.metadata import REPLACE_FAILED, Place, labels
from components.scheduling import beside
from settings.ollama.modelfile import modelfile
from settings.ollama.ollama import OllamaSettings
from settings.pods.workload import ResourceAmounts, Resources

_SCRIPT = Path(__file__).with_name("models.sh")
_RETRIES = 6
_SLACK_SECONDS = 60
"""How much longer Pulumi waits than Kubernetes, so that Kubernetes first reports what failed."""
_PATIENCE_SECONDS = 60
"""How long a container waits for Ollama. Network plugins may take a moment to allow a new pod's address, a retry gets another
address, and Ollama may be restarting; with all retries, this is 17 minutes."""
_GRACE_SECONDS = 5
"""A shell as a container's first process ignores SIGTERM; the server continues anyway."""
_SCRATCH, _SCRATCH_PATH = "tmp", "/tmp"  # noqa: S108  (inside the container)
_FILES, _FILES_PATH = "models", "/etc/airis/models"
_RESOURCES = Resources(
    requests=ResourceAmounts(cpu="50m", memory="64Mi", ephemeral_storage="50Mi"),
    limits=ResourceAmounts(cpu="500m", memory="512Mi", ephemeral_storage="1Gi"),
)
"""The client only sends requests and shows progress: the server downloads, onto its own volume."""
_LONGEST_NAME = 63


def puller(app: str) -> dict[str, str]:
    """The labels of the pods that manage this installation's models; never those of Ollama itself."""
    return labels(f"{app}-pull", "ollama")


def model_jobs(
    app: str, urls: Sequence[pulumi.Input[str]], settings: OllamaSettings, place: Place, *, after: pulumi.Resource
) -> None:
    """A Job for the Ollama pod at each of `urls`, once `after` exists; none if there are no model settings.

    A Job's template is immutable. Its name therefore changes with its spec: an unchanged Job does not run again, and a changed
    one replaces it.
    """
    if not settings.has_model_job or not urls:
        return
    files = {_file(_SCRIPT.name): _SCRIPT.read_text(encoding="utf-8")}
    files |= {_file(str(index)): modelfile(each) for index, each in enumerate(settings.create)}
    kept = f"{app}-models-{_digest(files)}"
    config_map = ConfigMap(kept, metadata=place.metadata(kept), data=files, immutable=True, opts=place.opts)
    for ordinal, url in enumerate(urls):
        server = f"{app}-{ordinal}"
        # The URL is not known before the namespace exists, so the name is derived from a placeholder
        stand_in = f"{server}.{place.platform.cluster_domain}"
        name = f"{app}-pull-{ordinal}-{_digest(_spec(app, server, settings, place, url=stand_in, files=kept))}"
        Job(
            name,
            metadata=place.metadata(name, REPLACE_FAILED),
            spec=_spec(app, server, settings, place, url=url, files=kept),
            opts=pulumi.ResourceOptions(
                parent=place.parent,
                depends_on=[after, config_map],
                custom_timeouts=pulumi.CustomTimeouts(create=f"{settings.model_pull_seconds + _SLACK_SECONDS}s"),
            ),
        )


@dataclass(frozen=True)
class _Step:
    """One operation on one model."""

    verb: str
    model: str
    further: str | None = None

    @property
    def arguments(self) -> list[str]:
        """Arguments of the script."""
        return [self.verb, self.model, *([self.further] if self.further else [])]


def _steps(settings: OllamaSettings) -> Iterator[_Step]:
    """The operations, in order: removing frees space, creating needs the base model, loading needs the model."""
    yield from (_Step("remove", model) for model in settings.absent_models)
    pull = "pull" if settings.model_pull_policy == "Always" else "ensure"
    yield from (_Step(pull, model) for model in settings.pulled_models)
    for index, each in enumerate(settings.create):
        yield _Step("create", each.name, f"{_FILES_PATH}/{_file(str(index))}")
    keep = settings.preload_keep_alive
    yield from (_Step("load", model, f"--keepalive={keep}" if keep else None) for model in settings.preload)


def _file(name: str) -> str:
    """A file name that is not a model name: in `FROM name`, Ollama prefers a file next to the Modelfile."""
    return f".{name}"


def _spec(
    app: str, server: str, settings: OllamaSettings, place: Place, *, url: pulumi.Input[str], files: str
) -> JobSpecArgs:
    """An init container for each operation, because a Modelfile needs its base model; and a container that reports the result.

    Pulumi shows the output of a failed container, but not of a failed init container (pulumi/pulumi-kubernetes,
    provider/pkg/await/checker/pod/check.go). So no init container fails; the last container reports every failure by model
    name, and a failure does not affect the other models. A failed pod stays, with its logs, and another one retries: existing
    models are skipped. There is no pod failure policy, because Pulumi would continue to wait
    (provider/pkg/await/checker/job/check.go).
    """
    steps = [
        _container(_name(index, step), step.arguments, url, settings, place)
        for index, step in enumerate(_steps(settings))
    ]
    volumes = [
        pod.scratch(_SCRATCH, "1Gi"),
        VolumeArgs(name=_FILES, config_map=ConfigMapVolumeSourceArgs(name=files)),
    ]
    return JobSpecArgs(
        backoff_limit=_RETRIES,
        active_deadline_seconds=settings.model_pull_seconds,
        template=pod.template(
            place,
            init_containers=steps,
            containers=[_container("result", ["result"], url, settings, place)],
            volumes=volumes,
            labels=puller(app),
            restart_policy="Never",
            termination_grace_period_seconds=_GRACE_SECONDS,
            **_placement(server, settings),
        ),
    )


def _placement(server: str, settings: OllamaSettings) -> dict[str, Any]:
    """Nodes on which Ollama may run, preferably that of its pod `server`, which has the image. Requests no GPU."""
    gpu = settings.gpu if settings.gpu is not None and settings.gpu.take_helpers else None
    return beside(
        settings,
        {"statefulset.kubernetes.io/pod-name": server},
        node_affinity=gpu.node_affinity if gpu else (),
        tolerations=gpu.tolerations if gpu else (),
    )


def _name(index: int, step: _Step) -> str:
    """A container's name: operation and model. Kubernetes shows it in the pod's status."""
    name = re.sub(r"[^a-z0-9]+", "-", f"{step.verb}-{index}-{step.model}".lower())
    return name[:_LONGEST_NAME].strip("-")


def _container(
    name: str, arguments: list[str], url: pulumi.Input[str], settings: OllamaSettings, place: Place
) -> ContainerArgs:
    """A container that runs the script. On failure, its status has the last lines of its log."""
    return pod.container(
        place,
        name,
        settings.image,
        image_pull_policy=settings.image_pull_policy,
        command=["/bin/sh", f"{_FILES_PATH}/{_file(_SCRIPT.name)}"],
        args=arguments,
        environment=pod.env(
            {
                "OLLAMA_HOST": url,
                "HOME": _SCRATCH_PATH,
                "PATIENCE_SECONDS": str(_PATIENCE_SECONDS),
                **NO_NVIDIA,
            }
        ),
        resources=pod.resources(_RESOURCES),
        mounts={_SCRATCH: _SCRATCH_PATH, _FILES: _FILES_PATH},
        termination_message_policy="FallbackToLogsOnError",
    )


def _digest(value: object) -> str:
    """A short digest of a value, the same on every machine."""
    return hashlib.sha256(json.dumps(_plain(value), sort_keys=True).encode()).hexdigest()[:8]


def _plain(value: Any) -> Any:
    """A value, or the arguments of a Kubernetes object, as JSON; unset fields are omitted."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items() if each is not None}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(each) for each in value]
    return _plain(vars(value)) if hasattr(value, "__dict__") else value
