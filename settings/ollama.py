"""Settings of the Ollama model server."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field, StrictInt

from settings.base import Broken, FrozenMapping, Settings
from settings.names import ImageReference, LabelKey, LabelValue, ModelName, ResourceName
from settings.probes import ProbeSettings, ProbesSettings
from settings.workload import (
    NodeSelectorRequirement,
    ResourceAmounts,
    Resources,
    StorageSettings,
    Toleration,
    WorkloadSettings,
)


def _is_nvidia(earlier: Mapping[str, Any]) -> bool:
    return str(earlier.get("resource_name")).startswith("nvidia.com/")


class GpuSettings(Settings):
    """GPUs for each Ollama pod: the limit, the nodes that have them, and the taint that keeps other pods away."""

    count: Annotated[StrictInt, Field(ge=1)] = 1
    """GPUs of each pod. A GPU is never shared or split by this number."""
    resource_name: ResourceName = "nvidia.com/gpu"
    """The extended resource that the device plugin advertises."""
    node_labels: FrozenMapping[LabelKey, LabelValue] = Field(
        default_factory=lambda earlier: {"nvidia.com/gpu.present": "true"} if _is_nvidia(earlier) else {}
    )
    """Labels of the nodes to run on; {} leaves the choice to the resource alone. Default: `nvidia.com/gpu.present: "true"`,
    as GPU feature discovery sets it, for NVIDIA's resources; none for others."""
    taint: LabelKey | None = Field(
        default_factory=lambda earlier: "nvidia.com/gpu" if _is_nvidia(earlier) else earlier.get("resource_name")
    )
    """Key of the NoSchedule taint on GPU nodes that the pods tolerate; null for none. Default: `nvidia.com/gpu` for NVIDIA's
    resources, MIG profiles included; the resource's own name for others."""

    @property
    def node_affinity(self) -> tuple[NodeSelectorRequirement, ...]:
        """The node labels as conditions."""
        return tuple(NodeSelectorRequirement(key=key, values=(value,)) for key, value in self.node_labels.items())

    @property
    def tolerations(self) -> tuple[Toleration, ...]:
        """The taint as a toleration, whatever the taint's value is."""
        return () if self.taint is None else (Toleration(key=self.taint, effect="NoSchedule"),)


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
    def managed_env(self) -> frozenset[str]:
        """Where Ollama's data is, and which GPUs it sees: none on CPU, those of the device plugin on GPU."""
        return frozenset({"HOME", "NVIDIA_VISIBLE_DEVICES", "OLLAMA_MODELS"})

    @property
    def uses_gpu(self) -> bool:
        """Whether the pods ask for a GPU."""
        return self.gpu is not None
