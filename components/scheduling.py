"""Scheduling fields of a pod's spec, from the settings."""

from collections.abc import Mapping, Sequence
from typing import Any

from pulumi_kubernetes.core.v1 import (
    AffinityArgs,
    HostAliasArgs,
    NodeAffinityArgs,
    NodeSelectorArgs,
    NodeSelectorRequirementArgs,
    NodeSelectorTermArgs,
    PodAffinityArgs,
    PodAffinityTermArgs,
    PodAntiAffinityArgs,
    TolerationArgs,
    TopologySpreadConstraintArgs,
    WeightedPodAffinityTermArgs,
)
from pulumi_kubernetes.meta.v1 import LabelSelectorArgs

from components.metadata import selector
from settings.pods.scheduling import (
    HOSTNAME,
    HostAlias,
    NodeSelectorRequirement,
    PodAffinityTerm,
    SchedulingSettings,
    Toleration,
    TopologySpread,
)

_WEIGHT = 100
"""The weight of each preference; there is only one kind of preference, so all weigh the same."""


def placement(
    settings: SchedulingSettings,
    app: str,
    *,
    node_affinity: Sequence[NodeSelectorRequirement] = (),
    tolerations: Sequence[Toleration] = (),
    runtime_class: str | None = None,
) -> dict[str, Any]:
    """Arguments of PodSpecArgs for scheduling the pods of the installation `app`.

    `node_affinity` and `tolerations` come before those of the settings; `runtime_class` takes precedence over that of the
    settings.
    """
    return {
        **_nodes(settings, tolerations),
        "affinity": _affinity(settings, app, [*node_affinity, *settings.node_affinity]),
        "topology_spread_constraints": [_spread(each, app) for each in settings.topology_spread] or None,
        "runtime_class_name": runtime_class or settings.runtime_class,
        "host_aliases": [_alias(each) for each in settings.host_aliases] or None,
        "termination_grace_period_seconds": settings.termination_grace_period_seconds,
    }


def beside(
    settings: SchedulingSettings,
    near: Mapping[str, str],
    *,
    node_affinity: Sequence[NodeSelectorRequirement] = (),
    tolerations: Sequence[Toleration] = (),
) -> dict[str, Any]:
    """Arguments of PodSpecArgs for a helper of a workload, which may run where the workload may.

    It prefers the node of the pod with the labels `near`, which has the image. The workload's affinity to its own pods and to
    other pods does not apply to helpers. `node_affinity` and `tolerations` as in `placement`.
    """
    requirements = [*node_affinity, *settings.node_affinity]
    term = PodAffinityTermArgs(topology_key=HOSTNAME, label_selector=LabelSelectorArgs(match_labels=near))
    return {
        **_nodes(settings, tolerations),
        "affinity": AffinityArgs(
            node_affinity=_node_affinity(requirements) if requirements else None,
            pod_affinity=PodAffinityArgs(**_by_force([(False, term)])),
        ),
    }


def _nodes(settings: SchedulingSettings, tolerations: Sequence[Toleration]) -> dict[str, Any]:
    """Fields that a workload and its helpers share: nodes and taints, scheduler, priority and runtime."""
    return {
        "priority_class_name": settings.priority_class,
        "tolerations": _tolerations([*tolerations, *settings.tolerations]),
        "node_selector": dict(settings.node_selector) or None,
        "runtime_class_name": settings.runtime_class,
        "scheduler_name": settings.scheduler_name,
    }


def _affinity(
    settings: SchedulingSettings, app: str, requirements: Sequence[NodeSelectorRequirement]
) -> AffinityArgs | None:
    """Node affinity and pod affinity; None without either."""
    near = [(each.required, _term(each)) for each in settings.pod_affinity]
    away = [(each.required, _term(each)) for each in settings.pod_anti_affinity]
    if (own := settings.anti_affinity) is not None:
        term = PodAffinityTermArgs(topology_key=own.topology_key, label_selector=selector(app))
        away.insert(0, (own.required, term))
    if not requirements and not near and not away:
        return None
    return AffinityArgs(
        node_affinity=_node_affinity(requirements) if requirements else None,
        pod_affinity=PodAffinityArgs(**_by_force(near)) if near else None,
        pod_anti_affinity=PodAntiAffinityArgs(**_by_force(away)) if away else None,
    )


def _node_affinity(requirements: Sequence[NodeSelectorRequirement]) -> NodeAffinityArgs:
    """Requires a node that meets all requirements."""
    expressions = [
        NodeSelectorRequirementArgs(key=each.key, operator=each.operator, values=list(each.values) or None)
        for each in requirements
    ]
    term = NodeSelectorTermArgs(match_expressions=expressions)
    return NodeAffinityArgs(
        required_during_scheduling_ignored_during_execution=NodeSelectorArgs(node_selector_terms=[term])
    )


def _term(settings: PodAffinityTerm) -> PodAffinityTermArgs:
    return PodAffinityTermArgs(
        topology_key=settings.topology_key,
        label_selector=LabelSelectorArgs(match_labels=dict(settings.labels)),
        namespaces=list(settings.namespaces) or None,
    )


def _by_force(terms: Sequence[tuple[bool, PodAffinityTermArgs]]) -> dict[str, Any]:
    """Required and preferred terms."""
    preferred = [
        WeightedPodAffinityTermArgs(weight=_WEIGHT, pod_affinity_term=term) for must, term in terms if not must
    ]
    return {
        "required_during_scheduling_ignored_during_execution": [term for must, term in terms if must] or None,
        "preferred_during_scheduling_ignored_during_execution": preferred or None,
    }


def _spread(settings: TopologySpread, app: str) -> TopologySpreadConstraintArgs:
    """Applies only to the pods of this installation."""
    return TopologySpreadConstraintArgs(
        topology_key=settings.topology_key,
        max_skew=settings.max_skew,
        when_unsatisfiable=settings.when_unsatisfiable,
        label_selector=selector(app),
        node_taints_policy="Honor",  # otherwise, tainted GPU nodes count as domains
    )


def _alias(settings: HostAlias) -> HostAliasArgs:
    return HostAliasArgs(ip=settings.ip, hostnames=list(settings.hostnames))


def _tolerations(settings: Sequence[Toleration]) -> list[TolerationArgs] | None:
    """Tolerations, or None."""
    return [
        TolerationArgs(
            key=each.key,
            operator=each.operator,
            value=each.value,
            effect=each.effect,
            toleration_seconds=each.toleration_seconds,
        )
        for each in settings
    ] or None
