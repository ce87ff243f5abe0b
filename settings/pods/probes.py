"""Settings of the probes by which Kubernetes tells whether a pod starts, works and may have traffic."""

from typing import Annotated

from pydantic import Field, StrictInt

from settings.types.base import Settings

Positive = Annotated[StrictInt, Field(ge=1)]


class ProbeSettings(Settings):
    """How often a probe asks, and how many failures it takes."""

    period_seconds: Positive = 10
    """Seconds between two questions."""
    timeout_seconds: Positive = 5
    """Seconds until a question without an answer counts as a failure."""
    failure_threshold: Positive = 3
    """Failures in a row until Kubernetes acts; for a startup probe, times the period it is the whole budget."""


class ProbesSettings(Settings):
    """The three probes of a workload; which paths they ask is fixed, because only the application knows those."""

    startup: ProbeSettings = ProbeSettings()
    """Until it succeeds once, the others wait; when its budget is spent, the container is restarted."""
    readiness: ProbeSettings = ProbeSettings()
    """While it fails, the pod gets no traffic."""
    liveness: ProbeSettings = ProbeSettings()
    """When it fails too often, the container is restarted."""
