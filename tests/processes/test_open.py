"""`airis open`: a connection to Open WebUI that survives the replacement of pods. A fake kubectl serves HTTP."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from airis.deploy import open_webui as opening
from airis.deploy.relay import Relay, relay
from airis.terminal.errors import EnvironmentProblem
from tests.unit.conftest import Command
from tests.unit.drawing import ROOT

pytestmark = pytest.mark.timeout(60)

KUBECONFIG = """
contexts: [{name: home, context: {cluster: home, user: me}}]
clusters: [{name: home, cluster: {server: "https://home.example.com:6443"}}]
current-context: home
"""

KUBECTL = '''#!{python}
"""A fake kubectl with the commands that `airis open` needs. Its answers are in files in the same folder."""
import http.server, json, os, pathlib, sys, threading, time

place, words = pathlib.Path(__file__).parent, sys.argv[1:]
with (place / "log").open("a") as log:
    print(os.getpid(), *words, file=log, flush=True)
if "port-forward" in words:
    if (place / "refusal").exists():
        sys.exit((place / "refusal").read_text())

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps({{"kubectl": os.getpid(), "path": self.path, **dict(self.headers)}}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            print("Handling connection", flush=True)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"Forwarding from 127.0.0.1:{{server.server_address[1]}} -> 8080", flush=True)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    while not (place / "lost").exists():
        time.sleep(0.02)
    (place / "lost").unlink()
    sys.exit("error: lost connection to pod")
for kind in ("namespace", "deployment", "pods"):
    if kind in words:
        print((place / kind).read_text())
'''


def pod(*, ready: bool, waiting: str = "") -> dict[str, Any]:
    container = {"name": "airis", "state": {"waiting": {"reason": waiting}} if waiting else {"running": {}}}
    conditions = [{"type": "Ready", "status": str(ready)}, {"type": "PodScheduled", "status": "True"}]
    return {
        "kind": "Pod",
        "metadata": {"name": "airis-1", "namespace": "airis"},
        "spec": {"nodeName": "node"},
        "status": {"conditions": conditions, "containerStatuses": [container]},
    }


class World:
    """A cluster that consists of the answers of its fake kubectl."""

    def __init__(self, place: Path, project: Path) -> None:
        self.place = place
        self.project = project
        program = place / "kubectl"
        program.write_text(KUBECTL.format(python=sys.executable))
        program.chmod(0o755)
        (place / "kubeconfig").write_text(KUBECONFIG)
        self.answer("namespace", {"kind": "Namespace", "metadata": {"uid": "3b0a1f52-3df2-4ab6-8ae4-3a3b0a3c2f10"}})
        self.answer("deployment", {"kind": "Deployment", "metadata": {}, "spec": {"replicas": 1}})
        self.answer("pods", pod(ready=True))

    def answer(self, kind: str, body: object) -> None:
        """Sets the answer of `kubectl get`."""
        draft = self.place / f"{kind}.draft"
        draft.write_text(json.dumps(body) if body else "")
        draft.rename(self.place / kind)

    def calls(self, word: str) -> list[str]:
        """The calls of kubectl that contain this word."""
        log = self.place / "log"
        return [line for line in log.read_text().splitlines() if word in line] if log.exists() else []

    def living(self) -> list[int]:
        """The process ids of the running port-forwards."""
        return [pid for pid in (int(line.split()[0]) for line in self.calls("port-forward")) if _lives(pid)]

    @contextmanager
    def opened(self, *args: str) -> Iterator["Opened"]:
        """`airis open` in a separate process, which is killed afterwards."""
        environment = {
            **os.environ,
            "PATH": f"{self.place}:{os.environ['PATH']}",
            "KUBECONFIG": str(self.place / "kubeconfig"),
            "PYTHONPATH": str(ROOT),
        }
        with subprocess.Popen(
            [sys.executable, "-m", "airis.cli.main", "open", "--stack", "cpu", "--no-browser", *args],
            cwd=self.project,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield Opened(process)
            finally:
                process.kill()


class Opened:
    """A running `airis open`."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        assert process.stdout is not None
        self.line = process.stdout.readline()
        self.port = int(self.line.partition("http://localhost:")[2].split()[0])

    def get(self, **headers: str) -> dict[str, str] | None:
        """The headers that the server received; None if there is no server."""
        connection = http.client.HTTPConnection("localhost", self.port, timeout=20)
        connection.request("GET", "/api", headers=headers)
        answer = connection.getresponse()
        text = answer.read()
        return None if answer.status == 503 else dict(json.loads(text))

    def end(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        """Sends a signal; returns the exit code and stderr."""
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=20)
        return self.process.returncode, err


