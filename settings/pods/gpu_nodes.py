"""GPU nodes: their labels, taints and extended resources, by GPU vendor and kind of cluster.

Sources: NVIDIA k8s-device-plugin and gpu-feature-discovery (README), NVIDIA and AMD GPU operators, AMD k8s-node-labeller
(README), Intel device plugins (gpu_plugin README, labels.md, node-feature-rules.yaml), Karpenter ("Well-Known Labels"), and the
documentation of GKE ("About GPUs"), EKS Auto Mode ("Supported labels") and AKS ("Reserved system labels").
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

Vendor = Literal["nvidia", "amd", "intel"]
"""A GPU vendor."""

Preset = Literal["aks", "device-plugin", "eks", "eks-auto", "gke", "gpu-operator", "node-feature-discovery"]
"""A kind of cluster, or the component that labels its GPU nodes."""


@dataclass(frozen=True)
class Nodes:
    """Labels and taint of the nodes with GPUs of one vendor in one kind of cluster."""

    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels that every GPU node has, and no other node."""
    model_label: str | None = None
    """The label whose value is the GPU model."""
    model_required: str | None = None
    """An example of a model, where the preset selects no node without one."""
    memory_label: str | None = None
    """The label whose value is the memory of one GPU, in MiB."""
    taint: str | None = None
    """Key of the taint of GPU nodes; None for the vendor's default."""
    only_for_gpus: bool = False
    """Whether pods without a GPU must not select these nodes."""


RESOURCES: Mapping[Vendor, str] = {"nvidia": "nvidia.com/gpu", "amd": "amd.com/gpu", "intel": "gpu.intel.com/i915"}
"""The extended resource of each vendor's device plugin, which is also the key of the default taint."""

RESOURCE_PREFIXES: Mapping[Vendor, str] = {"nvidia": "nvidia.com/", "amd": "amd.com/", "intel": "gpu.intel.com/"}
"""Prefix of each vendor's extended resources."""

DEVICE_CLASSES: Mapping[Vendor, str] = {"nvidia": "gpu.nvidia.com", "amd": "gpu.amd.com", "intel": "gpu.intel.com"}
"""The DeviceClass that each vendor's DRA driver installs."""

DOMAINS: Mapping[Vendor, str] = {"nvidia": "nvidia.com", "amd": "amd.com", "intel": "intel.com"}
"""Suffix of each vendor's DeviceClasses."""

FEATURE_DISCOVERY = Nodes(
    labels={"nvidia.com/gpu.present": "true"},
    model_label="nvidia.com/gpu.product",
    memory_label="nvidia.com/gpu.memory",
)
"""Nodes of NVIDIA's GPU operator. The default without a preset."""

PRESETS: Mapping[tuple[Preset, Vendor], Nodes] = MappingProxyType(
    {
        ("gpu-operator", "nvidia"): FEATURE_DISCOVERY,
        ("gpu-operator", "amd"): Nodes(
            labels={"feature.node.kubernetes.io/amd-gpu": "true"}, model_label="amd.com/gpu.product-name"
        ),
        ("node-feature-discovery", "intel"): Nodes(
            labels={"intel.feature.node.kubernetes.io/gpu": "true"}, model_label="gpu.intel.com/product"
        ),
        # GKE labels nodes only with the model, so a model is required. Autopilot refuses a pod that tolerates the taint and
        # requests no GPU (GoogleCloudPlatform/k8s-stackdriver#1079); clusters with only GPU nodes have no taint
        ("gke", "nvidia"): Nodes(
            model_label="cloud.google.com/gke-accelerator", model_required="nvidia-l4", only_for_gpus=True
        ),
        # Nodes of managed node groups do not have Karpenter's labels: require them only for a model
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
        # A device plugin alone does not label nodes: the resource selects them
        ("device-plugin", "nvidia"): Nodes(),
        ("device-plugin", "amd"): Nodes(),
        ("device-plugin", "intel"): Nodes(),
    }
)
"""The nodes of each preset, for each vendor that it supports."""

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
"""Prefixes of node labels that only GPU nodes have."""

RUNTIME_CLASSES = ("nvidia", "nvidia-cdi", "nvidia-legacy")
"""RuntimeClasses that give containers access to GPUs. Source: NVIDIA GPU operator."""


def vendor_of(resource: str) -> Vendor | None:
    """The vendor whose device plugin advertises the extended resource; None for an unknown one."""
    return next((vendor for vendor, prefix in RESOURCE_PREFIXES.items() if resource.startswith(prefix)), None)
