"""From GPU settings to what a pod needs to get one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from settings.gpu import GpuSettings
from settings.scheduling import NodeSelectorRequirement, Toleration


@dataclass(frozen=True)
class GpuAccess:
    """What a pod needs to get its GPUs; without any, nothing but the variable that keeps it from them."""

    limits: Mapping[str, int] = field(default_factory=dict)
    """Extended resources of the container, by name."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Environment of the container."""
    node_affinity: Sequence[NodeSelectorRequirement] = ()
    """Conditions on the node."""
    tolerations: Sequence[Toleration] = ()
    """Taints of such nodes."""


def gpu_access(settings: GpuSettings | None) -> GpuAccess:
    """How the pods get the GPUs that the settings ask for."""
    if settings is None:
        # On a node with GPUs, the container runtime may hand all of them to a pod that asks for none
        return GpuAccess(variables={"NVIDIA_VISIBLE_DEVICES": "void"})
    return GpuAccess(
        limits={settings.resource_name: settings.count},
        node_affinity=settings.node_affinity,
        tolerations=settings.tolerations,
    )
