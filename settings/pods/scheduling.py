"""Settings of pod scheduling: node affinity, tolerations, pod affinity, topology spread, priority."""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StrictBool, StrictInt

from settings.pods.gpu_nodes import LABEL_PREFIXES, RUNTIME_CLASSES
from settings.types.base import Broken, FrozenMapping, Settings
from settings.types.names import Dns1123Label, Dns1123Subdomain, LabelKey, LabelValue

HOSTNAME = "kubernetes.io/hostname"
"""The node label that identifies a node."""


def _address(given: str) -> str:
    try:
        return str(ip_address(given))
    except ValueError:
        raise ValueError("an IP address such as 192.0.2.10") from None


class NodeSelectorRequirement(Settings):
    """A node selector requirement, as in Kubernetes' node affinity."""

    key: LabelKey
    """Key of the node label."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"] = "In"
    """Operator that compares the label with `values`."""
    values: tuple[LabelValue, ...] = ()
    """Values: at least one for In and NotIn, one whole number for Gt and Lt, none for Exists and DoesNotExist."""

    def rules(self) -> Iterator[Broken]:
        """The API server refuses values that do not fit the operator."""
        if self.operator in ("In", "NotIn") and not self.values:
            yield Broken(
                "values", list(self.values), f"at least one value with operator {self.operator}", ("operator",)
            )
        if self.operator in ("Exists", "DoesNotExist") and self.values:
            yield Broken("values", list(self.values), f"no values with operator {self.operator}", ("operator",))
        if self.operator in ("Gt", "Lt") and not (len(self.values) == 1 and self.values[0].isdecimal()):
            yield Broken("values", list(self.values), f"one whole number with operator {self.operator}", ("operator",))


class Toleration(Settings):
    """A toleration of a taint."""

    key: LabelKey | None = None
    """Key of the taint; null with operator Exists tolerates every taint."""
    operator: Literal["Exists", "Equal"] = "Exists"
    """`Equal` compares the taint's value with `value`; `Exists` matches any value."""
    value: LabelValue | None = None
    """Value of the taint, with operator Equal."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Effect of the taint; null tolerates every effect."""
    toleration_seconds: Annotated[StrictInt, Field(ge=0)] | None = None
    """With effect NoExecute: how long the pod stays on the node; null for no limit."""

    def rules(self) -> Iterator[Broken]:
        """Kubernetes' rules for tolerations."""
        if self.key is None and self.operator == "Equal":
            yield Broken("key", None, "a key, or operator Exists", ("operator",))
        if self.value and self.operator == "Exists":
            yield Broken("value", self.value, "no value with operator Exists", ("operator",))
        if self.toleration_seconds is not None and self.effect != "NoExecute":
            yield Broken("tolerationSeconds", self.toleration_seconds, "only with effect NoExecute", ("effect",))


class TopologySpread(Settings):
    """Topology spread constraint of the workload's pods."""

    topology_key: LabelKey
    """Node label that defines the topology domains: `topology.kubernetes.io/zone`, `kubernetes.io/hostname`."""
    max_skew: Annotated[StrictInt, Field(ge=1)] = 1
    """Maximum difference in the number of pods between two topology domains."""
    when_unsatisfiable: Literal["DoNotSchedule", "ScheduleAnyway"] = "ScheduleAnyway"
    """What happens to a pod that would violate the constraint: it stays pending (`DoNotSchedule`), or is scheduled anyway
    (`ScheduleAnyway`)."""


class OwnAntiAffinity(Settings):
    """Anti-affinity between the workload's own pods."""

    topology_key: LabelKey = HOSTNAME
    """Node label that defines the topology domains; the default keeps pods on different nodes."""
    required: StrictBool = False
    """True: a pod without a free topology domain stays pending; with rolling updates, one more domain than pods is needed.
    False: it is scheduled anyway."""


class PodAffinityTerm(Settings):
    """A term of the affinity, or anti-affinity, to other pods."""

    labels: FrozenMapping[LabelKey, LabelValue]
    """Labels of the other pods."""
    namespaces: tuple[Dns1123Label, ...] = ()
    """Namespaces of the other pods; an empty list for the stack's namespace."""
    topology_key: LabelKey = HOSTNAME
    """Node label that defines the topology domains; the default is the node."""
    required: StrictBool = False
    """True: a pod that cannot satisfy the term stays pending. False: it is scheduled anyway."""

    def rules(self) -> Iterator[Broken]:
        """A term without labels would match every pod."""
        if not self.labels:
            yield Broken("labels", {}, "at least one label of the other pods")


