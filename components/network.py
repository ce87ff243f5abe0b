"""NetworkPolicies. Connections that no policy allows are refused."""

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
    """The pods of the same namespace with these labels; all pods without labels."""
    return NetworkPolicyPeerArgs(pod_selector=LabelSelectorArgs(match_labels=labels))


def namespaces(names: Sequence[str]) -> NetworkPolicyPeerArgs:
    """Every pod of these namespaces, by the label that the API server sets on each namespace."""
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
    """The policy of the pods with the label `app: <name>`: only `callers` may connect to their port.

    If egress is restricted, the pods may connect to `callees`, DNS, and the address ranges of the settings. `sealed` pods may
    not connect to anything, even if egress is not restricted.
    """
    # A rule without peers would allow everything; no rule at all allows nothing
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
            # The API server drops an empty list, so that it would show as a change each time
            ingress=[from_callers] if callers else None,
            egress=egress if settings.restrict_egress and not sealed else None,
        ),
        opts=place.opts,
    )
