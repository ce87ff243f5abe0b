"""Settings of the HorizontalPodAutoscaler."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field, StrictInt

from settings.types.base import Broken, Settings

Percent = Annotated[StrictInt, Field(ge=1, le=1000)]


class AutoscalingSettings(Settings):
    """HorizontalPodAutoscaler. It requires metrics-server in the cluster."""

    min_replicas: Annotated[StrictInt, Field(ge=1)] = 2
    """Minimum number of pods."""
    max_replicas: Annotated[StrictInt, Field(ge=1)]
    """Maximum number of pods."""
    cpu_percent: Percent | None = 70
    """Target average CPU utilization, in percent of the CPU request; null does not scale by CPU."""
    memory_percent: Percent | None = None
    """Target average memory utilization, in percent of the memory request; null does not scale by memory. The WebUI releases
    little memory, so this adds pods and rarely removes any."""

    def rules(self) -> Iterator[Broken]:
        """A valid range, and at least one metric."""
        if self.max_replicas < self.min_replicas:
            allowed = f"at least minReplicas, {self.min_replicas}"
            yield Broken("maxReplicas", self.max_replicas, allowed, ("minReplicas",))
        if self.cpu_percent is None and self.memory_percent is None:
            yield Broken("cpuPercent", None, "a percentage, or set memoryPercent", ("memoryPercent",))
