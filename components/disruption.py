"""PodDisruptionBudgets: how many pods a node drain may take away at a time."""

from components.metadata import Place, selector


def disruption_budget(name: str, replicas: int, place: Place) -> None:
    """One pod at a time, where there are always several; a budget for a single pod would only keep nodes from being drained.

    `replicas` are the pods that there are at least.
    """
    if replicas > 1:
        from pulumi_kubernetes.policy.v1 import PodDisruptionBudget, PodDisruptionBudgetSpecArgs

        PodDisruptionBudget(
            name,
            metadata=place.metadata(name),
            spec=PodDisruptionBudgetSpecArgs(max_unavailable=1, selector=selector(name)),
            opts=place.opts,
        )
