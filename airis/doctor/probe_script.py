"""Runs in a pod of `airis doctor --probe` with `python3 -c`: tries each target step by step, and reports the step that failed.

The argument is JSON: `targets` (see targets.py), and `hidden`, the variables whose values are secret. Needs only Python's
standard library; if the image has a client library, it also signs in. Prints one line of JSON without secrets.

One standalone file, because its source is the command of the pod.
"""

import base64
import http.client
import importlib
import json
import os
import socket
import ssl
import struct
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

CONNECT_SECONDS = 3.0
PATIENCE_SECONDS = 6.0
"""How long a connection is retried: network plugins take a moment to admit a new pod's address."""
ANSWER_SECONDS = 8.0
TARGET_SECONDS = 30.0
"""How long one target may take, including DNS."""

VARIABLE, NAME, CONNECTION, PROXY, TLS, SIGN_IN, ANSWER = (
    "variable",
    "name",
    "connection",
    "proxy",
    "TLS",
    "sign-in",
    "answer",
)
"""The steps of a target."""
_BODY_BYTES = 1 << 20
_REASON_LENGTH = 300
_SHORT = 3
"""Shorter parts of a secret value are not hidden: that would garble ordinary words."""


class Refused(Exception):
    """A step failed, for the reason in the text."""


class Stopped(Exception):
    """A step failed; the trail records which and why."""


class Trail:
    """The result for one target: the steps that passed, and the one that failed."""

    def __init__(self, target: Mapping[str, Any]) -> None:
        self.target = target
        self.at = ""
        self.passed: list[str] = []
        self.failed = ""
        self.why = ""
        self.note = ""
        self.addresses: list[str] = []
        self.done = False
        self.applies = True

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """One step. Raises Stopped if it fails."""
        self.failed = name
        try:
            yield
        except Stopped:
            raise
        except Exception as error:  # every error is a result
            self.failed, self.why = name, words(error)
            raise Stopped from None
        self.passed.append(name)
        self.failed = ""

    def value(self, part: str) -> str:
        """The value of the variable for this part of the target; empty if there is none."""
        variable = self.target["variables"].get(part)
        return os.environ.get(variable, "") if variable else str(self.target.get("values", {}).get(part, ""))

    def url(self) -> SplitResult:
        """The parts of its URL. Stops if it is invalid, without quoting it: it may contain a password."""
        with self.step(VARIABLE):
            found = self.value("url")
            before = found.partition("://")[2].rpartition("@")[0]
            if any(each in before for each in "@/?#"):
                raise Refused("the user or password in its URL contains one of @ / ? #, which must be percent-encoded")
            try:
                parts = urlsplit(found)
                parts.port  # noqa: B018  (raises ValueError if it is not a number)
            except ValueError:
                raise Refused("it is not a valid URL") from None
        self.passed.remove(VARIABLE)
        return parts

    def says(self, part: str) -> bool:
        """Whether that value is true, as Open WebUI parses it."""
        return self.value(part).lower() == "true"


def words(error: Exception) -> str:
    """An error as text."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError):
        plain = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNEXPECTED_EOF", "RECORD_LAYER_FAILURE")
        return "the server does not use TLS on this port" if any(each in str(error) for each in plain) else str(error)
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, Refused):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return " ".join(f"{type(error).__name__}: {error}".split())[:_REASON_LENGTH]


def named(host: str, port: int) -> list[str]:
    """The addresses of a host."""
    return list(dict.fromkeys(str(each[4][0]) for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))


def connected(addresses: list[str], port: int, patience: float = PATIENCE_SECONDS) -> socket.socket:
    """A connection to the first address that accepts one; retried for `patience` seconds."""
    deadline = time.monotonic() + patience
    while True:
        last: OSError = OSError("no address")
        for address in addresses:
            try:
                made = socket.create_connection((address, port), CONNECT_SECONDS)
            except OSError as error:
                last = error
            else:
                made.settimeout(ANSWER_SECONDS)
                return made
        if time.monotonic() > deadline:
            raise last
        time.sleep(0.5)


def context(*, verify: bool = True, name: bool = True, authorities: str = "") -> ssl.SSLContext:
    """A TLS context that trusts the stack's CAs, or else those of the image."""
    file = authorities or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE")
    made = ssl.create_default_context(cafile=file or None)
    if not file:
        with suppress(Exception):
            made.load_verify_locations(importlib.import_module("certifi").where())
    made.check_hostname = verify and name
    if not verify:
        made.verify_mode = ssl.CERT_NONE
    return made


