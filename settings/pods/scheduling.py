"""Settings of where pods may run: conditions on nodes, tolerated taints, nearness to other pods, and who goes first."""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StrictBool, StrictInt

from settings.pods.gpu_nodes import LABEL_PREFIXES, RUNTIME_CLASSES
from settings.types.base import Broken, FrozenMapping, Settings
from settings.types.names import Dns1123Label, Dns1123Subdomain, LabelKey, LabelValue

HOSTNAME = "kubernetes.io/hostname"
"""The node label that tells nodes apart."""


def _address(given: str) -> str:
    try:
        return str(ip_address(given))
    except ValueError:
        raise ValueError("an IP address such as 192.0.2.10") from None


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


class TopologySpread(Settings):
    """How evenly the workload's own pods are spread over zones, nodes or whatever else a node label tells."""

    topology_key: LabelKey
    """The node label whose values are the places: `topology.kubernetes.io/zone`, `kubernetes.io/hostname`."""
    max_skew: Annotated[StrictInt, Field(ge=1)] = 1
    """How many pods more one place may have than another."""
    when_unsatisfiable: Literal["DoNotSchedule", "ScheduleAnyway"] = "ScheduleAnyway"
    """Whether a pod that would break this waits (`DoNotSchedule`) or runs all the same."""


class OwnAntiAffinity(Settings):
    """Keeps the workload's own pods apart."""

    topology_key: LabelKey = HOSTNAME
    """The node label whose value may not be the same for two of them; the default keeps them on different nodes."""
    required: StrictBool = False
    """True: a pod that finds no such place waits; with rolling updates, there must be one place more than pods. False: it runs
    all the same."""


class PodAffinityTerm(Settings):
    """Other pods to be near to, or away from."""

    labels: FrozenMapping[LabelKey, LabelValue]
    """Labels of those pods."""
    namespaces: tuple[Dns1123Label, ...] = ()
    """Namespaces of those pods; none is the stack's own."""
    topology_key: LabelKey = HOSTNAME
    """The node label whose value is the same for what counts as near; the default is the same node."""
    required: StrictBool = False
    """Whether a pod waits for such a place; else it runs all the same."""

    def rules(self) -> Iterator[Broken]:
        """No label at all would be every pod."""
        if not self.labels:
            yield Broken("labels", {}, "some label of the other pods")


class HostAlias(Settings):
    """A line of the pods' /etc/hosts."""

    ip: Annotated[str, AfterValidator(_address)]
    """The address."""
    hostnames: tuple[Dns1123Subdomain, ...]
    """The names that it goes by."""

    def rules(self) -> Iterator[Broken]:
        """An address without a name would be no line."""
        if not self.hostnames:
            yield Broken("hostnames", [], "some host name")


class SchedulingSettings(Settings):
    """Where a workload's pods may run."""

    priority_class: Dns1123Subdomain | None = None
    """An existing PriorityClass: who is evicted first when a node runs out of room."""
    node_affinity: tuple[NodeSelectorRequirement, ...] = ()
    """Conditions that a node must meet, all of them."""
    tolerations: tuple[Toleration, ...] = ()
    """Taints that the pods tolerate."""
    node_selector: FrozenMapping[LabelKey, LabelValue] = Field(default_factory=dict)
    """Labels that a node must have, all of them; beside `nodeAffinity`."""
    topology_spread: tuple[TopologySpread, ...] = ()
    """How evenly the workload's pods are spread; none leaves it to the cluster's defaults."""
    anti_affinity: OwnAntiAffinity | None = None
    """Keeps the workload's own pods apart; `{}` prefers different nodes. Null does not care."""
    pod_affinity: tuple[PodAffinityTerm, ...] = ()
    """Other pods to be near to."""
    pod_anti_affinity: tuple[PodAffinityTerm, ...] = ()
    """Other pods to be away from."""
    runtime_class: Dns1123Subdomain | None = None
    """An existing RuntimeClass, such as one of gVisor or Kata Containers; null takes the nodes' default. The one that gives
    GPUs is `airis:ollama.gpu.runtimeClass`."""
    scheduler_name: Dns1123Subdomain | None = None
    """Another scheduler than Kubernetes' own; it must run, or the pods wait."""
    host_aliases: tuple[HostAlias, ...] = ()
    """Names that the pods resolve without DNS."""
    termination_grace_period_seconds: Annotated[StrictInt, Field(ge=1)] | None = None
    """Seconds that a pod has to end before it is killed; null is Kubernetes' 30."""

    @property
    def uses_gpu(self) -> bool:
        """Whether the pods ask for a GPU."""
        return False

    def rules(self) -> Iterator[Broken]:
        """Without a GPU, conditions that only GPU nodes meet would occupy one of those, or none. The rest the API refuses."""
        yield from super().rules()
        if not self.uses_gpu:
            yield from self._gpu_rules()
        for index, spread in enumerate(self.topology_spread):
            # Kubernetes takes a key twice: once as a demand, and once as a wish
            earlier = [(each.topology_key, each.when_unsatisfiable) for each in self.topology_spread[:index]]
            if (spread.topology_key, spread.when_unsatisfiable) in earlier:
                allowed = f"each key once with {spread.when_unsatisfiable}"
                yield Broken(f"topologySpread.{index}.topologyKey", spread.topology_key, allowed)
        for index, alias in enumerate(self.host_aliases):
            if alias.ip in [each.ip for each in self.host_aliases[:index]]:
                yield Broken(f"hostAliases.{index}.ip", alias.ip, "each address once, with all of its hostnames")

    def _gpu_rules(self) -> Iterator[Broken]:
        allowed = "a label that CPU nodes carry: these pods ask for no GPU (airis:ollama.gpu would)"
        for index, requirement in enumerate(self.node_affinity):
            if requirement.key.startswith(LABEL_PREFIXES) and requirement.operator not in ("NotIn", "DoesNotExist"):
                reads = ("gpu", f"nodeAffinity.{index}.operator")
                yield Broken(f"nodeAffinity.{index}.key", requirement.key, allowed, reads)
        for key, value in self.node_selector.items():
            if key.startswith(LABEL_PREFIXES):
                yield Broken("nodeSelector", {key: value}, allowed, ("gpu",))
        if self.runtime_class in RUNTIME_CLASSES:
            allowed = "a class that gives no GPUs: these pods ask for none (airis:ollama.gpu would)"
            yield Broken("runtimeClass", self.runtime_class, allowed, ("gpu",))
