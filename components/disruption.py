"""PodDisruptionBudgets: how many pods a node drain may evict at a time."""

from components.metadata import Place, selector


def disruption_budget(name: str, replicas: int, place: Place) -> None:
    """Allows one eviction at a time if there are several pods. A budget for a single pod would only block node drains.

    `replicas` is the minimum number of pods.
    """
    if replicas > 1:
        from pulumi_kubernetes.policy.v1 import PodDisruptionBudget, PodDisruptionBudgetSpecArgs

        PodDisruptionBudget(
            name,
            metadata=place.metadata(name),
            spec=PodDisruptionBudgetSpecArgs(max_unavailable=1, selector=selector(name)),
            opts=place.opts,
        )