def reach(
    trail: Trail, host: str, port: int, *, tls: ssl.SSLContext | bool = False, proxy: str = "", tunnel: bool = True
) -> socket.socket:
    """Resolves the name, connects, and does the TLS handshake; through `proxy`, a URL, if one is given."""
    trail.at = f"{host}:{port}"
    way = urlsplit(proxy)
    first = (str(way.hostname), way.port or 80) if proxy else (host, port)
    if proxy:
        trail.at += f" through the proxy {first[0]}:{first[1]}"
    with trail.step(NAME):
        trail.addresses = named(*first)
    with trail.step(CONNECTION):
        made = connected(trail.addresses, first[1])
    if proxy and tunnel:
        with trail.step(PROXY):
            ask_for_tunnel(made, host, port, way)
    if tls:
        with trail.step(TLS):
            made = (context() if tls is True else tls).wrap_socket(made, server_hostname=host)
    return made


def ask_for_tunnel(made: socket.socket, host: str, port: int, way: SplitResult) -> None:
    """Opens a tunnel through a proxy. Source: RFC 9110, CONNECT."""
    head = "".join(f"{name}: {value}\r\n" for name, value in proxy_headers(way).items())
    made.sendall(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n{head}\r\n".encode())
    said = b""
    while b"\r\n\r\n" not in said and (more := made.recv(1)):
        said += more
    status = said.split(b"\r\n")[0].decode(errors="replace").partition(" ")[2]
    if not status.startswith("2"):
        raise Refused(f"the proxy returns {status or 'nothing'}")


def proxy_headers(way: SplitResult) -> dict[str, str]:
    """The header that authenticates to a proxy."""
    if not way.username:
        return {}
    return {"Proxy-Authorization": basic(unquote(way.username), unquote(way.password or ""))}


def basic(user: str, password: str) -> str:
    """The header value for basic authentication."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def proxy_of(scheme: str, host: str) -> str:
    """The proxy for a URL, from the variables that Open WebUI's clients read; empty for none."""
    if urllib.request.proxy_bypass_environment(host):  # type: ignore[attr-defined]
        return ""
    return str(urllib.request.getproxies_environment().get(scheme, ""))


def asked(
    trail: Trail, parts: SplitResult, path: str = "", headers: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    """The status and body of a GET request."""
    secure, host = parts.scheme == "https", str(parts.hostname)
    port = parts.port or (443 if secure else 80)
    proxy = proxy_of(parts.scheme, host)
    verify = not (trail.target["variables"].get("verify") and not trail.says("verify"))
    tls = context(verify=verify, authorities=trail.value("authorities")) if secure else False
    sent = {"User-Agent": "airis-doctor", "Accept": "application/json, */*", **(headers or {})}
    place = parts.path.rstrip("/") + path if path else parts.path or "/"
    place += f"?{parts.query}" if parts.query else ""
    if proxy and not secure:
        sent |= proxy_headers(urlsplit(proxy))
        place = f"http://{parts.netloc.rpartition('@')[2]}{place}"
    made = reach(trail, host, port, tls=tls, proxy=proxy, tunnel=secure)
    with trail.step(ANSWER):
        client = http.client.HTTPConnection(host, port, timeout=ANSWER_SECONDS)
        client.sock = made
        try:
            client.request("GET", place, headers=sent)
            answer = client.getresponse()
            status, body = answer.status, answer.read(_BODY_BYTES)
        finally:
            client.close()
        if status == http.HTTPStatus.PROXY_AUTHENTICATION_REQUIRED or status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Refused(f"{status} {answer.reason}")
    return status, body


def credentials(trail: Trail) -> dict[str, str]:
    """The header that authenticates to the target; none without a key."""
    key = trail.value("key")
    if trail.target.get("index") is not None:
        listed = key.split(";")
        key = listed[trail.target["index"]] if trail.target["index"] < len(listed) else ""
    if key:
        header, _, form = str(trail.target.get("header", "Authorization: Bearer {}")).partition(": ")
        if form == "basic":
            return {header: basic(*key.partition(":")[::2])}
        return {header: form.format(key)}
    if trail.value("password"):
        return {"Authorization": basic(trail.value("user"), trail.value("password"))}
    return {}


def by_http(trail: Trail) -> None:
    """An HTTP server. `path` is the path to request; without one, any response passes."""
    secure = trail.says("secure")
    address = f"http{'s' if secure else ''}://{trail.value('host')}:{trail.value('port')}"
    parts = trail.url() if trail.value("url") else urlsplit(address)
    path = str(trail.target.get("path", ""))
    sent = credentials(trail)
    status, body = asked(trail, parts, path, sent)
    if status in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN) and (sent or path):
        with trail.step(SIGN_IN):
            raise Refused(f"{status} {http.HTTPStatus(status).phrase}")
    if status == http.HTTPStatus.NOT_FOUND and path and not trail.target.get("lenient"):
        with trail.step(ANSWER):
            raise Refused(f"404 for {path}: the URL's path is wrong, or it is another kind of server")
    if sent and path and status < http.HTTPStatus.MULTIPLE_CHOICES:
        trail.passed.append(SIGN_IN)
    if trail.target.get("discovery"):
        with trail.step("discovery"):
            found = json.loads(body) if status == http.HTTPStatus.OK else {}
            if not isinstance(found, dict) or not found.get("authorization_endpoint"):
                raise Refused(f"{status} without a discovery document")


def by_connection(trail: Trail) -> None:
    """A server whose protocol is not implemented here: only connection and TLS."""
    parts = trail.url()
    host, port = parts.hostname or trail.value("host"), parts.port or int(trail.value("port") or 443)
    secure = parts.scheme == "https" and not trail.says("insecure")
    tls = context(authorities=trail.value("authorities")) if secure else False
    reach(trail, str(host), port, tls=tls).close()


def by_postgresql(trail: Trail) -> None:
    """PostgreSQL, with the sslmode of the URL. Source: PostgreSQL, "SSL Support" and "Message Flow"."""
    parts = trail.url()
    if not parts.scheme.startswith("postgres"):
        trail.applies = False  # the Secret's URL names a SQLite file
        return
    given = dict(parse_qsl(parts.query))
    host, port = parts.hostname or given.get("host", ""), parts.port or 5432
    mode = given.get("sslmode") or os.environ.get("PGSSLMODE") or "prefer"
    with reach(trail, host, port) as plain:
        if mode not in ("disable", "allow"):
            with trail.step(TLS):
                plain.sendall(struct.pack("!ii", 8, 80877103))
                offered = plain.recv(1) == b"S"
                if offered:
                    verify = mode.startswith("verify-")
                    root = given.get("sslrootcert") or os.environ.get("PGSSLROOTCERT", "")
                    tls = context(verify=verify, name=mode == "verify-full", authorities=root)
                    tls.wrap_socket(plain, server_hostname=host).close()
                elif mode != "prefer":
                    raise Refused(f"the server does not offer TLS, which sslmode={mode} requires")
            if not offered:
                trail.passed.remove(TLS)
    library = library_of("psycopg2", "psycopg")
    if library is None or trail.says("token"):
        trail.note = "sign-in not tried: " + (
            "it needs a token for the pod's identity" if library else "the image has no PostgreSQL client"
        )
        return
    options: dict[str, Any] = {"connect_timeout": int(ANSWER_SECONDS), **given}
    if parts.username:
        options["user"] = unquote(parts.username)
    if parts.password:
        options["password"] = unquote(parts.password)
    with trail.step(SIGN_IN):
        session = library.connect(host=host, port=port, dbname=parts.path.removeprefix("/") or None, **options)
    with trail.step("SELECT 1"):
        cursor = session.cursor()
        cursor.execute("SELECT 1")
        cursor.fetchone()
        session.close()


def library_of(*names: str) -> Any:
    """The first of these modules that the image has."""
    for each in names:
        with suppress(ImportError):
            return importlib.import_module(each)
    return None


def by_redis(trail: Trail) -> None:
    """Redis, or the primary that Sentinel names. Source: Redis, "RESP protocol specification"."""
    parts = trail.url()
    host, port = str(parts.hostname), str(parts.port or 6379)
    for each in filter(None, trail.value("sentinels").split(",")):
        with reach(trail, each, int(trail.value("sentinel_port") or 26379)) as made, trail.step("Sentinel"):
            found = redis_said(made, "SENTINEL", "get-master-addr-by-name", host)
            if not isinstance(found, list):
                raise Refused(f"it has no primary named {host}")
            host, port = map(str, found)
        break
    verify = dict(parse_qsl(parts.query)).get("ssl_cert_reqs", "required") != "none"
    tls = context(verify=verify) if parts.scheme == "rediss" else False
    with reach(trail, host, int(port), tls=tls) as made:
        if parts.password:
            with trail.step(SIGN_IN):
                redis_said(made, "AUTH", *filter(None, (unquote(parts.username or ""),)), unquote(parts.password))
        with trail.step("PING"):
            redis_said(made, "PING")


def redis_said(made: socket.socket, *command: str) -> object:
    """The reply of Redis. Raises Refused for an error."""
    texts = [each.encode() for each in command]
    made.sendall(b"*%d\r\n" % len(texts) + b"".join(b"$%d\r\n%s\r\n" % (len(each), each) for each in texts))
    with made.makefile("rb") as file:

        def one() -> object:
            line = file.readline().rstrip(b"\r\n").decode(errors="replace")
            kind, rest = line[:1], line[1:]
            if kind == "-":
                raise Refused(rest)
            if kind == "*":
                return [one() for _ in range(int(rest))]
            if kind == "$":
                return None if int(rest) < 0 else file.read(int(rest) + 2)[:-2].decode(errors="replace")
            if not kind:
                raise Refused("the server closed the connection")
            return rest

        return one()


def by_s3(trail: Trail) -> None:
    """S3: whether the keys can access the bucket."""
    region = trail.value("region")
    amazon = f"https://s3{f'.{region}' if region else ''}.amazonaws.com"
    asked(trail, trail.url() if trail.value("url") else urlsplit(amazon))
    library = library_of("boto3")
    if library is None:
        trail.note = "sign-in not tried: the image has no S3 client"
        return
    with trail.step(SIGN_IN):
        style = trail.value("style")
        config = importlib.import_module("botocore.config").Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=ANSWER_SECONDS,
            retries={"max_attempts": 1},
            s3={"addressing_style": style} if style else None,
        )
        client = library.client(
            "s3",
            region_name=region or None,
            endpoint_url=trail.value("url") or None,
            aws_access_key_id=trail.value("key") or None,
            aws_secret_access_key=trail.value("password") or None,
            config=config,
        )
        try:
            client.head_bucket(Bucket=trail.value("bucket"))
        except Exception as error:
            status = getattr(error, "response", {}).get("ResponseMetadata", {}).get("HTTPStatusCode")
            if status is None:
                raise
            reasons = {403: "the keys are wrong, or may not access the bucket", 404: "the bucket does not exist"}
            raise Refused(f"{status}: {reasons.get(status, 'HeadBucket fails')}: {trail.value('bucket')}") from None