class HostAlias(Settings):
    """An entry of the pods' /etc/hosts."""

    ip: Annotated[str, AfterValidator(_address)]
    """IP address."""
    hostnames: tuple[Dns1123Subdomain, ...]
    """Host names of the address."""

    def rules(self) -> Iterator[Broken]:
        """An entry needs at least one host name."""
        if not self.hostnames:
            yield Broken("hostnames", [], "at least one host name")


class SchedulingSettings(Settings):
    """Scheduling of a workload's pods."""

    priority_class: Dns1123Subdomain | None = None
    """Name of an existing PriorityClass, which decides the order of scheduling, preemption and eviction."""
    node_affinity: tuple[NodeSelectorRequirement, ...] = ()
    """Node selector requirements. A node must meet all of them."""
    tolerations: tuple[Toleration, ...] = ()
    """Taints that the pods tolerate."""
    node_selector: FrozenMapping[LabelKey, LabelValue] = Field(default_factory=dict)
    """Labels that a node must have, in addition to `nodeAffinity`. A node must have all of them."""
    topology_spread: tuple[TopologySpread, ...] = ()
    """Topology spread constraints of the workload's pods; an empty list uses the cluster's defaults."""
    anti_affinity: OwnAntiAffinity | None = None
    """Anti-affinity between the workload's own pods; `{}` prefers different nodes. Null for none."""
    pod_affinity: tuple[PodAffinityTerm, ...] = ()
    """Affinity to other pods."""
    pod_anti_affinity: tuple[PodAffinityTerm, ...] = ()
    """Anti-affinity to other pods."""
    runtime_class: Dns1123Subdomain | None = None
    """Name of an existing RuntimeClass, such as one of gVisor or Kata Containers; null uses the nodes' default. For GPUs, set
    `airis:ollama.gpu.runtimeClass` instead."""
    scheduler_name: Dns1123Subdomain | None = None
    """Name of another scheduler; null uses Kubernetes' default scheduler. Pods stay pending if it does not run."""
    host_aliases: tuple[HostAlias, ...] = ()
    """Entries of the pods' /etc/hosts."""
    termination_grace_period_seconds: Annotated[StrictInt, Field(ge=1)] | None = None
    """Time between SIGTERM and SIGKILL when a pod is stopped; null for Kubernetes' default, 30."""

    @property
    def uses_gpu(self) -> bool:
        """Whether the pods request a GPU."""
        return False

    def rules(self) -> Iterator[Broken]:
        """Pods without a GPU must not select GPU nodes. The API server refuses the other combinations."""
        yield from super().rules()
        if not self.uses_gpu:
            yield from self._gpu_rules()
        for index, spread in enumerate(self.topology_spread):
            # Kubernetes accepts a key twice: once for each value of whenUnsatisfiable
            earlier = [(each.topology_key, each.when_unsatisfiable) for each in self.topology_spread[:index]]
            if (spread.topology_key, spread.when_unsatisfiable) in earlier:
                allowed = f"each key once with {spread.when_unsatisfiable}"
                yield Broken(f"topologySpread.{index}.topologyKey", spread.topology_key, allowed)
        for index, alias in enumerate(self.host_aliases):
            if alias.ip in [each.ip for each in self.host_aliases[:index]]:
                yield Broken(f"hostAliases.{index}.ip", alias.ip, "each address once, with all of its hostnames")

    def _gpu_rules(self) -> Iterator[Broken]:
        allowed = "a label that CPU nodes have: these pods request no GPU (set airis:ollama.gpu for one)"
        for index, requirement in enumerate(self.node_affinity):
            if requirement.key.startswith(LABEL_PREFIXES) and requirement.operator not in ("NotIn", "DoesNotExist"):
                reads = ("gpu", f"nodeAffinity.{index}.operator")
                yield Broken(f"nodeAffinity.{index}.key", requirement.key, allowed, reads)
        for key, value in self.node_selector.items():
            if key.startswith(LABEL_PREFIXES):
                yield Broken("nodeSelector", {key: value}, allowed, ("gpu",))
        if self.runtime_class in RUNTIME_CLASSES:
            allowed = "a class without GPU access: these pods request no GPU (set airis:ollama.gpu for one)"
            yield Broken("runtimeClass", self.runtime_class, allowed, ("gpu",))
