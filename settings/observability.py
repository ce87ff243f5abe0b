"""Settings of what Open WebUI tells about its work: its log, and OpenTelemetry."""

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StrictBool

from settings.base import Broken, FrozenMapping
from settings.names import HttpUrl
from settings.references import SecretKeyRef
from settings.variables import Value, Variable, VariableSettings


class LoggingSettings(VariableSettings):
    """What the WebUI writes to its log."""

    level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] | None,
        Variable("GLOBAL_LOG_LEVEL"),
    ] = None
    """From which level on; null leaves it to Open WebUI (INFO)."""
    format: Annotated[Literal["json"] | None, Variable("LOG_FORMAT")] = None
    """`json` for one object per line, as log collectors read it; null for text."""
    audit: Annotated[Literal["NONE", "METADATA", "REQUEST", "REQUEST_RESPONSE"] | None, Variable("AUDIT_LOG_LEVEL")] = (
        None
    )
    """What of each request goes into the audit log; REQUEST and REQUEST_RESPONSE hold what people write. Null for none."""
    audit_to_stdout: Annotated[StrictBool | None, Variable("ENABLE_AUDIT_STDOUT")] = None
    """Whether the audit log is among the log of the pod; otherwise it is the file `audit.log` on the volume."""

    DERIVED: ClassVar = frozenset({"GLOBAL_LOG_LEVEL"})

    def derived(self) -> Mapping[str, Value]:
        """Without a level, Open WebUI 0.12.4 writes its first lines as text whatever the format is (open_webui/env.py)."""
        return {"GLOBAL_LOG_LEVEL": "INFO"} if self.format == "json" and self.level is None else {}

    def rules(self) -> Iterator[Broken]:
        """What would have no effect."""
        if self.audit_to_stdout and self.audit in (None, "NONE"):
            yield Broken("auditToStdout", True, "only together with audit", ("audit",))


class TelemetrySettings(VariableSettings):
    """OpenTelemetry: what the WebUI sends to a collector, by OTLP. There is no page with metrics to scrape."""

    DERIVED: ClassVar = frozenset({"ENABLE_OTEL", "OTEL_RESOURCE_ATTRIBUTES"})

    endpoint: Annotated[HttpUrl, Variable("OTEL_EXPORTER_OTLP_ENDPOINT")]
    """URL of the collector, such as `http://collector.monitoring:4317`."""
    protocol: Annotated[Literal["grpc", "http"], Variable("OTEL_OTLP_SPAN_EXPORTER")] = "grpc"
    """How the collector is spoken to: `grpc` (port 4317 by habit) or `http` (4318)."""
    insecure: Annotated[StrictBool | None, Variable("OTEL_EXPORTER_OTLP_INSECURE")] = None
    """Whether gRPC goes without TLS, as inside a cluster."""
    traces: Annotated[StrictBool, Variable("ENABLE_OTEL_TRACES")] = True
    """Whether traces are sent."""
    metrics: Annotated[StrictBool, Variable("ENABLE_OTEL_METRICS")] = True
    """Whether metrics are sent."""
    logs: Annotated[StrictBool, Variable("ENABLE_OTEL_LOGS")] = False
    """Whether the log is sent, beside being written."""
    service_name: Annotated[str | None, Variable("OTEL_SERVICE_NAME")] = None
    """Name under which it all appears; null for `open-webui`."""
    resource_attributes: FrozenMapping[str, str] = Field(default_factory=dict)
    """Attributes of everything that is sent, such as `deployment.environment: production`."""
    username: Annotated[str | None, Variable("OTEL_BASIC_AUTH_USERNAME")] = None
    """Name for the collector's basic authentication."""
    password_from: Annotated[SecretKeyRef | None, Variable("OTEL_BASIC_AUTH_PASSWORD")] = None
    """An existing Secret with the password for it."""

    def derived(self) -> Mapping[str, Value]:
        """On as soon as there is a collector."""
        attributes = ",".join(f"{key}={value}" for key, value in sorted(self.resource_attributes.items()))
        return {"ENABLE_OTEL": "True", **({"OTEL_RESOURCE_ATTRIBUTES": attributes} if attributes else {})}

    def rules(self) -> Iterator[Broken]:
        """Half a credential is none; and something must be sent."""
        if (self.username is None) != (self.password_from is None):
            yield Broken("username", self.username, "together with passwordFrom, or neither", ("passwordFrom",))
        if not (self.traces or self.metrics or self.logs):
            yield Broken("traces", False, "true, or one of metrics and logs; or telemetry: null", ("metrics", "logs"))
        for key, value in self.resource_attributes.items():
            if not key or any(character in f"{key}{value}" for character in ",="):
                yield Broken(f"resourceAttributes.{key}", value, "a name and a text without , and =")
