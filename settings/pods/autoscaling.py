"""Settings of the HorizontalPodAutoscaler: how many pods, and by what measure."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field, StrictInt

from settings.types.base import Broken, Settings

Percent = Annotated[StrictInt, Field(ge=1, le=1000)]


class AutoscalingSettings(Settings):
    """Pods that come and go with the load, by a HorizontalPodAutoscaler. It needs metrics-server in the cluster."""

    min_replicas: Annotated[StrictInt, Field(ge=1)] = 2
    """Pods at least."""
    max_replicas: Annotated[StrictInt, Field(ge=1)]
    """Pods at most."""
    cpu_percent: Percent | None = 70
    """Average use of the requested CPU, in percent, that it aims at; null leaves CPU out."""
    memory_percent: Percent | None = None
    """The same of the requested memory; null leaves memory out. The WebUI gives little memory back: this adds pods, and seldom
    takes any away."""

    def rules(self) -> Iterator[Broken]:
        """A range, and something to go by."""
        if self.max_replicas < self.min_replicas:
            allowed = f"at least minReplicas, {self.min_replicas}"
            yield Broken("maxReplicas", self.max_replicas, allowed, ("minReplicas",))
        if self.cpu_percent is None and self.memory_percent is None:
            yield Broken("cpuPercent", None, "a percentage, or set memoryPercent", ("memoryPercent",))
