"""Settings of the Ollama model server."""

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import Field, StrictInt

from settings.base import Broken
from settings.gpu import GpuSettings
from settings.names import ImageReference, ModelName
from settings.ollama_server import OllamaServerSettings
from settings.probes import ProbeSettings, ProbesSettings
from settings.variables import declared
from settings.workload import ResourceAmounts, Resources, StorageSettings, WorkloadSettings

_FOLLOWING = {
    "HOME": "airis:podSecurity",
    "HTTPS_PROXY": "airis:proxy",
    "HTTP_PROXY": "nothing, because Ollama's documentation advises against it",
    "NO_PROXY": "airis:proxy",
    "NVIDIA_VISIBLE_DEVICES": "airis:ollama.gpu",
    "OLLAMA_HOST": "the image",
    "OLLAMA_MODELS": "HOME",
    "REQUESTS_CA_BUNDLE": "airis:caBundle",
    "SSL_CERT_FILE": "airis:caBundle",
}
"""Variables of Ollama that follow from more than its own settings, and from what: where its data is, which GPUs it sees."""


class OllamaSettings(WorkloadSettings):
    """The Ollama model server: one StatefulSet, its Services and a claim for each pod."""

    image: ImageReference = "ollama/ollama:0.17.4"
    """Container image, with a tag or a digest."""
    resources: Resources = Resources(
        requests=ResourceAmounts(cpu="2", memory="2Gi", ephemeral_storage="100Mi"),
        limits=ResourceAmounts(cpu="4", memory="4Gi", ephemeral_storage="2Gi"),
    )
    """CPU and memory of each pod. Without a GPU, models are loaded into this memory."""
    storage: StorageSettings = StorageSettings(size="30Gi")
    """The volume for models; one for each pod."""
    probes: ProbesSettings = ProbesSettings(
        startup=ProbeSettings(period_seconds=5, failure_threshold=60),
        liveness=ProbeSettings(period_seconds=30, timeout_seconds=10, failure_threshold=6),
    )
    """How patiently Kubernetes asks. Looking for GPUs at the start takes up to a minute for each library: the budget is
    5 minutes."""
    models: tuple[ModelName, ...] = ()
    """Models that each pod is to have. A Job for each pod pulls them once the pod is ready; what is there already costs
    nothing. `up` fails when a model cannot be pulled."""
    model_pull_seconds: Annotated[StrictInt, Field(ge=60)] = 3600
    """How long a pod's Job may take for all models, retries included."""
    server: OllamaServerSettings = OllamaServerSettings()
    """How the server shares its memory and time."""
    gpu: GpuSettings | None = None
    """GPUs; null runs on CPU. `gpu: {}` asks for one NVIDIA GPU."""

    def rules(self) -> Iterator[Broken]:
        """One claim is for one pod, and one pull for one model."""
        yield from super().rules()
        for index, model in enumerate(self.models):
            if model in self.models[:index]:
                yield Broken(f"models.{index}", model, "each model once")
        if self.replicas > 1 and self.storage.existing_claim is not None:
            allowed = "at most 1, because storage.existingClaim is one claim, and each pod needs its own"
            yield Broken("replicas", self.replicas, allowed, ("storage.existingClaim",))

    @property
    def managed_env(self) -> Mapping[str, str]:
        """The variables that the component sets, whether or not these settings make it do so, and what decides on them."""
        return {**declared(type(self), "airis:ollama"), **_FOLLOWING}

    @property
    def uses_gpu(self) -> bool:
        """Whether the pods ask for a GPU."""
        return self.gpu is not None
