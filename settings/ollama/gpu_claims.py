"""Settings of GPUs by Dynamic Resource Allocation, in place of a device plugin."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator

from settings.types.base import Broken, Settings
from settings.types.names import Dns1123Subdomain

_EXPRESSION_LENGTH = 10 * 1024
"""Source: Kubernetes, resource.k8s.io/v1, CELSelectorExpressionMaxLength."""

_SELECTORS = 32
"""Conditions of one request. Source: Kubernetes, resource.k8s.io/v1, DeviceSelectorsMaxSize."""

MAX_DEVICES = 32
"""Devices of one claim. Source: Kubernetes, resource.k8s.io/v1, AllocationResultsMaxSize."""


def _expression(given: str) -> str:
    if not given.strip() or len(given) > _EXPRESSION_LENGTH:
        raise ValueError("a CEL expression such as device.attributes['gpu.nvidia.com'].productName == 'NVIDIA L4'")
    return given


CelExpression = Annotated[str, AfterValidator(_expression)]
"""A condition on a device, in the Common Expression Language; the API server compiles it."""


class DraSettings(Settings):
    """GPUs by Dynamic Resource Allocation (`resource.k8s.io/v1`, Kubernetes 1.34 and later, and the vendor's DRA driver)."""

    device_class: Dns1123Subdomain | None = None
    """DeviceClass of the GPUs, as the driver installs it. Null takes the vendor's: `gpu.nvidia.com`, `gpu.amd.com` or
    `gpu.intel.com`."""
    selectors: tuple[CelExpression, ...] = ()
    """Conditions on the device, all of them, as CEL expressions: `device.attributes['gpu.nvidia.com'].productName ==
    'NVIDIA L4'`."""
    existing_claim_template: Dns1123Subdomain | None = None
    """A ResourceClaimTemplate that exists already in the stack's namespace, for what `deviceClass` and `selectors` cannot say;
    each pod gets a claim of its own from it. Null has one made."""
    existing_claim: Dns1123Subdomain | None = None
    """A ResourceClaim that exists already in the stack's namespace; one pod at most may run with it here."""

    def rules(self) -> Iterator[Broken]:
        """What exists already says itself which devices it is about."""
        if len(self.selectors) > _SELECTORS:
            yield Broken("selectors", f"{len(self.selectors)} of them", f"at most {_SELECTORS}")
        if self.existing_claim is not None and self.existing_claim_template is not None:
            allowed = "one of this and existingClaimTemplate, not both"
            yield Broken("existingClaim", self.existing_claim, allowed, ("existingClaimTemplate",))
        key = "existingClaim" if self.existing_claim is not None else "existingClaimTemplate"
        if self.existing is not None:
            if self.device_class is not None:
                yield Broken("deviceClass", self.device_class, f"null, because {key} says which devices", (key,))
            if self.selectors:
                yield Broken("selectors", list(self.selectors), f"none, because {key} says which devices", (key,))

    @property
    def existing(self) -> str | None:
        """The name of the claim or the template that exists already, if one is named."""
        return self.existing_claim or self.existing_claim_template
