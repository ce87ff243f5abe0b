"""Misbehaving registries: nothing hangs, no secret is sent or printed, and the result is unknown."""

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from airis.doctor import registry
from airis.doctor.registry import Answer, Presence, is_local, look_up

pytestmark = pytest.mark.timeout(60)

Serve = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def serving(answer: Serve) -> Iterator[tuple[str, list[BaseHTTPRequestHandler]]]:
    """A server on loopback; yields its address and its requests."""
    asked: list[BaseHTTPRequestHandler] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self)
            answer(self)

        def log_message(self, *args: object) -> None:
            """Logs nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def reply(status: int, body: object = None, **headers: str) -> Serve:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(sent)))
        handler.end_headers()
        handler.wfile.write(sent)

    return answer


def asked(image: str, seconds: float = registry.SECONDS) -> Answer:
    return look_up([image], seconds)[image]


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(1000):
        handler.wfile.write(b" " * (1 << 20))


def trickle(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b" ")
        time.sleep(0.1)


def around(handler: BaseHTTPRequestHandler) -> None:
    reply(302, Location=handler.path)(handler)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (endless, "its response is larger than 4 MiB"),
        (trickle, "did not answer within 1 s"),
        (around, "too many redirects"),
        (reply(302, Location="file:///etc/passwd"), "neither HTTPS nor its own"),
        (reply(302, Location="http://registry.example.com/"), "neither HTTPS nor its own"),
        (reply(401, WWW_Authenticate='Bearer realm="file:///etc/passwd"'), "neither HTTPS nor its own"),
        (reply(401, WWW_Authenticate='Bearer realm="gopher://x"'), "neither HTTPS nor its own"),
        (reply(200, b"<html>"), "its response is not a JSON object"),
        (reply(200, b"[" * 100_000), "its response is not a JSON object"),
        (reply(200, []), "its response is not a JSON object"),
        (reply(429), "limits the request rate (429)"),
        (reply(500), "returns status 500"),
        (reply(200, gzip.compress(bytes(1 << 24)), Content_Encoding="gzip"), "its response is not a JSON object"),
    ],
)
def test_an_invalid_response_is_unknown(answer: Serve, why: str) -> None:
    begun = time.monotonic()
    with serving(answer) as (address, _):
        found = asked(f"{address}/a/b:1", 1.0)

    assert time.monotonic() - begun < 10
    assert found.presence is Presence.UNKNOWN
    assert why in found.why


def test_a_closed_port_is_unknown() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        found = asked(f"127.0.0.1:{unused.getsockname()[1]}/a/b:1")

    assert found.presence is Presence.UNKNOWN
    assert "this machine cannot connect to it" in found.why


def test_an_unresolvable_registry_is_unknown() -> None:
    found = asked("registry.invalid/a/b:1")

    assert found.presence is Presence.UNKNOWN
    assert found.why.startswith("registry.invalid: ")


@pytest.mark.parametrize(
    "image", ["", "UPPER/case", "host.example.com/", "a/b:1?x", "a/../b", "a/b@sha256:short", "a b"]
)
def test_an_invalid_image_name_is_not_looked_up(image: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_request", lambda *args: pytest.fail("it was asked for"))

    assert asked(image) == Answer(Presence.UNKNOWN, why="this is not a valid image reference")


@pytest.mark.parametrize(
    ("manifest", "platforms"),
    [
        (
            {"manifests": [{"platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}}] * 2},
            ("linux/arm64",),
        ),
        ({"manifests": [{"platform": {"os": "linux", "architecture": "\x1b[2J"}}]}, ()),
        ({"manifests": [{"platform": "linux"}, "x", None, {"platform": {"os": 1}}]}, ()),
        ({"manifests": "many"}, ()),
        ({"config": {"digest": "../../../secret"}}, ()),
        ({"config": "x"}, ()),
        ({}, ()),
    ],
)
def test_only_platforms_are_taken_from_a_registry(manifest: Mapping[str, object], platforms: tuple[str, ...]) -> None:
    with serving(reply(200, manifest)) as (address, _):
        assert asked(f"{address}/a/b:1") == Answer(Presence.THERE, platforms)


def test_a_registry_that_wants_a_password_gets_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("default login jane password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    with serving(reply(401, WWW_Authenticate='Basic realm="x"')) as (address, handlers):
        found = asked(f"{address}/a/b:1")

    assert found == Answer(Presence.HIDDEN)
    assert [each.headers["Authorization"] for each in handlers] == [None]


def test_a_token_is_only_sent_to_the_registry() -> None:
    with serving(reply(404)) as (elsewhere, strangers):

        def answer(handler: BaseHTTPRequestHandler) -> None:
            if handler.path.startswith("/token"):
                reply(200, {"access_token": "t0ken"})(handler)
            elif handler.headers["Authorization"] is None:
                reply(401, WWW_Authenticate=f'Bearer realm="http://{handler.headers["Host"]}/token?a=b",scope="x"')(
                    handler
                )
            else:
                reply(307, Location=f"http://{elsewhere}/manifest")(handler)

        with serving(answer) as (address, own):
            found = asked(f"{address}/a/b:1")

    assert found == Answer(Presence.MISSING)
    assert [each.path for each in own] == ["/v2/a/b/manifests/1", "/token?a=b&scope=x", "/v2/a/b/manifests/1"]
    assert own[-1].headers["Authorization"] == "Bearer t0ken"
    assert [(each.path, each.headers["Authorization"]) for each in strangers] == [("/manifest", None)]


def test_the_proxys_password_is_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HTTPS_PROXY", f"http://jane:s3cret@127.0.0.1:{unused.getsockname()[1]}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        found = asked("registry.example.com/a/b:1")

    assert found.why == "registry.example.com: the environment's proxy does not reach it"


def test_images_are_looked_up_concurrently() -> None:
    def slow(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(0.5)
        reply(404)(handler)

    with serving(slow) as (address, _):
        begun = time.monotonic()
        found = look_up([f"{address}/a/b:{tag}" for tag in range(8)])

    assert {each.presence for each in found.values()} == {Presence.MISSING}
    assert time.monotonic() - begun < 3


@pytest.mark.parametrize(
    ("image", "local"),
    [
        ("localhost/a:1", True),
        ("localhost:5001/a:1", True),
        ("127.0.0.1:5000/a:1", True),
        ("registry.localhost:5000/a:1", True),
        ("[::1]:5000/a:1", True),
        ("ghcr.io/a/b:1", False),
        ("redis", False),
    ],
)
def test_loopback_registries_are_local(image: str, local: bool) -> None:
    assert is_local(image) is local