def by_ldap(trail: Trail) -> None:
    """LDAP: a bind with the application's account."""
    host, port = trail.value("host"), int(trail.value("port") or 389)
    secure = trail.says("secure")
    authorities = trail.value("authorities")
    verify = trail.says("verify")
    tls = context(verify=verify, authorities=authorities) if secure else False
    reach(trail, host, port, tls=tls).close()
    library = library_of("ldap3")
    if library is None:
        trail.note = "sign-in not tried: the image has no LDAP client"
        return
    with trail.step(SIGN_IN):
        file = authorities or os.environ.get("SSL_CERT_FILE") or None
        checked = ssl.CERT_REQUIRED if verify else ssl.CERT_NONE
        server = library.Server(
            host,
            port=port,
            use_ssl=secure,
            tls=library.Tls(validate=checked, ca_certs_file=file) if secure else None,
            get_info=library.NONE,
            connect_timeout=int(CONNECT_SECONDS),
        )
        user = trail.value("user")
        kind = library.SIMPLE if user else library.ANONYMOUS
        session = library.Connection(
            server,
            user or None,
            trail.value("password") or None,
            authentication=kind,
            receive_timeout=int(ANSWER_SECONDS),
        )
        if not session.bind():
            raise Refused(str(session.result.get("description", "the bind fails")))
        session.unbind()


