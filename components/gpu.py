"""A pod's access to GPUs, from the GPU settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
from pulumi_kubernetes.core.v1 import PodResourceClaimArgs

from components.metadata import Place
from settings.ollama.gpu import GpuSettings
from settings.ollama.gpu_claims import DraSettings
from settings.pods.scheduling import NodeSelectorRequirement, Toleration

_CLAIM = "gpu"
"""Name of the claim in the pod."""


@dataclass(frozen=True)
class GpuAccess:
    """A pod's access to its GPUs; without GPUs, only the variable that hides them."""

    limits: Mapping[str, int] = field(default_factory=dict)
    """Extended resources of the container, by name."""
    claims: Sequence[PodResourceClaimArgs] = ()
    """Resource claims of the pod, all used by its container."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Environment of the container."""
    node_affinity: Sequence[NodeSelectorRequirement] = ()
    """Node selector requirements."""
    tolerations: Sequence[Toleration] = ()
    """Tolerations of the nodes' taint."""
    runtime_class: str | None = None
    """RuntimeClass that gives containers access to GPUs."""
    supplemental_groups: Sequence[int] = ()
    """Supplemental group IDs of the processes."""


def gpu_access(settings: GpuSettings | None, name: str, place: Place) -> GpuAccess:
    """How the pods of the workload `name` get their GPUs.

    With Dynamic Resource Allocation, registers a ResourceClaimTemplate, unless one exists already.
    """
    if settings is None:
        return GpuAccess(variables=NO_NVIDIA)
    return GpuAccess(
        limits={settings.resource_name: settings.count} if settings.resource_name else {},
        claims=[_claim(settings, settings.dra, name, place)] if settings.dra else (),
        variables=_variables(settings),
        node_affinity=settings.node_affinity,
        tolerations=settings.tolerations,
        runtime_class=settings.runtime_class,
        supplemental_groups=settings.supplemental_groups,
    )


NO_NVIDIA = {"NVIDIA_VISIBLE_DEVICES": "void"}
"""Hides NVIDIA GPUs from a container that requests none: Ollama's images set `all`, with which the container runtime may expose
every GPU of the node. Containers with GPUs must not set it: the device plugin or driver does."""


def _variables(settings: GpuSettings) -> Mapping[str, str]:
    if settings.maker == "intel":
        # Most Intel GPUs are integrated: since 0.30.0, Ollama uses those only with this variable (discover/runner.go)
        return {**NO_NVIDIA, "OLLAMA_IGPU_ENABLE": "True", "OLLAMA_VULKAN": "True"}
    return NO_NVIDIA if settings.maker == "amd" else {}


def _claim(settings: GpuSettings, dra: DraSettings, name: str, place: Place) -> PodResourceClaimArgs:
    if dra.existing_claim is not None:
        return PodResourceClaimArgs(name=_CLAIM, resource_claim_name=dra.existing_claim)
    template: pulumi.Input[str] | None = dra.existing_claim_template
    if template is None:
        from components.gpu_claims import claim_template

        template = claim_template(settings, dra, name, place).metadata.name
    return PodResourceClaimArgs(name=_CLAIM, resource_claim_template_name=template)
