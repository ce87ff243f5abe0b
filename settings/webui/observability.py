"""Settings of what Open WebUI tells about its work: its log, and OpenTelemetry."""

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, StrictBool

from settings.types.base import Broken, FrozenMapping
from settings.types.names import HttpUrl
from settings.types.references import SecretKeyRef
from settings.types.variables import Value, Variable, VariableSettings


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


_SIGNALS: Mapping[str, str] = {
    "OTEL_EXPORTER_OTLP_ENDPOINT": "/v1/traces",
    "OTEL_METRICS_EXPORTER_OTLP_ENDPOINT": "/v1/metrics",
    "OTEL_LOGS_EXPORTER_OTLP_ENDPOINT": "/v1/logs",
}
"""Where Open WebUI looks up the URL of each signal, and its path over HTTP. Sources: open_webui/env.py; OTLP specification."""


class TelemetrySettings(VariableSettings):
    """OpenTelemetry: what the WebUI sends to a collector, by OTLP. There is no page with metrics to scrape."""

    DERIVED: ClassVar = frozenset({"ENABLE_OTEL", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_EXPORTER_OTLP_INSECURE", *_SIGNALS})

    endpoint: Annotated[HttpUrl, Variable("OTEL_EXPORTER_OTLP_ENDPOINT")]
    """URL of the collector, such as `http://collector.monitoring:4317`; for `protocol: http` without `/v1/traces`, because each
    signal's path is added."""
    protocol: Annotated[Literal["grpc", "http"], Variable("OTEL_OTLP_SPAN_EXPORTER")] = "grpc"
    """How the collector is spoken to: `grpc` (port 4317 by habit) or `http` (4318)."""
    insecure: Annotated[StrictBool | None, Variable("OTEL_EXPORTER_OTLP_INSECURE")] = None
    """Whether gRPC goes without TLS, as inside a cluster; null for what the URL says: without for `http://`."""
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

    @property
    def signs_in(self) -> bool:
        """Whether the collector wants a name and a password."""
        return self.password_from is not None

    def derived(self) -> Mapping[str, Value]:
        """On as soon as there is a collector.

        Open WebUI 0.12.4 gives each exporter its URL, to which no path is added then, and tells gRPC to use TLS for every URL
        unless a variable says otherwise (open_webui/utils/telemetry).
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
        """Half a credential is none; something must be sent; and the URL must fit the protocol."""
        if (self.username is None) != (self.password_from is None):
            yield Broken("username", self.username, "together with passwordFrom, or neither", ("passwordFrom",))
        if not (self.traces or self.metrics or self.logs):
            yield Broken("traces", False, "true, or one of metrics and logs; or telemetry: null", ("metrics", "logs"))
        for key, value in self.resource_attributes.items():
            if not key or any(character in f"{key}{value}" for character in ",="):
                yield Broken(f"resourceAttributes.{key}", value, "a name and a text without , and =")
        path = urlsplit(self.endpoint).path.rstrip("/")
        if self.protocol == "grpc" and path:
            yield Broken("endpoint", self.endpoint, "a URL without a path, for gRPC; or protocol: http", ("protocol",))
        elif path.endswith(tuple(_SIGNALS.values())):
            yield Broken("endpoint", self.endpoint, "without /v1/...: the path of each signal is added")
        if self.insecure and not self._plain:
            yield Broken("insecure", True, "null, or an endpoint that begins with http://", ("endpoint",))
        if self.insecure is False and self._plain and self.protocol == "http":
            yield Broken("insecure", False, "null, or an endpoint that begins with https://", ("endpoint",))
