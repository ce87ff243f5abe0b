"""What Open WebUI tells about its work: nothing more than by default, unless the settings say so."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.unit.conftest import Refuse
from tests.unit.drawing import draw_once, env, manifest

pytestmark = pytest.mark.timeout(60)

COLLECTOR = "http://collector.monitoring:4317"


def added(**webui: object) -> Mapping[str, Any]:
    """The variables that these settings add to the default ones."""
    before, after = (env(manifest(draw_once(webui=each), "Deployment", "airis-deployment")) for each in ({}, webui))
    assert before.items() <= after.items()
    return {name: value for name, value in after.items() if name not in before}


def test_levels_format_and_audit_of_the_log() -> None:
    logging = {"level": "WARNING", "format": "json", "audit": "METADATA", "auditToStdout": True}
    assert added(logging=logging) == {
        "GLOBAL_LOG_LEVEL": "WARNING",
        "LOG_FORMAT": "json",
        "AUDIT_LOG_LEVEL": "METADATA",
        "ENABLE_AUDIT_STDOUT": "True",
    }


def test_json_comes_with_a_level_because_the_first_lines_would_be_text_without() -> None:
    assert added(logging={"format": "json"}) == {"LOG_FORMAT": "json", "GLOBAL_LOG_LEVEL": "INFO"}
    assert added(logging={}) == {}


def test_a_collector_turns_telemetry_on() -> None:
    assert added(telemetry={"endpoint": COLLECTOR}) == {
        "ENABLE_OTEL": "True",
        "ENABLE_OTEL_TRACES": "True",
        "ENABLE_OTEL_METRICS": "True",
        "ENABLE_OTEL_LOGS": "False",
        "OTEL_EXPORTER_OTLP_ENDPOINT": COLLECTOR,
        "OTEL_OTLP_SPAN_EXPORTER": "grpc",
    }


def test_attributes_and_a_password_by_reference() -> None:
    telemetry = {
        "endpoint": COLLECTOR,
        "insecure": True,
        "serviceName": "chat",
        "resourceAttributes": {"team": "search", "env": "production"},
        "username": "airis",
        "passwordFrom": {"name": "collector", "key": "password"},
    }
    variables = added(telemetry=telemetry)
    assert variables["OTEL_RESOURCE_ATTRIBUTES"] == "env=production,team=search"
    assert variables["OTEL_BASIC_AUTH_PASSWORD"] == {"secretKeyRef": {"name": "collector", "key": "password"}}
    assert (variables["OTEL_SERVICE_NAME"], variables["OTEL_EXPORTER_OTLP_INSECURE"]) == ("chat", "True")


@pytest.mark.parametrize(
    ("config", "key", "allowed"),
    [
        ("logging: {level: info}", "logging.level", "one of 'DEBUG', 'INFO'"),
        ("logging: {auditToStdout: true}", "logging.auditToStdout", "only together with audit"),
        ("telemetry: {}", "telemetry.endpoint", "a value: this key is required"),
        ("telemetry: {endpoint: 'collector:4317'}", "telemetry.endpoint", "a URL such as"),
        (f"telemetry: {{endpoint: '{COLLECTOR}', username: a}}", "telemetry.username", "together with passwordFrom"),
        (
            f"telemetry: {{endpoint: '{COLLECTOR}', traces: false, metrics: false}}",
            "telemetry.traces",
            "true, or one of metrics and logs",
        ),
        (
            f"telemetry: {{endpoint: '{COLLECTOR}', resourceAttributes: {{a: 'b,c'}}}}",
            "telemetry.resourceAttributes.a",
            "a name and a text without , and =",
        ),
    ],
)
def test_refused(config: str, key: str, allowed: str, refuse: Refuse) -> None:
    said = refuse(f"airis:webui: {{{config}}}")
    assert f"\n  airis:webui.{key}\n" in said
    assert allowed in said.splitlines()[-1]


def test_typed_variables_are_not_free(refuse: Refuse) -> None:
    said = refuse("airis:webui: {env: {LOG_FORMAT: json}}")
    assert "another name: airis sets this one itself, by airis:webui.logging.format" in said
