"""Settings of the startup, readiness and liveness probes."""

from typing import Annotated

from pydantic import Field, StrictInt

from settings.types.base import Settings

Positive = Annotated[StrictInt, Field(ge=1)]


class ProbeSettings(Settings):
    """Period, timeout and failure threshold of a probe."""

    period_seconds: Positive = 10
    """Time between two probes."""
    timeout_seconds: Positive = 5
    """Time without a response after which a probe fails."""
    failure_threshold: Positive = 3
    """Consecutive failures before Kubernetes acts. For a startup probe, `periodSeconds` times this is the time allowed for the
    start."""


class ProbesSettings(Settings):
    """Startup, readiness and liveness probes. Their paths are fixed."""

    startup: ProbeSettings = ProbeSettings()
    """Runs until its first success, before the other probes. On failure, the container is restarted."""
    readiness: ProbeSettings = ProbeSettings()
    """On failure, the pod receives no traffic."""
    liveness: ProbeSettings = ProbeSettings()
    """On failure, the container is restarted."""
