"""Settings of GPUs: number, vendor and nodes."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StrictBool, StrictInt

from settings.ollama.gpu_claims import MAX_DEVICES, DraSettings
from settings.pods import gpu_nodes
from settings.pods.gpu_nodes import Nodes, Preset, Vendor
from settings.pods.scheduling import NodeSelectorRequirement, Toleration
from settings.types.base import Broken, FrozenMapping, Settings
from settings.types.names import Dns1123Subdomain, LabelKey, LabelValue, ResourceName
from settings.types.quantity import Bytes, as_bytes

_MIB = 1024 * 1024
_SHARED = ".shared"
_MIG = "nvidia.com/mig-"
_MIG_PROFILE = re.compile(r"[1-7]g\.[1-9]\d*gb(?:\+[a-z]+(?:\.[a-z]+)*)?")


def _mig_profile(given: str) -> str:
    if _MIG_PROFILE.fullmatch(given) is None:
        raise ValueError("a MIG profile such as 1g.10gb or 1g.10gb+me")
    return given


def mig_resource(profile: str) -> str:
    """The extended resource of a MIG profile, with strategy `mixed`. Source: NVIDIA k8s-device-plugin, internal/rm."""
    return f"{_MIG}{profile.replace('+', '.')}"


def _resource(earlier: Mapping[str, Any]) -> str | None:
    """The default extended resource."""
    if earlier.get("dra") is not None:
        return None
    if earlier.get("mig_profile"):
        return mig_resource(earlier["mig_profile"])
    name = gpu_nodes.RESOURCES[earlier.get("vendor") or "nvidia"]
    return f"{name}{_SHARED}" if earlier.get("shared") else name


def _vendor(earlier: Mapping[str, Any]) -> Vendor | None:
    """The GPUs' vendor: the given one, or the one of the resource; None for an unknown resource."""
    vendor: Vendor | None = earlier.get("vendor")
    resource = earlier.get("resource_name")
    return vendor or (gpu_nodes.vendor_of(resource) if resource else "nvidia")


def _nodes(earlier: Mapping[str, Any]) -> Nodes:
    """The labels and taint of the nodes with these GPUs."""
    vendor, preset = _vendor(earlier), earlier.get("preset")
    if preset is not None:
        return gpu_nodes.PRESETS.get((preset, vendor), Nodes()) if vendor else Nodes()
    # Clusters with the device plugin mostly have feature discovery too; with DRA, the driver publishes where devices are
    return gpu_nodes.FEATURE_DISCOVERY if vendor == "nvidia" and earlier.get("dra") is None else Nodes()


def _taint(earlier: Mapping[str, Any]) -> str | None:
    """The default key of the nodes' taint."""
    vendor, resource = _vendor(earlier), earlier.get("resource_name")
    if taint := _nodes(earlier).taint:
        return taint
    if vendor == "nvidia" or resource is None:  # the taint is the same for MIG profiles and shared GPUs
        return gpu_nodes.RESOURCES[vendor or "nvidia"]
    return str(resource)