@pytest.fixture
def world(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    place = tmp_path / "bin"
    place.mkdir()
    monkeypatch.setenv("PATH", str(place), prepend=":")
    monkeypatch.setenv("KUBECONFIG", str(place / "kubeconfig"))
    return World(place, project)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_open_serves_until_a_signal_and_leaves_no_process(world: World, number: signal.Signals) -> None:
    with world.opened("--port", str(free_port())) as opened:
        assert "Open WebUI of stack cpu" in opened.line
        own = f"http://localhost:{opened.port}"
        found = opened.get(Origin=own)
        assert found is not None
        assert found["Origin"] == "http://airis.minikube.local"  # the stack's own host, whose websockets are taken
        assert found["path"] == "/api"
        other = opened.get(Origin="https://evil.example.com")
        assert other is not None
        assert other["Origin"] == "https://evil.example.com"
        assert len(world.living()) == 1
        code, err = opened.end(number)
    assert code == 0
    assert "Closed." in err
    assert "Traceback" not in err
    assert world.living() == []
    (call,) = world.calls("port-forward")
    assert "--namespace=airis" in call
    assert "--address=127.0.0.1" in call
    assert call.endswith("service/airis-service :8080")


def test_open_reconnects_to_a_new_pod(world: World) -> None:
    with world.opened("--port", str(free_port())) as opened:
        before = opened.get()
        world.answer("pods", pod(ready=False))
        (world.place / "lost").touch()
        until(lambda: opened.get() is None)
        looked = len(world.calls("get pods"))
        until(lambda: len(world.calls("get pods")) > looked + 1)
        world.answer("pods", pod(ready=True))
        until(lambda: opened.get() is not None)
        after = opened.get()
        assert before is not None
        assert after is not None
        assert before["kubectl"] != after["kubectl"]
        code, err = opened.end()
    assert code == 0
    assert "has no ready pod yet" in err
    assert "Open WebUI answers again." in err
    assert world.living() == []


def test_open_ends_when_the_deployment_is_deleted(world: World) -> None:
    with world.opened("--port", str(free_port())) as opened:
        world.answer("deployment", None)
        (world.place / "lost").touch()
        _, err = opened.process.communicate(timeout=20)
        assert opened.process.returncode == 1
    assert "stack cpu is not deployed" in err


@pytest.mark.parametrize(
    ("kind", "body", "code", "said"),
    [
        ("deployment", None, 1, "stack cpu is not deployed: namespace airis has no Deployment airis-deployment"),
        ("pods", pod(ready=False, waiting="ImagePullBackOff"), 3, "Pod/airis-1 does not start: ImagePullBackOff"),
        ("pods", pod(ready=False), 3, "Deployment airis-deployment has no ready pod yet"),
        ("pods", None, 3, "Deployment airis-deployment has no ready pod yet"),
    ],
)
def test_what_cannot_be_opened_is_reported(
    world: World, command: Command, *, kind: str, body: object, code: int, said: str
) -> None:
    world.answer(kind, body)
    ended, out, err = command("open", "--stack", "cpu", "--timeout", "1", "--no-browser")
    assert (ended, out) == (code, "")
    assert said in err
    assert world.calls("port-forward") == []


def test_a_stack_scaled_to_zero_cannot_be_opened(world: World, command: Command) -> None:
    world.answer("deployment", {"kind": "Deployment", "metadata": {}, "spec": {"replicas": 0}})
    world.answer("pods", None)
    ended, _, err = command("open", "--stack", "cpu")
    assert ended == 1
    assert "Open WebUI of stack cpu is scaled to zero" in err


def test_an_error_of_kubectl_is_printed(world: World, command: Command) -> None:
    (world.place / "refusal").write_text(
        'error: pods "airis-1" is forbidden: cannot create resource "pods/portforward"'
    )
    ended, out, err = command("open", "--stack", "cpu", "--port", str(free_port()))
    assert (ended, out) == (3, "")
    assert 'cannot create resource "pods/portforward"' in err


def test_a_taken_port_is_refused_or_avoided(world: World, command: Command) -> None:
    with listening() as port:
        ended, out, err = command("open", "--stack", "cpu", "--port", str(port))
        assert (ended, out) == (4, "")
        assert f"local port {port} cannot be used: Address already in use" in err
        with relay(None, usual=port, origin=None) as front:
            assert front.port != port
    with relay(None, usual=port, origin=None) as front:
        assert front.port == port
    with pytest.raises(EnvironmentProblem), relay(port, usual=port, origin=None), relay(port, usual=port, origin=None):
        pass


def test_a_port_taken_only_on_ipv6_is_avoided() -> None:
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError as error:
        pytest.skip(f"no IPv6 on this machine: {error}")
    with server:
        port = server.getsockname()[1]
        with relay(None, usual=port, origin=None) as front:
            assert front.port != port


@pytest.mark.parametrize(
    ("display", "wanted", "opened"), [("DISPLAY", True, 1), ("BROWSER", True, 1), ("", True, 0), ("DISPLAY", False, 0)]
)
def test_the_browser_is_opened_once_if_there_is_one(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], *, display: str, wanted: bool, opened: int
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("webbrowser.open", shown.append)
    for each in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(each, raising=False)
    if display:
        monkeypatch.setenv(display, "x")
    site: Any = type("Site", (), {"stack": "cpu"})()
    with relay(None, usual=free_port(), origin=None) as front:
        session = opening._Session(site, front, browser=wanted)
        session._open()
        session._open()
    assert shown == [front.url] * opened
    assert capfd.readouterr().out.count(front.url) == 1


# --- the relay


@pytest.fixture
def front() -> Iterator[Relay]:
    with relay(None, usual=free_port(), origin="https://chat.example.com") as found:
        yield found


def free_port() -> int:
    with listening() as port:
        return port


@contextmanager
def listening() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_request_heads_are_rewritten_and_foreign_hosts_refused(front: Relay) -> None:
    here = f"localhost:{front.port}".encode()
    lines = b"GET / HTTP/1.1\r\nHost: %s\r\nConnection: keep-alive\r\nOrigin: http://%s\r\nX: y"
    assert front.rewritten(lines % (here, here)) == (
        b"GET / HTTP/1.1\r\nHost: %s\r\nOrigin: https://chat.example.com\r\nX: y\r\nConnection: close" % here
    )
    upgrade = b"GET / HTTP/1.1\r\nhost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket" % here
    assert front.rewritten(upgrade) == upgrade
    foreign = b"GET / HTTP/1.1\r\nHost: %s\r\nOrigin: https://%s\r\nConnection: close" % (here, here)
    assert front.rewritten(foreign) == foreign  # https is not what the relay speaks
    for host in (
        b"evil.example.com",
        b"localhost",
        b"localhost:%d" % (front.port + 1),
        b"evil.example.com:%d" % front.port,
    ):
        assert front.rewritten(b"GET / HTTP/1.1\r\nHost: %s" % host) is None


def test_without_listed_origins_the_origin_is_not_replaced() -> None:
    with relay(None, usual=free_port(), origin=None) as front:
        head = b"GET / HTTP/1.1\r\nOrigin: http://localhost:%d\r\nConnection: close" % front.port
        assert front.rewritten(head) == head


def test_the_origin_comes_from_the_stack() -> None:
    def deployment(env: list[dict[str, str]]) -> dict[str, Any]:
        pods = {"spec": {"containers": [{"name": "sidecar"}, {"name": "airis", "env": env}]}}
        return {"metadata": {"labels": {"app": "airis"}}, "spec": {"template": pods}}

    listed = {"name": "CORS_ALLOW_ORIGIN", "value": "https://a.example.com;http://localhost:8080"}
    assert opening._origin(deployment([listed])) == "https://a.example.com"
    assert opening._origin(deployment([])) is None


def test_no_upstream_is_503_and_a_foreign_host_403(front: Relay) -> None:
    assert answer(front, b"GET / HTTP/1.1\r\nHost: evil.example.com\r\n\r\n").startswith(b"HTTP/1.1 403 ")
    asked = b"GET / HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % front.port
    assert answer(front, asked).startswith(b"HTTP/1.1 503 ")
    front.upstream = free_port()
    assert b"Refresh: 2\r\n" in answer(front, asked)
    assert answer(front, b"\r" * 70_000) == b""


def answer(front: Relay, asked: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", front.port), 10) as client:
        client.sendall(asked)
        client.shutdown(socket.SHUT_WR)
        found = b""
        try:
            while piece := client.recv(4096):
                found += piece
        except ConnectionResetError:
            pass
        return found


def test_a_server_that_closes_the_connection_is_503(front: Relay) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        front.upstream = server.getsockname()[1]

        def hang_up() -> None:
            connection, _ = server.accept()
            connection.recv(4096)
            connection.close()

        threading.Thread(target=hang_up, daemon=True).start()
        asked = b"GET / HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % front.port
        assert answer(front, asked).startswith(b"HTTP/1.1 503 ")


def test_a_websocket_passes_in_both_directions(front: Relay) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        front.upstream = server.getsockname()[1]

        def echo() -> None:
            connection, _ = server.accept()
            with connection:
                while piece := connection.recv(4096):
                    connection.sendall(piece)

        threading.Thread(target=echo, daemon=True).start()
        with socket.create_connection(("127.0.0.1", front.port), 10) as client:
            head = (
                b"GET /ws HTTP/1.1\r\nHost: localhost:%d\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
                % front.port
            )
            client.sendall(head + b"first")
            wanted = head + b"first"
            for further in (b"second", b"third" * 100_000):
                found = read(client, len(wanted))
                assert found == wanted
                client.sendall(further)
                wanted = further
            assert read(client, len(wanted)) == wanted


def read(client: socket.socket, length: int) -> bytes:
    found = b""
    while len(found) < length:
        found += client.recv(65536)
    return found
