"""From settings to the part of a pod's spec that says where it may run."""

from collections.abc import Sequence
from typing import Any

from pulumi_kubernetes.core.v1 import (
    AffinityArgs,
    NodeAffinityArgs,
    NodeSelectorArgs,
    NodeSelectorRequirementArgs,
    NodeSelectorTermArgs,
    TolerationArgs,
)

from settings.scheduling import NodeSelectorRequirement, SchedulingSettings, Toleration


def placement(
    settings: SchedulingSettings,
    app: str,
    *,
    node_affinity: Sequence[NodeSelectorRequirement] = (),
    tolerations: Sequence[Toleration] = (),
) -> dict[str, Any]:
    """Arguments of PodSpecArgs: where the pods of the installation `app` may run.

    `node_affinity` and `tolerations` are conditions and taints beside those of the settings, and stand before them.
    """
    return {
        "priority_class_name": settings.priority_class,
        "affinity": _affinity([*node_affinity, *settings.node_affinity]),
        "tolerations": _tolerations([*tolerations, *settings.tolerations]),
    }


def _affinity(requirements: Sequence[NodeSelectorRequirement]) -> AffinityArgs | None:
    """Requires a node that meets every condition; without conditions no affinity at all."""
    if not requirements:
        return None
    expressions = [
        NodeSelectorRequirementArgs(key=each.key, operator=each.operator, values=list(each.values) or None)
        for each in requirements
    ]
    term = NodeSelectorTermArgs(match_expressions=expressions)
    return AffinityArgs(
        node_affinity=NodeAffinityArgs(
            required_during_scheduling_ignored_during_execution=NodeSelectorArgs(node_selector_terms=[term])
        )
    )


def _tolerations(settings: Sequence[Toleration]) -> list[TolerationArgs] | None:
    """Tolerations, or none at all."""
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
