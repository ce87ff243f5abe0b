"""Open WebUI's log and OpenTelemetry: only what the settings enable."""

import os
import subprocess
import sys
from base64 import b64decode
from collections.abc import Mapping
from typing import Any

import pytest
from opentelemetry.util.re import parse_env_headers

from components.collector_sign_in import HEADERS, PASSWORD, USERNAME, sign_in
from tests.unit.conftest import Refuse
from tests.unit.drawing import ROOT, container, draw_once, env, manifest

pytestmark = pytest.mark.timeout(60)

COLLECTOR = "http://collector.monitoring:4317"


def added(**webui: object) -> Mapping[str, Any]:
    """The variables that these settings add to the defaults."""
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


def test_json_format_sets_a_level() -> None:
    assert added(logging={"format": "json"}) == {"LOG_FORMAT": "json", "GLOBAL_LOG_LEVEL": "INFO"}
    assert added(logging={}) == {}


def test_a_collector_enables_telemetry() -> None:
    assert added(telemetry={"endpoint": COLLECTOR}) == {
        "ENABLE_OTEL": "True",
        "ENABLE_OTEL_TRACES": "True",
        "ENABLE_OTEL_METRICS": "True",
        "ENABLE_OTEL_LOGS": "False",
        "OTEL_EXPORTER_OTLP_ENDPOINT": COLLECTOR,
        "OTEL_EXPORTER_OTLP_INSECURE": "True",
        "OTEL_OTLP_SPAN_EXPORTER": "grpc",
    }


@pytest.mark.parametrize(
    ("endpoint", "said", "insecure"),
    [
        ("http://collector:4317", None, "True"),
        ("https://collector:4317/", None, "False"),
        ("http://collector:4317", False, "False"),
    ],
)
def test_grpc_without_tls_by_url_or_setting(endpoint: str, said: bool | None, insecure: str) -> None:
    variables = added(telemetry={"endpoint": endpoint, "insecure": said})
    assert (variables["OTEL_EXPORTER_OTLP_INSECURE"], variables["OTEL_EXPORTER_OTLP_ENDPOINT"]) == (insecure, endpoint)


@pytest.mark.parametrize(
    ("endpoint", "traces"),
    [
        ("http://collector:4318", "http://collector:4318/v1/traces"),
        ("http://collector:4318/", "http://collector:4318/v1/traces"),
        ("https://example.com/otlp/", "https://example.com/otlp/v1/traces"),
        ("https://example.com/otlp?tenant=a", "https://example.com/otlp/v1/traces?tenant=a"),
    ],
)
def test_each_signal_has_its_path_over_http(endpoint: str, traces: str) -> None:
    variables = added(telemetry={"endpoint": endpoint, "protocol": "http"})
    assert variables["OTEL_EXPORTER_OTLP_ENDPOINT"] == traces
    assert variables["OTEL_METRICS_EXPORTER_OTLP_ENDPOINT"] == traces.replace("traces", "metrics")
    assert variables["OTEL_LOGS_EXPORTER_OTLP_ENDPOINT"] == traces.replace("traces", "logs")
    assert "OTEL_EXPORTER_OTLP_INSECURE" not in variables


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


def test_the_credential_is_only_in_a_header_in_the_pod() -> None:
    telemetry = {"endpoint": COLLECTOR, "username": "airis", "passwordFrom": {"name": "collector", "key": "password"}}
    drawn = draw_once(webui={"telemetry": telemetry})
    deployment = manifest(drawn, "Deployment", "airis-deployment")
    server = container(deployment)
    assert server["command"][-4:] == ["python3", "/etc/airis/start/collector_sign_in.py", "bash", "start.sh"]
    assert not any("HEADERS" in name for name in env(deployment))
    without = manifest(draw_once(webui={"telemetry": {"endpoint": COLLECTOR}}), "Deployment", "airis-deployment")
    assert "/etc/airis/start/collector_sign_in.py" not in container(without)["command"]


def test_sign_in_adds_a_header_that_the_exporters_can_parse() -> None:
    environment = {USERNAME: "ä", PASSWORD: "o~o?=, %20é", HEADERS: "x-scope=a", "PATH": "/bin"}
    sign_in(environment)
    assert environment.keys() == {HEADERS, "PATH"}
    read = parse_env_headers(environment[HEADERS])
    assert read.keys() == {"x-scope", "authorization"}
    kind, _, credential = read["authorization"].partition(" ")
    assert (kind, b64decode(credential).decode()) == ("Basic", "ä:o~o?=, %20é")


def test_sign_in_executes_the_command() -> None:
    script, given = (
        ROOT / "components" / "collector_sign_in.py",
        {USERNAME: "a", PASSWORD: "b", "PATH": os.environ["PATH"]},
    )
    said = subprocess.run(
        [sys.executable, script, "env"], env=given, capture_output=True, text=True, timeout=30, check=True
    ).stdout
    assert f"{HEADERS}=authorization=Basic%20YTpi\n" in said
    assert "OTEL_BASIC_AUTH" not in said


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
            "a name and a value without , and =",
        ),
        ("telemetry: {endpoint: 'http://a:4318/otlp'}", "telemetry.endpoint", "or protocol: http"),
        (
            "telemetry: {endpoint: 'http://a:4318/v1/traces', protocol: http}",
            "telemetry.endpoint",
            "a URL without /v1/...: the path of each signal is appended",
        ),
        ("telemetry: {endpoint: 'https://a', insecure: true}", "telemetry.insecure", "begins with http://"),
        (
            "telemetry: {endpoint: 'http://a', protocol: http, insecure: false}",
            "telemetry.insecure",
            "begins with https://",
        ),
    ],
)
def test_invalid_settings_are_refused(config: str, key: str, allowed: str, refuse: Refuse) -> None:
    said = refuse(f"airis:webui: {{{config}}}")
    assert f"\n  airis:webui.{key}\n" in said
    assert allowed in said.splitlines()[-1]


def test_variables_of_settings_are_refused_in_env(refuse: Refuse) -> None:
    said = refuse("airis:webui: {env: {LOG_FORMAT: json}}")
    assert "another name: airis sets this one itself, from airis:webui.logging.format" in said
