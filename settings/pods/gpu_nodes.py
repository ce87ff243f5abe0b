"""What GPU nodes look like: labels, taints and resource names, by the GPUs' vendor and the kind of cluster.

Sources: NVIDIA k8s-device-plugin and gpu-feature-discovery (README), NVIDIA and AMD GPU operators, AMD k8s-node-labeller
(README), Intel device plugins (gpu_plugin README, labels.md, node-feature-rules.yaml), Karpenter ("Well-Known Labels"), and the
documentation of GKE ("About GPUs"), EKS Auto Mode ("Supported labels") and AKS ("Reserved system labels").
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

Vendor = Literal["nvidia", "amd", "intel"]
"""A maker of GPUs."""

Preset = Literal["aks", "device-plugin", "eks", "eks-auto", "gke", "gpu-operator", "node-feature-discovery"]
"""A kind of cluster, or what labels its GPU nodes."""


@dataclass(frozen=True)
class Nodes:
    """What the nodes with GPUs of one vendor carry in one kind of cluster."""

    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels that each of them has, and no other node."""
    model_label: str | None = None
    """The label whose value is the GPU's model."""
    model_required: str | None = None
    """An example of a model, where the preset says nothing without one."""
    memory_label: str | None = None
    """The label whose value is one GPU's memory, in MiB."""
    taint: str | None = None
    """Key of the taint that keeps other pods away; None for the vendor's own."""
    only_for_gpus: bool = False
    """Whether a pod that asks for no GPU must not name these nodes."""


RESOURCES: Mapping[Vendor, str] = {"nvidia": "nvidia.com/gpu", "amd": "amd.com/gpu", "intel": "gpu.intel.com/i915"}
"""The extended resource of each vendor's device plugin; its name is also the key of the usual taint."""

RESOURCE_PREFIXES: Mapping[Vendor, str] = {"nvidia": "nvidia.com/", "amd": "amd.com/", "intel": "gpu.intel.com/"}
"""How the names of each vendor's extended resources begin."""

DEVICE_CLASSES: Mapping[Vendor, str] = {"nvidia": "gpu.nvidia.com", "amd": "gpu.amd.com", "intel": "gpu.intel.com"}
"""The DeviceClass that each vendor's DRA driver installs."""

DOMAINS: Mapping[Vendor, str] = {"nvidia": "nvidia.com", "amd": "amd.com", "intel": "intel.com"}
"""How the names of each vendor's DeviceClasses end."""

FEATURE_DISCOVERY = Nodes(
    labels={"nvidia.com/gpu.present": "true"},
    model_label="nvidia.com/gpu.product",
    memory_label="nvidia.com/gpu.memory",
)
"""Nodes of NVIDIA's GPU operator, and where no preset is named."""

PRESETS: Mapping[tuple[Preset, Vendor], Nodes] = MappingProxyType(
    {
        ("gpu-operator", "nvidia"): FEATURE_DISCOVERY,
        ("gpu-operator", "amd"): Nodes(
            labels={"feature.node.kubernetes.io/amd-gpu": "true"}, model_label="amd.com/gpu.product-name"
        ),
        ("node-feature-discovery", "intel"): Nodes(
            labels={"intel.feature.node.kubernetes.io/gpu": "true"}, model_label="gpu.intel.com/product"
        ),
        # GKE's label is the model itself: without one there is nothing to ask for. Autopilot refuses a pod that tolerates the
        # taint and asks for no GPU (GoogleCloudPlatform/k8s-stackdriver#1079); clusters of GPU nodes alone have no taint
        ("gke", "nvidia"): Nodes(
            model_label="cloud.google.com/gke-accelerator", model_required="nvidia-l4", only_for_gpus=True
        ),
        # Nodes of managed node groups have none of Karpenter's labels: only a model asks for them
        ("eks", "nvidia"): Nodes(
            model_label="karpenter.k8s.aws/instance-gpu-name", memory_label="karpenter.k8s.aws/instance-gpu-memory"
        ),
        ("eks", "amd"): Nodes(
            model_label="karpenter.k8s.aws/instance-gpu-name", memory_label="karpenter.k8s.aws/instance-gpu-memory"
        ),
        ("eks-auto", "nvidia"): Nodes(
            labels={"eks.amazonaws.com/compute-type": "auto", "eks.amazonaws.com/instance-gpu-manufacturer": "nvidia"},
            model_label="eks.amazonaws.com/instance-gpu-name",
            memory_label="eks.amazonaws.com/instance-gpu-memory",
        ),
        ("aks", "nvidia"): Nodes(labels={"kubernetes.azure.com/accelerator": "nvidia"}, taint="sku"),
        # A device plugin alone labels no node: the resource decides
        ("device-plugin", "nvidia"): Nodes(),
        ("device-plugin", "amd"): Nodes(),
        ("device-plugin", "intel"): Nodes(),
    }
)
"""The nodes of each preset, for each vendor that it is for."""

LABEL_PREFIXES = (
    "nvidia.com/",
    "feature.node.kubernetes.io/pci-10de",
    "feature.node.kubernetes.io/pci-0300_10de",
    "feature.node.kubernetes.io/pci-0302_10de",
    "feature.node.kubernetes.io/amd-gpu",
    "intel.feature.node.kubernetes.io/gpu",
    "amd.com/gpu",
    "beta.amd.com/gpu",
    "gpu.intel.com/",
    "cloud.google.com/gke-accelerator",
    "k8s.amazonaws.com/accelerator",
    "karpenter.k8s.aws/instance-gpu-",
    "eks.amazonaws.com/instance-gpu-",
    "kubernetes.azure.com/accelerator",
)
"""Beginnings of the node labels that only GPU nodes carry."""

RUNTIME_CLASSES = ("nvidia", "nvidia-cdi", "nvidia-legacy")
"""RuntimeClasses that give a container GPUs. Source: NVIDIA GPU operator."""


def vendor_of(resource: str) -> Vendor | None:
    """Whose device plugin advertises the extended resource; None for one of somebody else."""
    return next((vendor for vendor, prefix in RESOURCE_PREFIXES.items() if resource.startswith(prefix)), None)
