"""NetworkPolicies: who may talk to a workload, and to whom it may talk. What is not listed here is refused."""

from collections.abc import Mapping, Sequence

from pulumi_kubernetes.meta.v1 import LabelSelectorArgs, LabelSelectorRequirementArgs
from pulumi_kubernetes.networking.v1 import (
    IPBlockArgs,
    NetworkPolicy,
    NetworkPolicyEgressRuleArgs,
    NetworkPolicyIngressRuleArgs,
    NetworkPolicyPeerArgs,
    NetworkPolicyPortArgs,
    NetworkPolicySpecArgs,
)

from components.metadata import Place, selector
from settings.platform.network import NetworkSettings

_DNS_PORT = 53


def pods(labels: Mapping[str, str] | None = None) -> NetworkPolicyPeerArgs:
    """The pods of the same namespace that carry these labels; without labels all of them."""
    return NetworkPolicyPeerArgs(pod_selector=LabelSelectorArgs(match_labels=labels))


def namespaces(names: Sequence[str]) -> NetworkPolicyPeerArgs:
    """Every pod of these namespaces, by the label that the API server gives each namespace."""
    named = LabelSelectorRequirementArgs(key="kubernetes.io/metadata.name", operator="In", values=list(names))
    return NetworkPolicyPeerArgs(namespace_selector=LabelSelectorArgs(match_expressions=[named]))


def addresses(cidrs: Sequence[str]) -> list[NetworkPolicyPeerArgs]:
    """Address ranges, inside or outside the cluster."""
    return [NetworkPolicyPeerArgs(ip_block=IPBlockArgs(cidr=cidr)) for cidr in cidrs]


def policy(
    name: str,
    settings: NetworkSettings,
    *,
    port: int,
    callers: Sequence[NetworkPolicyPeerArgs],
    callees: Sequence[NetworkPolicyPeerArgs] = (),
    sealed: bool = False,
    place: Place,
) -> NetworkPolicy:
    """The policy of the pods with the label `app: <name>`: `callers` may reach their port, and nobody else.

    Only where egress is restricted: they may reach `callees`, DNS, and the address ranges of the settings. Pods that are
    `sealed` may reach nobody, restricted or not.
    """
    # A rule that names nobody would open the port to everybody; no rule at all closes it
    from_callers = NetworkPolicyIngressRuleArgs(
        from_=list(callers), ports=[NetworkPolicyPortArgs(port=port, protocol="TCP")]
    )
    allowed = [*callees, *addresses(settings.egress_to)]
    dns = [NetworkPolicyPortArgs(port=_DNS_PORT, protocol=protocol) for protocol in ("UDP", "TCP")]
    egress = [NetworkPolicyEgressRuleArgs(ports=dns), *([NetworkPolicyEgressRuleArgs(to=allowed)] if allowed else [])]
    return NetworkPolicy(
        name,
        metadata=place.metadata(name),
        spec=NetworkPolicySpecArgs(
            pod_selector=selector(name),
            policy_types=["Ingress", "Egress"] if settings.restrict_egress or sealed else ["Ingress"],
            # The API server does not keep an empty list, and would see a change in each further one
            ingress=[from_callers] if callers else None,
            egress=egress if settings.restrict_egress and not sealed else None,
        ),
        opts=place.opts,
    )
