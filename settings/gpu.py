"""Settings of GPUs: how many, of which make, and on which nodes."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, StrictInt

from settings.base import FrozenMapping, Settings
from settings.names import LabelKey, LabelValue, ResourceName
from settings.scheduling import NodeSelectorRequirement, Toleration


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
