"""The fields of `airis:ollama`, without the rules between them."""

from pydantic import StrictBool

from settings.ollama.gpu import GpuSettings
from settings.ollama.models import ModelsSettings
from settings.ollama.server import OllamaServerSettings
from settings.pods.probes import ProbeSettings, ProbesSettings
from settings.pods.workload import ResourceAmounts, Resources, StorageSettings, WorkloadSettings
from settings.types.names import ImageReference
from settings.types.releases import OLLAMA

_MODELS_IN_MEMORY = 3
"""Ollama's default number of loaded models for each GPU, or on CPU. Source: Ollama's server/sched.go."""


class OllamaFields(ModelsSettings, WorkloadSettings):
    """The fields of the Ollama model server."""

    enabled: StrictBool = True
    """Deploy Ollama. False creates none of its objects, and the WebUI uses the servers in `airis:webui.connections`. On a
    running stack, `replicas: 0` pauses Ollama and keeps its models. Before you set this to false, see docs/connections.md,
    because the claims are protected."""
    image: ImageReference = OLLAMA.image
    """Container image, with a tag or a digest. With AMD GPUs, the default is its `-rocm` variant."""
    resources: Resources = Resources(
        requests=ResourceAmounts(cpu="2", memory="2Gi", ephemeral_storage="100Mi"),
        limits=ResourceAmounts(cpu="4", memory="4Gi", ephemeral_storage="2Gi"),
    )
    """CPU and memory of each pod. Without a GPU, models are loaded into this memory."""
    storage: StorageSettings = StorageSettings(size="30Gi")
    """Volume for models, one for each pod."""
    probes: ProbesSettings = ProbesSettings(
        startup=ProbeSettings(period_seconds=5, failure_threshold=60),
        liveness=ProbeSettings(period_seconds=30, timeout_seconds=10, failure_threshold=6),
    )
    """Startup, readiness and liveness probes. GPU discovery at startup takes up to a minute for each library; the startup probe
    allows 5 minutes."""
    server: OllamaServerSettings = OllamaServerSettings()
    """Settings of the Ollama server: context length, parallel requests, loaded models."""
    gpu: GpuSettings | None = None
    """GPUs of each pod; null runs models on CPU. `gpu: {}` requests one NVIDIA GPU."""

    @property
    def most_loaded(self) -> int:
        """The maximum number of loaded models."""
        return self.server.max_loaded_models or _MODELS_IN_MEMORY * (self.gpu.count if self.gpu else 1)