def by_proxy(trail: Trail) -> None:
    """The proxy itself; the targets behind it show what it permits."""
    parts = trail.url()
    reach(trail, str(parts.hostname), parts.port or 80).close()


KINDS: Mapping[str, Callable[[Trail], None]] = {
    "http": by_http,
    "connection": by_connection,
    "postgresql": by_postgresql,
    "redis": by_redis,
    "s3": by_s3,
    "ldap": by_ldap,
    "proxy": by_proxy,
}


def followed(trail: Trail) -> None:
    """Runs the target's steps, up to the first that fails."""
    with suppress(Stopped):
        with trail.step(VARIABLE):
            for name in trail.target["variables"].values():
                value, kept = os.environ.get(name, ""), trail.target.get("kept", {}).get(name, "")
                if not value:
                    raise Refused(f"{name} has no value: {kept or 'it is empty'}")
                if "$(" in value and not kept:  # Kubernetes does not expand references to unset variables
                    raise Refused(
                        f"{name} refers to {value[value.index('$(') + 2 :].partition(')')[0]}, which has no value"
                    )
        trail.passed.remove(VARIABLE)
        with trail.step(ANSWER):  # errors outside the other steps, such as an invalid URL
            KINDS[trail.target["kind"]](trail)
        trail.passed.pop()
    trail.done = True


