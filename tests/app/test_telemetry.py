"""The telemetry that the real server sends to a real OpenTelemetry collector: by gRPC and HTTP, with and without a password.

Tested with the exporters of Open WebUI's image, and with the newest ones.
"""

from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import NamedTuple

import pytest

from airis.terminal.errors import EnvironmentProblem
from tests.app.collector import Collector, collecting
from tests.app.environment import EXPORTERS, Environment, exporters
from tests.app.rendered import key
from tests.app.running import running

pytestmark = pytest.mark.timeout(900)  # the first one may have to install the application, and to build the collector

PASSWORD = "p@ss:w/rd%41?#,=+ é"
"""All its characters are special in a header, in percent-encoding or in base64."""
SOON = {
    "OTEL_METRICS_EXPORT_INTERVAL_MILLIS": "1000",
    "OTEL_BSP_SCHEDULE_DELAY": "500",
    "OTEL_BLRP_SCHEDULE_DELAY": "500",
}
"""Variables with the export intervals."""

ALL = {"traces", "metrics", "logs"}


class Case(NamedTuple):
    """A protocol and its options."""

    protocol: str
    exporters: str = "image"
    """One of `EXPORTERS`. The newest ones handle a password differently."""
    password: bool = False
    signals: AbstractSet[str] = frozenset(ALL)


CASES = [
    *(Case(protocol, exporters, password=True) for exporters in EXPORTERS for protocol in ("grpc", "http")),
    Case("grpc", signals={"traces"}),
    Case("http", signals={"metrics", "logs"}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.protocol}-{case.exporters}-{case.password}")
def test_what_the_stack_says_arrives_at_the_collector_and_nothing_else(
    case: Case, installed: Environment, tmp_path: Path
) -> None:
    try:
        with collecting(tmp_path, f"airis:{PASSWORD}" if case.password else None) as collector:
            if case.password:  # a collector that accepts everything would prove nothing
                assert collector.refuses_strangers()
            sends(case, installed, tmp_path, collector)
    except EnvironmentProblem as problem:
        pytest.skip(f"NOT ASKED, because the collector cannot be built here: {problem.message}")


def sends(case: Case, installed: Environment, folder: Path, collector: Collector) -> None:
    telemetry = {
        "endpoint": collector.http if case.protocol == "http" else collector.grpc,
        "protocol": case.protocol,
        "serviceName": "chat",
        "resourceAttributes": {"deployment.environment": "test"},
        **{signal: signal in case.signals for signal in ALL},
        **({"username": "airis", "passwordFrom": key("collector")} if case.password else {}),
    }
    with running(
        installed,
        folder / "webui",
        packages=exporters(case.exporters),
        held={"collector": PASSWORD},
        webui={"telemetry": telemetry, "env": SOON},
    ) as server:
        assert server.ask("/health") == {"status": True}
        collector.wait(*case.signals)
    assert collector.arrived().keys() == case.signals  # the rest is sent when the server ends
    assert {("service.name", "chat"), ("deployment.environment", "test")} <= collector.attributes()
    assert PASSWORD not in server.log.read_text()
