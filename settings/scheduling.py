"""Settings of where pods may run: conditions on nodes, taints that they tolerate, and who goes first."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, StrictInt

from settings.base import Broken, Settings
from settings.names import Dns1123Subdomain, LabelKey, LabelValue

GPU_LABEL_PREFIXES = (
    "nvidia.com/",
    "feature.node.kubernetes.io/pci-10de",
    "amd.com/gpu",
    "gpu.intel.com/",
    "cloud.google.com/gke-accelerator",
    "k8s.amazonaws.com/accelerator",
    "kubernetes.azure.com/accelerator",
)
"""Beginnings of the node labels that only GPU nodes carry.

Source: NVIDIA GPU feature discovery, AMD and Intel device plugins, and the documentation of GKE, EKS and AKS.
"""


class NodeSelectorRequirement(Settings):
    """A condition on a node's labels, as in Kubernetes' node affinity."""

    key: LabelKey
    """The label's key."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"] = "In"
    """How the label is compared with the values."""
    values: tuple[LabelValue, ...] = ()
    """The values: some for In and NotIn, one whole number for Gt and Lt, none for Exists and DoesNotExist."""

    def rules(self) -> Iterator[Broken]:
        """Values must fit the operator, or the API server refuses the pod."""
        if self.operator in ("In", "NotIn") and not self.values:
            yield Broken("values", list(self.values), f"some value with operator {self.operator}", ("operator",))
        if self.operator in ("Exists", "DoesNotExist") and self.values:
            yield Broken("values", list(self.values), f"no values with operator {self.operator}", ("operator",))
        if self.operator in ("Gt", "Lt") and not (len(self.values) == 1 and self.values[0].isdecimal()):
            yield Broken("values", list(self.values), f"one whole number with operator {self.operator}", ("operator",))


class Toleration(Settings):
    """A taint that pods may put up with."""

    key: LabelKey | None = None
    """The taint's key; null with operator Exists tolerates every taint."""
    operator: Literal["Exists", "Equal"] = "Exists"
    """Whether the taint's value matters."""
    value: LabelValue | None = None
    """The taint's value, with operator Equal."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """The taint's effect; null tolerates every effect."""
    toleration_seconds: Annotated[StrictInt, Field(ge=0)] | None = None
    """With effect NoExecute: for how many seconds the pod stays; null for ever."""

    def rules(self) -> Iterator[Broken]:
        """Kubernetes' own rules for tolerations."""
        if self.key is None and self.operator == "Equal":
            yield Broken("key", None, "a key, or operator Exists", ("operator",))
        if self.value and self.operator == "Exists":
            yield Broken("value", self.value, "no value with operator Exists", ("operator",))
        if self.toleration_seconds is not None and self.effect != "NoExecute":
            yield Broken("tolerationSeconds", self.toleration_seconds, "only with effect NoExecute", ("effect",))


class SchedulingSettings(Settings):
    """Where a workload's pods may run."""

    priority_class: Dns1123Subdomain | None = None
    """An existing PriorityClass: who is evicted first when a node runs out of room."""
    node_affinity: tuple[NodeSelectorRequirement, ...] = ()
    """Conditions that a node must meet, all of them."""
    tolerations: tuple[Toleration, ...] = ()
    """Taints that the pods tolerate."""

    @property
    def uses_gpu(self) -> bool:
        """Whether the pods ask for a GPU."""
        return False

    def rules(self) -> Iterator[Broken]:
        """Without a GPU, conditions that only GPU nodes meet would occupy one of those, or none."""
        yield from super().rules()
        for index, requirement in enumerate(() if self.uses_gpu else self.node_affinity):
            if requirement.key.startswith(GPU_LABEL_PREFIXES) and requirement.operator not in ("NotIn", "DoesNotExist"):
                yield Broken(
                    f"nodeAffinity.{index}.key",
                    requirement.key,
                    "a label that CPU nodes carry: these pods ask for no GPU (airis:ollama.gpu would)",
                    ("gpu", f"nodeAffinity.{index}.operator"),
                )
