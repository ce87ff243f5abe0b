"""From GPU settings to what a pod needs to get one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
from pulumi_kubernetes.core.v1 import PodResourceClaimArgs

from components.metadata import Place
from settings.ollama.gpu import GpuSettings
from settings.ollama.gpu_claims import DraSettings
from settings.pods.scheduling import NodeSelectorRequirement, Toleration

_CLAIM = "gpu"
"""The name of the claim in the pod."""


@dataclass(frozen=True)
class GpuAccess:
    """What a pod needs to get its GPUs; without any, nothing but the variable that keeps it from them."""

    limits: Mapping[str, int] = field(default_factory=dict)
    """Extended resources of the container, by name."""
    claims: Sequence[PodResourceClaimArgs] = ()
    """The pod's claims of devices; its container uses all of them."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Environment of the container."""
    node_affinity: Sequence[NodeSelectorRequirement] = ()
    """Conditions on the node."""
    tolerations: Sequence[Toleration] = ()
    """Taints of such nodes."""
    runtime_class: str | None = None
    """RuntimeClass by which the container gets them."""
    supplemental_groups: Sequence[int] = ()
    """Groups of the processes, by number, beside their own."""


def gpu_access(settings: GpuSettings | None, name: str, place: Place) -> GpuAccess:
    """How the pods of the workload `name` get the GPUs that the settings ask for.

    With Dynamic Resource Allocation, a ResourceClaimTemplate is registered, unless one exists already.
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
"""Keeps NVIDIA's GPUs from a container that asks for none: Ollama's images say `all`, and on a node with GPUs the container
runtime may then hand over all of them. Whoever does get some must not set it: the device plugin, or the driver, does."""


def _variables(settings: GpuSettings) -> Mapping[str, str]:
    if settings.maker == "intel":
        # Most of Intel's GPUs are integrated: since 0.30.0, Ollama takes those only if told so (discover/runner.go)
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
