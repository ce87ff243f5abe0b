"""Jobs that see to the models of each Ollama: removed, pulled, created and loaded, in this order, with a log for each."""

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
"""How much longer Pulumi waits than Kubernetes does: so Kubernetes says first what is not done."""
_PATIENCE_SECONDS = 60
"""How long a container waits for Ollama to answer. Network plugins take a moment to let a new pod's address through, a failed
try gets another address, and Ollama may be starting again; with all tries it is 17 minutes."""
_GRACE_SECONDS = 5
"""A shell that is a container's first process does not heed SIGTERM; the server works on by itself anyway."""
_SCRATCH, _SCRATCH_PATH = "tmp", "/tmp"  # noqa: S108  (inside the container)
_FILES, _FILES_PATH = "models", "/etc/airis/models"
_RESOURCES = Resources(
    requests=ResourceAmounts(cpu="50m", memory="64Mi", ephemeral_storage="50Mi"),
    limits=ResourceAmounts(cpu="500m", memory="512Mi", ephemeral_storage="1Gi"),
)
"""The client only asks and shows progress: the server downloads, onto its own volume."""
_LONGEST_NAME = 63


def puller(app: str) -> dict[str, str]:
    """The labels of the pods that see to the models of this installation of Ollama; never those of Ollama itself."""
    return labels(f"{app}-pull", "ollama")


def model_jobs(
    app: str, urls: Sequence[pulumi.Input[str]], settings: OllamaSettings, place: Place, *, after: pulumi.Resource
) -> None:
    """A Job for the Ollama at each of `urls`, once `after` is there; none if the settings say nothing about models.

    A Job's template cannot be changed. So its name changes with whatever it would do or be: an unchanged one is not run
    again, a changed one takes its place.
    """
    if not settings.has_model_job or not urls:
        return
    files = {_file(_SCRIPT.name): _SCRIPT.read_text(encoding="utf-8")}
    files |= {_file(str(index)): modelfile(each) for index, each in enumerate(settings.create)}
    kept = f"{app}-models-{_digest(files)}"
    config_map = ConfigMap(kept, metadata=place.metadata(kept), data=files, immutable=True, opts=place.opts)
    for ordinal, url in enumerate(urls):
        server = f"{app}-{ordinal}"
        # What a name cannot follow from is not known before the namespace is: any other text stands for it
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
    """One thing to do about one model."""

    verb: str
    model: str
    further: str | None = None

    @property
    def arguments(self) -> list[str]:
        """What the script is told."""
        return [self.verb, self.model, *([self.further] if self.further else [])]


def _steps(settings: OllamaSettings) -> Iterator[_Step]:
    """What is to be done, in order: what goes makes room; what is made needs its base; what is loaded has to be there."""
    yield from (_Step("remove", model) for model in settings.absent_models)
    pull = "pull" if settings.model_pull_policy == "Always" else "ensure"
    yield from (_Step(pull, model) for model in settings.pulled_models)
    for index, each in enumerate(settings.create):
        yield _Step("create", each.name, f"{_FILES_PATH}/{_file(str(index))}")
    keep = settings.preload_keep_alive
    yield from (_Step("load", model, f"--keepalive={keep}" if keep else None) for model in settings.preload)


def _file(name: str) -> str:
    """A file that no model is called like: Ollama takes `FROM name` for a file beside the Modelfile, if there is one."""
    return f".{name}"


def _spec(
    app: str, server: str, settings: OllamaSettings, place: Place, *, url: pulumi.Input[str], files: str
) -> JobSpecArgs:
    """An init container for each step, as a Modelfile needs what is pulled before it; and a container that tells the result.

    Pulumi shows what a container says that fails, but not what an init container says (pulumi/pulumi-kubernetes,
    provider/pkg/await/checker/pod/check.go). So none of these fails; the last one says what did, with each model's name, and
    one model's trouble does not keep the others from their turn. A failed pod stays, with its logs, and another one tries
    again: what is there already costs it nothing. There is no pod failure policy: Pulumi would wait on
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
    """Where Ollama may run, and best beside its pod `server`, whose node has the image. Without a GPU of its own."""
    gpu = settings.gpu if settings.gpu is not None and settings.gpu.take_helpers else None
    return beside(
        settings,
        {"statefulset.kubernetes.io/pod-name": server},
        node_affinity=gpu.node_affinity if gpu else (),
        tolerations=gpu.tolerations if gpu else (),
    )


def _name(index: int, step: _Step) -> str:
    """A container's name: what is done, and about which model. It stands in what Kubernetes tells about the pod."""
    name = re.sub(r"[^a-z0-9]+", "-", f"{step.verb}-{index}-{step.model}".lower())
    return name[:_LONGEST_NAME].strip("-")


def _container(
    name: str, arguments: list[str], url: pulumi.Input[str], settings: OllamaSettings, place: Place
) -> ContainerArgs:
    """A container that runs the script; one that fails is told by the last lines of its log."""
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
    """A short name for a value, the same on every machine."""
    return hashlib.sha256(json.dumps(_plain(value), sort_keys=True).encode()).hexdigest()[:8]


def _plain(value: Any) -> Any:
    """A value, or the arguments of a Kubernetes object, as JSON has it; what is not set is left out."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items() if each is not None}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(each) for each in value]
    return _plain(vars(value)) if hasattr(value, "__dict__") else value
