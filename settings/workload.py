"""Settings that every workload has: image, resources, storage, environment and where its pods may run."""

import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, StrictInt

from settings.base import Broken, FrozenMapping, Settings
from settings.names import Dns1123Subdomain, EnvName, ImageReference, LabelKey, LabelValue
from settings.probes import ProbesSettings
from settings.quantity import Bytes, Cpu, as_bytes, cpu_millicores
from settings.secrets import UNREADABLE, URL_WITH_PASSWORD, SecretKeyRef

AccessMode = Literal["ReadWriteOnce", "ReadWriteOncePod", "ReadWriteMany"]

CREDENTIAL = re.compile(
    r"^(?!ENABLE_).*(?<!MAX_)"
    r"(?:PASSWORD|PASSWD|SECRET|TOKEN|CREDENTIALS|CREDENTIALS_JSON|(?:API|ACCESS|PRIVATE|SECRET|ENCRYPTION)_KEY)S?$"
)
"""Names of variables that hold credentials, by the habit of those who name them."""

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


class ResourceAmounts(Settings):
    """Amounts of CPU, memory and local disk; null leaves one out."""

    cpu: Cpu | None = None
    """CPU in cores (`2`, `0.5`) or millicores (`500m`)."""
    memory: Bytes | None = None
    """Memory in bytes (`4Gi`)."""
    ephemeral_storage: Bytes | None = None
    """Local disk in bytes: logs, writable layers and emptyDir volumes."""


class Resources(Settings):
    """What a container asks for (`requests`, which the scheduler counts) and may use at most (`limits`)."""

    requests: ResourceAmounts = ResourceAmounts()
    """What the scheduler sets aside on the node."""
    limits: ResourceAmounts = ResourceAmounts()
    """Where the kernel throttles (CPU) or kills (memory)."""

    def rules(self) -> Iterator[Broken]:
        """A request above its limit is refused by the API server."""
        for name, size in (("cpu", cpu_millicores), ("memory", as_bytes), ("ephemeral_storage", as_bytes)):
            request, limit = getattr(self.requests, name), getattr(self.limits, name)
            if request is not None and limit is not None and size(request) > size(limit):
                key = ResourceAmounts.model_fields[name].alias
                yield Broken(
                    f"requests.{key}", request, f"at most the limit, limits.{key} = {limit}", (f"limits.{key}",)
                )


class StorageSettings(Settings):
    """A volume that keeps data: a PersistentVolumeClaim."""

    size: Bytes
    """Size of the volume in bytes. May grow later, never shrink."""
    storage_class: Dns1123Subdomain | None = None
    """StorageClass; null takes the cluster's default. Cannot change later."""
    existing_claim: Dns1123Subdomain | None = None
    """A claim that exists already in the stack's namespace; null has one made, of this size and class."""
    access_mode: AccessMode = "ReadWriteOnce"
    """Who may mount the volume: pods on one node (`ReadWriteOnce`), one pod, or pods on many nodes. Cannot change."""


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


class WorkloadSettings(Settings):
    """What WebUI and Ollama have in common."""

    image: ImageReference
    """Container image, with a tag or a digest."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """When the image is pulled; null leaves it to Kubernetes (Always for the tag `latest`, else IfNotPresent)."""
    replicas: Annotated[StrictInt, Field(ge=0)] = 1
    """Number of pods; 0 pauses the workload and keeps its data."""
    resources: Resources = Resources()
    """CPU and memory of each pod."""
    storage: StorageSettings
    """The volume that holds the data."""
    env: FrozenMapping[EnvName, str] = Field(default_factory=dict)
    """Further environment variables, by name. Those that airis sets itself are refused."""
    secret_env: FrozenMapping[EnvName, SecretKeyRef] = Field(default_factory=dict)
    """Further environment variables whose values are in existing Secrets, by name."""
    probes: ProbesSettings = ProbesSettings()
    """How patiently Kubernetes asks whether a pod starts, works and may have traffic."""
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

    @property
    def managed_env(self) -> frozenset[str]:
        """Names of the environment variables that the component sets itself."""
        return frozenset()

    def rules(self) -> Iterator[Broken]:
        """What the API server refuses, what leaves pods Pending, and credentials in plain text.

        A variable set twice would depend on the order. Without a GPU, conditions that only GPU nodes meet would occupy one of
        those, or none.
        """
        for key, names in (("env", self.env.keys()), ("secretEnv", self.secret_env.keys())):
            for name in sorted(names & self.managed_env):
                allowed = "another name: it duplicates a variable that airis itself sets"
                yield Broken(f"{key}.{name}", "[not shown]", allowed)
        for name in sorted(self.env.keys() & self.secret_env.keys()):
            yield Broken(
                f"env.{name}", "[not shown]", "a name once: it stands in secretEnv too", (f"secretEnv.{name}",)
            )
        for name in sorted(self.env.keys() - self.managed_env):
            value = self.env[name]
            if CREDENTIAL.search(name) or URL_WITH_PASSWORD.search(value) or value == UNREADABLE:
                allowed = "no credential in plain text: put it into a Secret, and its reference into secretEnv"
                yield Broken(f"env.{name}", "[not shown]", allowed)
        for index, requirement in enumerate(() if self.uses_gpu else self.node_affinity):
            if requirement.key.startswith(GPU_LABEL_PREFIXES) and requirement.operator not in ("NotIn", "DoesNotExist"):
                yield Broken(
                    f"nodeAffinity.{index}.key",
                    requirement.key,
                    "a label that CPU nodes carry: these pods ask for no GPU (airis:ollama.gpu would)",
                    ("gpu", f"nodeAffinity.{index}.operator"),
                )
