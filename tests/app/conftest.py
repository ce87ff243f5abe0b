"""Fixtures: the installed application, what the cpu stack renders, a network, and a stand-in for Ollama."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import pytest

from airis import program
from airis.program import Rendering
from airis.stacks import read_stack
from tests.app import environment, network, webui
from tests.app.pod import Pod, Running, run
from tests.unit import drawing

FIGURES: list[str] = []
"""What the tests measured, for the summary."""

ANSWERS: Mapping[str, object] = {
    "/api/version": {"version": "0.0.0-stand-in"},
    "/api/tags": {"models": [{"name": "stand-in:1b", "model": "stand-in:1b"}]},
    "/api/ps": {"models": []},
}
"""What Ollama's stand-in says."""

Start = Callable[[Pod], AbstractContextManager[Running]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips all of them, in one line, where they cannot run."""
    here = [item for item in items if item.path.is_relative_to(Path(__file__).parent)]
    if here and (reason := environment.obstacle()):
        for item in here:
            item.add_marker(pytest.mark.skip(reason=f"THE REAL APPLICATION WAS NOT STARTED: {reason}"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if FIGURES:
        terminalreporter.section("measured")
        for line in FIGURES:
            terminalreporter.write_line(line)


@pytest.fixture(scope="package")
def installed() -> environment.Environment:
    """Open WebUI; the first run installs it."""
    return environment.ensure()


@pytest.fixture(scope="package")
def rendering(installed: environment.Environment) -> Rendering:
    """The cpu stack, with a session key as the first `up` generates it."""
    return program.run(read_stack("cpu", drawing.ROOT), generate_secrets=True)


@dataclass
class StandIn:
    """A small server in Ollama's place."""

    url: str
    """Where the rendering says that Ollama is."""
    asked: list[str] = field(default_factory=list)
    """The paths that were asked for."""


@pytest.fixture(scope="package")
def ollama(installed: environment.Environment, rendering: Rendering) -> Iterator[StandIn]:
    """Ollama's stand-in, in the network that the pods will have too."""
    url = drawing.env(drawing.manifest(rendering, "Deployment", "airis-deployment"))["OLLAMA_BASE_URL"]
    stand_in = StandIn(url)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            stand_in.asked.append(self.path)
            answer = json.dumps(ANSWERS.get(self.path, {})).encode()
            self.send_response(200 if self.path in ANSWERS else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    with network.isolated():
        server = ThreadingHTTPServer(("127.0.0.1", urlsplit(url).port or 80), Handler)
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield stand_in
        finally:
            server.shutdown()
            server.server_close()


@pytest.fixture(scope="package")
def start(installed: environment.Environment, ollama: StandIn, tmp_path_factory: pytest.TempPathFactory) -> Start:
    """Runs a pod with Open WebUI's image; the cluster's name for Ollama leads to the stand-in."""
    folder = tmp_path_factory.mktemp("runs")
    number = count(1)
    hosts = {"localhost": "127.0.0.1", str(urlsplit(ollama.url).hostname): "127.0.0.1"}
    return lambda pod: run(pod, webui.image(installed), hosts, folder / str(next(number)))
