"""Settings of Open WebUI's log and of OpenTelemetry."""

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, StrictBool

from settings.types.base import Broken, FrozenMapping
from settings.types.names import HttpUrl
from settings.types.references import SecretKeyRef
from settings.types.variables import Value, Variable, VariableSettings


class LoggingSettings(VariableSettings):
    """Log level, log format and audit log."""

    level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] | None,
        Variable("GLOBAL_LOG_LEVEL"),
    ] = None
    """Log level; null for Open WebUI's default (INFO)."""
    format: Annotated[Literal["json"] | None, Variable("LOG_FORMAT")] = None
    """Log format: `json` for one object per line, for log collectors; null for text."""
    audit: Annotated[Literal["NONE", "METADATA", "REQUEST", "REQUEST_RESPONSE"] | None, Variable("AUDIT_LOG_LEVEL")] = (
        None
    )
    """Audit log level: what is recorded of each request. REQUEST and REQUEST_RESPONSE include what users write. Null for
    none."""
    audit_to_stdout: Annotated[StrictBool | None, Variable("ENABLE_AUDIT_STDOUT")] = None
    """Write the audit log to the pod's log; otherwise, it is the file `audit.log` on the volume."""

    DERIVED: ClassVar = frozenset({"GLOBAL_LOG_LEVEL"})

    def derived(self) -> Mapping[str, Value]:
        """Without a level, Open WebUI 0.12.4 writes its first lines as text regardless of the format (open_webui/env.py)."""
        return {"GLOBAL_LOG_LEVEL": "INFO"} if self.format == "json" and self.level is None else {}

    def rules(self) -> Iterator[Broken]:
        """Settings without effect."""
        if self.audit_to_stdout and self.audit in (None, "NONE"):
            yield Broken("auditToStdout", True, "only together with audit", ("audit",))


_SIGNALS: Mapping[str, str] = {
    "OTEL_EXPORTER_OTLP_ENDPOINT": "/v1/traces",
    "OTEL_METRICS_EXPORTER_OTLP_ENDPOINT": "/v1/metrics",
    "OTEL_LOGS_EXPORTER_OTLP_ENDPOINT": "/v1/logs",
}
"""The variable with the URL of each signal, and its path over HTTP. Sources: open_webui/env.py; OTLP specification."""


class TelemetrySettings(VariableSettings):
    """OpenTelemetry: export to a collector by OTLP. Open WebUI has no metrics endpoint to scrape."""

    DERIVED: ClassVar = frozenset({"ENABLE_OTEL", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_EXPORTER_OTLP_INSECURE", *_SIGNALS})

    endpoint: Annotated[HttpUrl, Variable("OTEL_EXPORTER_OTLP_ENDPOINT")]
    """URL of the collector, such as `http://collector.monitoring:4317`. With `protocol: http`, without `/v1/traces`, because
    the path of each signal is appended."""
    protocol: Annotated[Literal["grpc", "http"], Variable("OTEL_OTLP_SPAN_EXPORTER")] = "grpc"
    """OTLP protocol: `grpc` (usually port 4317) or `http` (usually port 4318)."""
    insecure: Annotated[StrictBool | None, Variable("OTEL_EXPORTER_OTLP_INSECURE")] = None
    """Use gRPC without TLS, as inside a cluster; null for true with an `http://` URL, and false otherwise."""
    traces: Annotated[StrictBool, Variable("ENABLE_OTEL_TRACES")] = True
    """Send traces."""
    metrics: Annotated[StrictBool, Variable("ENABLE_OTEL_METRICS")] = True
    """Send metrics."""
    logs: Annotated[StrictBool, Variable("ENABLE_OTEL_LOGS")] = False
    """Send the log, in addition to writing it."""
    service_name: Annotated[str | None, Variable("OTEL_SERVICE_NAME")] = None
    """Service name; null for `open-webui`."""
    resource_attributes: FrozenMapping[str, str] = Field(default_factory=dict)
    """Resource attributes of all signals, such as `deployment.environment: production`."""
    username: Annotated[str | None, Variable("OTEL_BASIC_AUTH_USERNAME")] = None
    """User name for basic authentication at the collector."""
    password_from: Annotated[SecretKeyRef | None, Variable("OTEL_BASIC_AUTH_PASSWORD")] = None
    """Reference to an existing Secret with the password."""

    @property
    def signs_in(self) -> bool:
        """Whether the collector requires basic authentication."""
        return self.password_from is not None

    def derived(self) -> Mapping[str, Value]:
        """Enabled if this section is set.

        Open WebUI 0.12.4 passes each exporter its URL, to which no path is appended then, and uses TLS for gRPC with every URL
        unless a variable disables it (open_webui/utils/telemetry).
        """
        found = {"ENABLE_OTEL": "True"}
        if attributes := ",".join(f"{key}={value}" for key, value in sorted(self.resource_attributes.items())):
            found["OTEL_RESOURCE_ATTRIBUTES"] = attributes
        if self.protocol == "http":
            parts = urlsplit(self.endpoint)
            base = parts.path.rstrip("/")
            found.update({name: parts._replace(path=f"{base}{path}").geturl() for name, path in _SIGNALS.items()})
        elif self.insecure is None:
            found["OTEL_EXPORTER_OTLP_INSECURE"] = str(self._plain)
        return found

    @property
    def _plain(self) -> bool:
        return urlsplit(self.endpoint).scheme == "http"

    def rules(self) -> Iterator[Broken]:
        """User name and password belong together, at least one signal is sent, and the URL fits the protocol."""
        if (self.username is None) != (self.password_from is None):
            yield Broken("username", self.username, "together with passwordFrom, or neither", ("passwordFrom",))
        if not (self.traces or self.metrics or self.logs):
            yield Broken("traces", False, "true, or one of metrics and logs; or telemetry: null", ("metrics", "logs"))
        for key, value in self.resource_attributes.items():
            if not key or any(character in f"{key}{value}" for character in ",="):
                yield Broken(f"resourceAttributes.{key}", value, "a name and a value without , and =")
        path = urlsplit(self.endpoint).path.rstrip("/")
        if self.protocol == "grpc" and path:
            yield Broken("endpoint", self.endpoint, "a URL without a path, for gRPC; or protocol: http", ("protocol",))
        elif path.endswith(tuple(_SIGNALS.values())):
            yield Broken("endpoint", self.endpoint, "a URL without /v1/...: the path of each signal is appended")
        if self.insecure and not self._plain:
            yield Broken("insecure", True, "null, or an endpoint that begins with http://", ("endpoint",))
        if self.insecure is False and self._plain and self.protocol == "http":
            yield Broken("insecure", False, "null, or an endpoint that begins with https://", ("endpoint",))
