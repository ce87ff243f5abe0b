"""A proxy to the API server that can drop a response: the object is created, but the client does not learn of it."""

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from airis.rehearse.sandbox import Sandbox

_CHUNK = 65536


@dataclass
class Way:
    """The state of the proxy."""

    kubeconfig: Path
    """The kubeconfig for the proxy, without credentials."""
    losing: str = ""
    """The path whose next POST gets no response."""
    lost: list[str] = field(default_factory=list)
    """The paths whose response was dropped."""

    def loses(self, method: str, path: str) -> bool:
        """Whether to drop the response to this request: the first time only."""
        if method != "POST" or path.partition("?")[0] != self.losing or "dryRun" in path:
            return False
        self.losing = ""
        self.lost.append(path)
        return True


@contextmanager
def way_to(sandbox: Sandbox, folder: Path) -> Iterator[Way]:
    """Starts the proxy in front of a `kubectl proxy`, which has the credentials."""
    kubectl = [str(sandbox.kubectl.binary), f"--kubeconfig={sandbox.kubeconfig}", "proxy", "--port=0"]
    with subprocess.Popen(kubectl, stdout=subprocess.PIPE, text=True) as proxy:
        try:
            assert proxy.stdout is not None
            port = int(proxy.stdout.readline().rpartition(":")[2])
            way = Way(folder / "kubeconfig")
            with ThreadingHTTPServer(("127.0.0.1", 0), _handler(way, port)) as server:
                way.kubeconfig.write_text(_kubeconfig(f"http://127.0.0.1:{server.server_port}"))
                threading.Thread(target=server.serve_forever, daemon=True).start()
                yield way
                server.shutdown()
        finally:
            proxy.kill()


def _handler(way: Way, port: int) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Handles one request per connection, and streams the response to its end."""

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {**dict(self.headers.items()), "Connection": "close", "Host": f"127.0.0.1:{port}"}
            head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            self.close_connection = True
            with socket.create_connection(("127.0.0.1", port)) as there, suppress(ConnectionError):
                there.sendall(f"{self.command} {self.path} HTTP/1.1\r\n{head}\r\n".encode() + body)
                lost = way.loses(self.command, self.path)
                while part := there.recv(_CHUNK):
                    if lost:
                        return
                    self.wfile.write(part)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

        def log_message(self, format: str, *args: Any) -> None:
            """Logs nothing."""

    return Handler


def _kubeconfig(server: str) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "way", "cluster": {"server": server}}],
            "users": [{"name": "way", "user": {}}],
            "contexts": [{"name": "way", "context": {"cluster": "way", "user": "way"}}],
            "current-context": "way",
        }
    )