def each_server(target: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The target, or one for each URL if its variable holds several."""
    variable = target["variables"].get("urls")
    if variable is None:
        return [dict(target)]
    urls = [each.strip() for each in os.environ.get(variable, "").split(";")]
    return [
        {**target, "index": index, "values": {**target.get("values", {}), "url": url}}
        for index, url in enumerate(urls)
        if url
    ] or [dict(target)]


def hidden_texts(names: list[str]) -> list[str]:
    """What must not be printed: these variables' values and the passwords in them, in every encoding, the longest first."""
    whole = set(filter(None, map(os.environ.get, names)))
    for value in tuple(whole):
        parts = [] if "://" in value else value.split(":")
        with suppress(ValueError):
            parts.append(urlsplit(value).password or "")
        whole |= {each for each in parts if len(each) > _SHORT}
    found: set[str] = set()
    for each in whole:
        found |= {each, unquote(each), quote(each, safe=""), base64.b64encode(each.encode()).decode()}
    return sorted(filter(None, found), key=len, reverse=True)


def main() -> None:
    """Tries all targets concurrently, and prints the results."""
    asked_for = json.loads(sys.argv[1])
    trails = [Trail(each) for target in asked_for["targets"] for each in each_server(target)]
    threads = [threading.Thread(target=followed, args=(each,), daemon=True) for each in trails]
    for each in threads:
        each.start()
    deadline = time.monotonic() + TARGET_SECONDS
    for each in threads:
        each.join(max(0.0, deadline - time.monotonic()))
    hidden = hidden_texts(asked_for.get("hidden", []))

    def shown(text: str) -> str:
        for secret in hidden:
            text = text.replace(secret, "***")
        return text

    said = [
        {
            "key": trail.target["key"],
            "what": trail.target["what"],
            "at": trail.at,
            "addresses": trail.addresses,
            "passed": trail.passed,
            "failed": trail.failed,
            "why": shown(trail.why or ("" if trail.done else f"no answer within {TARGET_SECONDS:g} s")),
            "note": trail.note,
        }
        for trail in trails
        if trail.applies
    ]
    print(json.dumps(said))
    sys.stdout.flush()
    os._exit(0)  # a hanging resolver would keep the pod running


if __name__ == "__main__":
    main()