class GpuSettings(Settings):
    """GPUs of each Ollama pod: how they are requested, which nodes have them, and the taint of those nodes."""

    count: Annotated[StrictInt, Field(ge=1)] = 1
    """Number of GPUs of each pod. GPUs are not shared or split by this number."""
    vendor: Vendor | None = None
    """GPU vendor: `nvidia`, `amd` (Ollama's default image becomes its `-rocm` variant) or `intel` (through Vulkan: sets
    `OLLAMA_VULKAN`, `OLLAMA_IGPU_ENABLE`). Null derives it from `resourceName`; the default is `nvidia`."""
    preset: Preset | None = None
    """Kind of cluster, which decides the labels and taint of GPU nodes: `gke`, `eks` (Karpenter or node groups), `eks-auto`
    (EKS Auto Mode), `aks`, `gpu-operator` (NVIDIA's or AMD's), `node-feature-discovery` (Intel), or `device-plugin` (no
    labels). Null is `gpu-operator` for NVIDIA, and `device-plugin` for other vendors."""
    accelerator: LabelValue | None = None
    """GPU model, as the preset's nodes are labeled: `nvidia-l4` on GKE, `l4` on EKS, `NVIDIA-L4` with NVIDIA's operator,
    `AMD_Instinct_MI300X_OAM` with AMD's operator. Null for any model. Required on GKE, whose GPU nodes have no other label."""
    min_memory: Bytes | None = None
    """Minimum memory of each GPU, in bytes. Nodes report some hundred MiB less than the data sheet: an L4 with 24 GiB reports
    22888 MiB. For presets whose nodes have a memory label: `gpu-operator` for NVIDIA, `eks` and `eks-auto`."""
    mig_profile: Annotated[str, AfterValidator(_mig_profile)] | None = None
    """MIG profile such as `1g.10gb`, if NVIDIA's device plugin uses the strategy `mixed`. Requests `nvidia.com/mig-1g.10gb`.
    Ollama 0.13.2 and later may not detect it, and run on CPU: see docs/gpu.md."""
    shared: StrictBool = False
    """Request `nvidia.com/gpu.shared`, a time slice of a GPU, if NVIDIA's device plugin uses `renameByDefault`. GPU memory is
    not isolated: pods on one GPU can starve each other."""
    dra: DraSettings | None = None
    """Dynamic Resource Allocation instead of an extended resource; null uses the device plugin. `dra: {}` requests GPUs of the
    vendor's DeviceClass."""
    resource_name: ResourceName | None = Field(default_factory=_resource)
    """Extended resource that the device plugin advertises. Default: `nvidia.com/gpu`, `amd.com/gpu` or `gpu.intel.com/i915` by
    vendor (new Intel GPUs: `gpu.intel.com/xe`), or the resource of `migProfile` or `shared`; null with `dra`."""
    node_labels: FrozenMapping[LabelKey, LabelValue] = Field(
        default_factory=lambda earlier: dict(_nodes(earlier).labels)
    )
    """Labels that GPU nodes must have; `{}` for none. Default: those of the preset; without a preset, `nvidia.com/gpu.present:
    "true"` for NVIDIA's resources (set by the GPU operator), and none for other vendors or with `dra`."""
    taint: LabelKey | None = Field(default_factory=_taint)
    """Key of the NoSchedule taint of GPU nodes, which the pods tolerate; null for none. Default: that of the preset (`sku` on
    AKS); otherwise `nvidia.com/gpu` for NVIDIA's resources, MIG profiles included, and the resource name for other vendors."""
    runtime_class: Dns1123Subdomain | None = None
    """Name of an existing RuntimeClass that gives containers access to GPUs, if the nodes' default runtime does not: `nvidia`
    on k3s, RKE2 and kubeadm."""
    supplemental_groups: tuple[Annotated[StrictInt, Field(ge=1, le=2**31 - 1)], ...] = ()
    """Supplemental group IDs of the pods: those that own `/dev/kfd` and `/dev/dri` on the nodes (see `ls -ln`). Required for
    AMD and Intel GPUs with `podSecurity: restricted`."""

    @property
    def maker(self) -> Vendor | None:
        """The GPUs' vendor, given or derived; None for an unknown resource."""
        return _vendor(dict(self))

    @property
    def device_class(self) -> str:
        """The DeviceClass of the GPUs, with DRA."""
        told = self.dra.device_class if self.dra else None
        return told or gpu_nodes.DEVICE_CLASSES[self.maker or "nvidia"]

    @property
    def asked_for(self) -> str:
        """What the pods request: the extended resource, the DeviceClass, or the existing claim or template."""
        return self.resource_name or (self.dra and self.dra.existing) or self.device_class

    @property
    def node_affinity(self) -> tuple[NodeSelectorRequirement, ...]:
        """Node labels, model and memory as node selector requirements."""
        nodes = _nodes(dict(self))
        found = [NodeSelectorRequirement(key=key, values=(value,)) for key, value in self.node_labels.items()]
        if self.accelerator is not None and nodes.model_label is not None:
            found.append(NodeSelectorRequirement(key=nodes.model_label, values=(self.accelerator,)))
        if self.min_memory is not None and nodes.memory_label is not None:
            below = -(-as_bytes(self.min_memory) // _MIB) - 1  # there is no operator for "at least"
            found.append(NodeSelectorRequirement(key=nodes.memory_label, operator="Gt", values=(str(below),)))
        return tuple(found)

    @property
    def tolerations(self) -> tuple[Toleration, ...]:
        """A toleration of the taint, with any value."""
        return () if self.taint is None else (Toleration(key=self.taint, effect="NoSchedule"),)

    @property
    def take_helpers(self) -> bool:
        """Whether pods without a GPU may run on these nodes: select their labels and tolerate their taint."""
        return not _nodes(dict(self)).only_for_gpus

    def rules(self) -> Iterator[Broken]:
        """Combinations that no cluster has, and contradictions."""
        yield from self._vendor_rules()
        yield from self._node_rules()
        yield from self._resource_rules()
        yield from self._dra_rules()
        for index, group in enumerate(self.supplemental_groups):
            if group in self.supplemental_groups[:index]:
                yield Broken(f"supplementalGroups.{index}", group, "each group once")

    def warnings(self) -> Iterator[tuple[str, str]]:
        """Settings that work, but may cause problems: keys and texts."""
        resource = self.resource_name or ""
        if resource.startswith(_MIG):
            yield (
                "migProfile" if self.mig_profile else "resourceName",
                "Ollama 0.13.2 and later may not detect a MIG slice, and run on CPU: look for library=CUDA in its log",
            )
            if self.count > 1:
                yield "count", f"Ollama uses only one of {self.count} MIG slices"

    def _vendor_rules(self) -> Iterator[Broken]:
        resource = self.resource_name
        follows = self.mig_profile is not None or self.shared
        if self.vendor and resource and gpu_nodes.vendor_of(resource) != self.vendor and not follows:
            prefix = gpu_nodes.RESOURCE_PREFIXES[self.vendor]
            allowed = f"a name that begins with {prefix}, because vendor is {self.vendor}"
            yield Broken("resourceName", resource, allowed, ("vendor",))
        for key, value in (("migProfile", self.mig_profile), ("shared", self.shared or None)):
            if value is not None and self.vendor not in (None, "nvidia"):
                yield Broken(key, value, "only for NVIDIA's GPUs", ("vendor",))
        if self.preset is not None and (self.preset, self.maker) not in gpu_nodes.PRESETS:
            presets = sorted(preset for preset, vendor in gpu_nodes.PRESETS if vendor == self.maker)
            allowed = (
                f"one for {self.maker}: {', '.join(presets)}"
                if presets
                else "null, because resourceName is of an unknown vendor"
            )
            yield Broken("preset", self.preset, allowed, ("vendor", "resourceName"))

    def _node_rules(self) -> Iterator[Broken]:
        nodes, reads = _nodes(dict(self)), ("preset", "vendor", "resourceName", "dra")
        known = self.preset is None or (self.preset, self.maker) in gpu_nodes.PRESETS
        if self.accelerator is not None and nodes.model_label is None and known:
            allowed = "null, because these nodes have no label for it; or set a preset or nodeLabels"
            yield Broken("accelerator", self.accelerator, allowed, reads)
        if self.accelerator == "":
            yield Broken("accelerator", "", "a model, or null", reads)
        if nodes.model_required is not None and self.accelerator is None and not self.node_labels:
            allowed = f"a model such as {nodes.model_required}, or set nodeLabels"
            yield Broken("accelerator", None, allowed, (*reads, "nodeLabels"))
        if self.min_memory is not None and nodes.memory_label is None and known:
            allowed = "null, because these nodes have no label for it"
            yield Broken("minMemory", self.min_memory, allowed, reads)
        label = nodes.model_label
        if self.accelerator is not None and label is not None and label in self.node_labels:
            allowed = "one of this and accelerator, not both"
            yield Broken("nodeLabels", {label: self.node_labels[label]}, allowed, ("accelerator", *reads))

    def _resource_rules(self) -> Iterator[Broken]:
        resource = self.resource_name
        if self.mig_profile is not None and self.shared:
            both = f"{mig_resource(self.mig_profile)}{_SHARED}"
            yield Broken("shared", True, f"one of this and migProfile; for both, resourceName {both}", ("migProfile",))
        elif self.dra is None and self.vendor in (None, "nvidia") and resource is not None:
            expected = (
                mig_resource(self.mig_profile) if self.mig_profile else f"{gpu_nodes.RESOURCES['nvidia']}{_SHARED}"
            )
            key = "migProfile" if self.mig_profile else "shared"
            if (self.mig_profile or self.shared) and resource != expected:
                yield Broken("resourceName", resource, f"{expected}, the resource of {key}; or omit this key", (key,))
        if self.dra is None and resource is None:
            yield Broken("resourceName", None, "an extended resource such as nvidia.com/gpu, or dra", ("dra",))
        if resource is not None and resource.endswith(_SHARED) and self.count > 1:
            allowed = "1: several shares give no more GPU time, and device plugins refuse them"
            yield Broken("count", self.count, allowed, ("resourceName", "shared"))

    def _dra_rules(self) -> Iterator[Broken]:
        if self.dra is None:
            return
        for key, value in (
            ("resourceName", self.resource_name),
            ("migProfile", self.mig_profile),
            ("shared", self.shared or None),
        ):
            if value is not None:
                yield Broken(key, value, "no value with dra, whose selectors choose the devices", ("dra",))
        if self.dra.existing is not None and self.count > 1:
            yield Broken("count", self.count, "1, because the existing claim sets the number", ("dra",))
        if self.count > MAX_DEVICES:
            yield Broken("count", self.count, f"at most {MAX_DEVICES}, the limit of a claim", ("dra",))
        told = self.dra.device_class
        others = [vendor for vendor in gpu_nodes.DOMAINS if vendor != self.maker]
        if told is not None and any(f".{told}".endswith(f".{gpu_nodes.DOMAINS[each]}") for each in others):
            yield Broken("dra.deviceClass", told, f"a class of vendor {self.maker}, or set vendor", ("vendor",))


def is_amd(gpu: object) -> bool:
    """Whether GPU settings, before validation, request AMD GPUs."""
    if isinstance(gpu, GpuSettings):
        return gpu.maker == "amd"
    if not isinstance(gpu, Mapping):
        return False
    resource = gpu.get("resourceName", gpu.get("resource_name"))
    return _vendor({"vendor": gpu.get("vendor"), "resource_name": str(resource) if resource else None}) == "amd"
