"""A relay on a local port, in front of a server whose port may change: the URL that `airis open` opens in the browser.

Open WebUI accepts websockets only from the listed origins (python-engineio, async_server.py), and localhost may not be listed.
So the relay replaces its own origin with a listed one. The origins of other pages are left alone, and stay refused.
"""

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from airis.terminal.errors import EnvironmentProblem

_HEAD_BYTES = 64 * 1024
_PIECE_BYTES = 64 * 1024
_HEAD_SECONDS = 120.0
_CONNECT_SECONDS = 10.0
_NAMES = ("localhost", "127.0.0.1")
"""The accepted host names. A request for another name may come from a foreign page (DNS rebinding)."""

_REFUSED = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_AWAY_PAGE = b"<!doctype html><title>Open WebUI</title><p>Open WebUI does not answer at the moment. This page reloads."
_AWAY = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/html; charset=utf-8\r\nRefresh: 2\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(_AWAY_PAGE), _AWAY_PAGE)
)


class Relay(socketserver.ThreadingTCPServer):
    """Forwards HTTP and websockets. `upstream` is the server's port on 127.0.0.1, or None while there is none."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, port: int, origin: str | None) -> None:
        super().__init__(("127.0.0.1", port), _Connection)
        self.port: int = self.server_address[1]
        self.upstream: int | None = None
        self._hosts = tuple(f"{name}:{self.port}".encode() for name in _NAMES)
        self._origin = None if origin is None else origin.encode()

    @property
    def url(self) -> str:
        """The URL of the relay."""
        return f"http://localhost:{self.port}"

    def rewritten(self, head: bytes) -> bytes | None:
        """The head of a request as the server gets it; None if its host name is not accepted.

        A connection serves one request, unless it becomes a websocket: only the first head is rewritten.
        """
        first, *fields = head.split(b"\r\n")
        names = [field.partition(b":")[0].strip().lower() for field in fields]
        values = [field.partition(b":")[2].strip() for field in fields]
        if b"host" in names and values[names.index(b"host")].lower() not in self._hosts:
            return None
        upgrade = b"upgrade" in names
        found = [first]
        for name, value, field in zip(names, values, fields, strict=True):
            if name == b"origin" and self._origin is not None and value.removeprefix(b"http://") in self._hosts:
                found.append(b"Origin: " + self._origin)
            elif name != b"connection" or upgrade:
                found.append(field)
        if not upgrade:
            found.append(b"Connection: close")
        return b"\r\n".join(found)

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignores the error: browsers often close connections early."""


class _Connection(socketserver.BaseRequestHandler):
    """One connection from a browser."""

    server: Relay
    request: socket.socket

    def handle(self) -> None:
        self.request.settimeout(_HEAD_SECONDS)
        head, rest = self._head()
        if not head:
            return
        self.request.settimeout(None)
        rewritten = self.server.rewritten(head)
        if rewritten is None:
            self.request.sendall(_REFUSED)
            return
        try:
            upstream = socket.create_connection(("127.0.0.1", self.server.upstream or 0), _CONNECT_SECONDS)
        except OSError:
            self.request.sendall(_AWAY)
            return
        with upstream:
            upstream.settimeout(None)
            upstream.sendall(rewritten + b"\r\n\r\n" + rest)
            threading.Thread(target=_pass_all_on, args=(self.request, upstream), daemon=True).start()
            if not _pass_on(upstream, self.request):  # the server went away at this moment
                self.request.sendall(_AWAY)

    def _head(self) -> tuple[bytes, bytes]:
        """The head of the first request, and the bytes received after it; empty if no request comes."""
        read = b""
        while b"\r\n\r\n" not in read:
            piece = self.request.recv(_PIECE_BYTES)
            read += piece
            if not piece or len(read) > _HEAD_BYTES:
                return b"", b""
        head, _, rest = read.partition(b"\r\n\r\n")
        return head, rest


def _pass_on(source: socket.socket, target: socket.socket) -> bool:
    """Copies bytes until `source` is closed. Returns whether there were any."""
    came = False
    with suppress(OSError):
        while piece := source.recv(_PIECE_BYTES):
            came = True
            target.sendall(piece)
    return came


def _pass_all_on(source: socket.socket, target: socket.socket) -> None:
    """Copies bytes until `source` is closed, then shuts down the sending side of `target`."""
    _pass_on(source, target)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextmanager
def relay(port: int | None, *, usual: int, origin: str | None) -> Iterator[Relay]:
    """A relay on `port` while the block runs. Without a port: on the usual one, or on any free one if that is taken.

    `origin` replaces the relay's own. Raises EnvironmentProblem if `port` is taken or not permitted.
    """
    try:
        server = _first_free([usual, 0] if port is None else [port], origin)
    except OSError as error:
        raise EnvironmentProblem(
            f"local port {port} cannot be used: {error.strerror}",
            "choose another --port; without --port, a free one is used",
        ) from None
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


def _first_free(ports: list[int], origin: str | None) -> Relay:
    for port in ports[:-1]:
        with suppress(OSError):
            if port and not _is_taken_by_ipv6(port):
                return Relay(port, origin)
    return Relay(ports[-1], origin)


def _is_taken_by_ipv6(port: int) -> bool:
    """Whether something listens there on IPv6, which browsers try first for `localhost`."""
    try:
        socket.create_connection(("::1", port), 1.0).close()
    except OSError:
        return False
    return True
