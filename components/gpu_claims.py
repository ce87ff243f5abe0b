"""ResourceClaimTemplates for Dynamic Resource Allocation."""

import hashlib
import json

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
from settings.ollama.gpu import GpuSettings
from settings.ollama.gpu_claims import DraSettings

REQUEST = "gpu"
"""Name of the request in the claim."""


def claim_template(settings: GpuSettings, dra: DraSettings, name: str, place: Place) -> ResourceClaimTemplate:
    """A ResourceClaimTemplate, `<name>-gpu-<hash>`.

    Its spec is immutable, so its name changes with the spec. The new template exists next to the old one until the pods have
    moved to it; a pod with a claim no longer needs its template.
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
        spec=ResourceClaimTemplateSpecArgs(  # no metadata here: labels may change, but this is immutable
            spec=ResourceClaimSpecArgs(
                devices=DeviceClaimArgs(requests=[DeviceRequestArgs(name=REQUEST, exactly=exactly)])
            )
        ),
        opts=place.opts,
    )
