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
"""Models that Ollama keeps in memory for each GPU, or on CPU, when nothing is said. Source: Ollama's server/sched.go."""


class OllamaFields(ModelsSettings, WorkloadSettings):
    """What may be said of the Ollama model server."""

    enabled: StrictBool = True
    """Whether the stack has an Ollama of its own. False makes none of its objects: the WebUI then uses
    `airis:webui.connections`. On a running stack, `replicas: 0` pauses it and keeps the models; see docs/connections.md
    before taking it away, because its claims are protected."""
    image: ImageReference = OLLAMA.image
    """Container image, with a tag or a digest. With AMD GPUs, the default is its variant `-rocm`."""
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
    server: OllamaServerSettings = OllamaServerSettings()
    """How the server shares its memory and time."""
    gpu: GpuSettings | None = None
    """GPUs; null runs on CPU. `gpu: {}` asks for one NVIDIA GPU."""

    @property
    def most_loaded(self) -> int:
        """How many models may be in memory at once."""
        return self.server.max_loaded_models or _MODELS_IN_MEMORY * (self.gpu.count if self.gpu else 1)
