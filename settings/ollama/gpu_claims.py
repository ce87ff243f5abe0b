"""Settings of GPUs by Dynamic Resource Allocation, instead of a device plugin."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator

from settings.types.base import Broken, Settings
from settings.types.names import Dns1123Subdomain

_EXPRESSION_LENGTH = 10 * 1024
"""Source: Kubernetes, resource.k8s.io/v1, CELSelectorExpressionMaxLength."""

_SELECTORS = 32
"""Selectors of one request. Source: Kubernetes, resource.k8s.io/v1, DeviceSelectorsMaxSize."""

MAX_DEVICES = 32
"""Devices of one claim. Source: Kubernetes, resource.k8s.io/v1, AllocationResultsMaxSize."""


def _expression(given: str) -> str:
    if not given.strip() or len(given) > _EXPRESSION_LENGTH:
        raise ValueError("a CEL expression such as device.attributes['gpu.nvidia.com'].productName == 'NVIDIA L4'")
    return given


CelExpression = Annotated[str, AfterValidator(_expression)]
"""A condition on a device, in the Common Expression Language. The API server compiles it."""


class DraSettings(Settings):
    """GPUs by Dynamic Resource Allocation (`resource.k8s.io/v1`). Requires Kubernetes 1.34 or later, and the vendor's DRA
    driver.
    """

    device_class: Dns1123Subdomain | None = None
    """DeviceClass of the GPUs. Null for the class that the vendor's driver installs: `gpu.nvidia.com`, `gpu.amd.com` or
    `gpu.intel.com`."""
    selectors: tuple[CelExpression, ...] = ()
    """CEL expressions that a device must meet, all of them: `device.attributes['gpu.nvidia.com'].productName == 'NVIDIA
    L4'`."""
    existing_claim_template: Dns1123Subdomain | None = None
    """Name of an existing ResourceClaimTemplate in the stack's namespace, for requests that `deviceClass` and `selectors`
    cannot express; each pod gets its own claim from it. Null creates a template."""
    existing_claim: Dns1123Subdomain | None = None
    """Name of an existing ResourceClaim in the stack's namespace, for at most one pod."""

    def rules(self) -> Iterator[Broken]:
        """An existing claim or template already selects its devices."""
        if len(self.selectors) > _SELECTORS:
            yield Broken("selectors", f"{len(self.selectors)} selectors", f"at most {_SELECTORS}")
        if self.existing_claim is not None and self.existing_claim_template is not None:
            allowed = "one of this and existingClaimTemplate, not both"
            yield Broken("existingClaim", self.existing_claim, allowed, ("existingClaimTemplate",))
        key = "existingClaim" if self.existing_claim is not None else "existingClaimTemplate"
        if self.existing is not None:
            if self.device_class is not None:
                yield Broken("deviceClass", self.device_class, f"null, because {key} selects the devices", (key,))
            if self.selectors:
                yield Broken("selectors", list(self.selectors), f"[], because {key} selects the devices", (key,))

    @property
    def existing(self) -> str | None:
        """The name of the existing claim or template, if there is one."""
        return self.existing_claim or self.existing_claim_template
