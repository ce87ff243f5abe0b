"""A real OpenTelemetry collector (main.go) on loopback, and the data that it receives."""

import json
import re
import subprocess
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from tests import pinned
from tests.app.running import free_port

HERE = Path(__file__).parent

_ARRIVED = re.compile(r"\tinfo\t(Traces|Metrics|Logs)\t\{")
_ATTRIBUTE = re.compile(r"^ +-> (\S+): Str\((.*)\)$", re.MULTILINE)


@dataclass(frozen=True)
class Collector:
    """A running collector."""

    grpc: str
    http: str
    """URL, with the path before those of the signals."""
    log: Path

    def arrived(self) -> Counter[str]:
        """The number of exports by signal: `traces`, `metrics`, `logs`."""
        return Counter(each.lower() for each in _ARRIVED.findall(self.log.read_text(encoding="utf-8")))

    def attributes(self) -> Set[tuple[str, str]]:
        """All received attributes."""
        return set(_ATTRIBUTE.findall(self.log.read_text(encoding="utf-8")))

    def refuses_strangers(self) -> bool:
        """Whether it refuses data without the credential."""
        answer = requests.post(f"{self.http}/v1/traces", json={"resourceSpans": []}, timeout=30)
        return answer.status_code == 401

    def wait(self, *signals: str, seconds: float = 40) -> None:
        """Returns when all of them have arrived. Otherwise fails, and names those that have."""
        deadline = time.monotonic() + seconds
        while missing := set(signals) - self.arrived().keys():
            assert time.monotonic() < deadline, f"no {missing} arrived, but {self.arrived()}"
            time.sleep(0.2)


@contextmanager
def collecting(folder: Path, credential: str | None = None) -> Iterator[Collector]:
    """A collector that accepts everything, or only requests with the credential `NAME:PASSWORD`.

    Raises EnvironmentProblem if it cannot be built.
    """
    program = pinned.go_program("collector", "airis/tests/app/collector", HERE)
    grpc, http = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    auth = {"auth": {"authenticator": "bearertokenauth"}} if credential else {}
    token = b64encode((credential or "nobody:").encode()).decode()
    prefix = "/otlp"
    paths = {f"{signal}_url_path": f"{prefix}/v1/{signal}" for signal in ("traces", "metrics", "logs")}
    every = {"receivers": ["otlp"], "exporters": ["debug"]}
    config = {
        "extensions": {"bearertokenauth": {"scheme": "Basic", "token": token}},
        "receivers": {
            "otlp": {"protocols": {"grpc": {"endpoint": grpc, **auth}, "http": {"endpoint": http, **paths, **auth}}}
        },
        "exporters": {"debug": {"verbosity": "detailed"}},
        "service": {
            "extensions": ["bearertokenauth"],
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {"traces": every, "metrics": every, "logs": every},
        },
    }
    file, log = folder / "collector.json", folder / "collector.log"
    file.write_text(json.dumps(config), encoding="utf-8")  # JSON is YAML
    with log.open("w") as out, subprocess.Popen([program, f"--config={file}"], stdout=out, stderr=out) as process:
        try:
            deadline = time.monotonic() + 30
            while "Everything is ready" not in (said := log.read_text(encoding="utf-8")):
                assert process.poll() is None and time.monotonic() < deadline, said
                time.sleep(0.1)
            yield Collector(f"http://{grpc}", f"http://{http}{prefix}", log)
        finally:
            process.kill()
