"""From GPU settings to what a pod needs to get one."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
from pulumi_kubernetes.core.v1 import PodResourceClaimArgs
from pulumi_kubernetes.resource.v1 import (
    CELDeviceSelectorArgs,
    DeviceClaimArgs,
    DeviceRequestArgs,
    DeviceSelectorArgs,
    ExactDeviceRequestArgs,
    ResourceClaimSpecArgs,
    ResourceClaimTemplate,
    ResourceClaimTemplateSpecArgs,
)

from components.metadata import Place
from settings.gpu import GpuSettings
from settings.gpu_claims import DraSettings
from settings.scheduling import NodeSelectorRequirement, Toleration

_CLAIM = "gpu"
"""The name of the claim in the pod, and of the request in the claim."""


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
        # On a node with GPUs, the container runtime may hand all of them to a pod that asks for none
        return GpuAccess(variables=_NO_NVIDIA)
    return GpuAccess(
        limits={settings.resource_name: settings.count} if settings.resource_name else {},
        claims=[_claim(settings, settings.dra, name, place)] if settings.dra else (),
        variables=_variables(settings),
        node_affinity=settings.node_affinity,
        tolerations=settings.tolerations,
        runtime_class=settings.runtime_class,
        supplemental_groups=settings.supplemental_groups,
    )


_NO_NVIDIA = {"NVIDIA_VISIBLE_DEVICES": "void"}
"""Ollama's images say `all`. Whoever does get NVIDIA's GPUs must not set it: its device plugin, or its driver, does."""


def _variables(settings: GpuSettings) -> Mapping[str, str]:
    if settings.maker == "intel":
        return {**_NO_NVIDIA, "OLLAMA_VULKAN": "True"}
    return _NO_NVIDIA if settings.maker == "amd" else {}


def _claim(settings: GpuSettings, dra: DraSettings, name: str, place: Place) -> PodResourceClaimArgs:
    if dra.existing_claim is not None:
        return PodResourceClaimArgs(name=_CLAIM, resource_claim_name=dra.existing_claim)
    template: pulumi.Input[str] | None = dra.existing_claim_template
    if template is None:
        template = _template(settings, dra, name, place).metadata.name
    return PodResourceClaimArgs(name=_CLAIM, resource_claim_template_name=template)


def _template(settings: GpuSettings, dra: DraSettings, name: str, place: Place) -> ResourceClaimTemplate:
    """A template of claims, `<name>-gpu-<hash>`.

    Its spec is immutable. The name changes with it, so the new template stands beside the old one until the pods have gone
    over; a pod that has its claim already needs its template no more.
    """
    request = {"class": settings.device_class, "count": settings.count, "selectors": dra.selectors}
    digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()[:8]
    selectors = [DeviceSelectorArgs(cel=CELDeviceSelectorArgs(expression=each)) for each in dra.selectors]
    exactly = ExactDeviceRequestArgs(
        device_class_name=settings.device_class,
        allocation_mode="ExactCount",
        count=settings.count,
        selectors=selectors or None,
    )
    return ResourceClaimTemplate(
        f"{name}-gpu-{digest}",
        metadata=place.metadata(f"{name}-gpu-{digest}"),
        spec=ResourceClaimTemplateSpecArgs(  # no metadata in here: labels may change, and this may not
            spec=ResourceClaimSpecArgs(
                devices=DeviceClaimArgs(requests=[DeviceRequestArgs(name=_CLAIM, exactly=exactly)])
            )
        ),
        opts=place.opts,
    )
