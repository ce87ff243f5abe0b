"""Queries container registries for an image and its platforms: anonymously, through the environment's proxy.

Sources: OCI distribution specification 1.1 ("Pulling manifests"); OCI image specification 1.1 (image index, manifest,
configuration); distribution/distribution, "Token Authentication Specification". Registries are not trusted: responses are
limited in size, redirects must use HTTPS, and only platforms are printed.
"""

import ipaddress
import json
import os
import re
import socket
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

import requests
import urllib3
from requests.utils import get_environ_proxies, parse_dict_header

from airis.cluster import in_time
from settings.types.images import DOCKER_HUB, located

SECONDS = 12.0
"""Timeout of all queries together."""

_STEP_SECONDS = 5.0
_MOST_BYTES = 4 << 20
"""The manifest size that a registry must accept (OCI distribution specification, "Pushing Manifests")."""
_REDIRECTS = 5
_HUB = "registry-1.docker.io"
_MANIFESTS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
_REFERENCE = re.compile(
    r"(?P<name>[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha(?:256|512):[0-9a-f]{64,128}))?"
)
"""The part of a reference after the registry. Source: github.com/distribution/reference, regexp.go."""
_WORD = re.compile(r"[a-z0-9_.-]{1,32}")
_ENCODED = re.compile(r"sha(?:256|512):[0-9a-f]{64,128}")
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


class Presence(StrEnum):
    """Whether a registry has an image."""

    THERE = "there"
    MISSING = "missing"
    HIDDEN = "hidden"
    """Not visible without credentials. Many registries report missing images like this, too."""
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Answer:
    """The result for one image."""

    presence: Presence
    platforms: tuple[str, ...] = ()
    """The platforms it is built for, such as `linux/arm64`; empty if the manifest does not list them."""
    why: str = ""
    """Why the presence is unknown."""


class _Unknown(Exception):
    """The presence is unknown; the text is the reason, and contains nothing that a registry sent."""


@dataclass(frozen=True)
class _Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes


def look_up(images: Collection[str], seconds: float = SECONDS) -> dict[str, Answer]:
    """Queries all images concurrently. An image whose registry does not answer in time is unknown."""
    known = in_time.answers({each: partial(_ask, each) for each in images}, seconds)
    late = Answer(Presence.UNKNOWN, why=f"its registry did not answer within {seconds:g} s")
    return {each: known.get(each, late) for each in images}


def is_local(image: str) -> bool:
    """Whether the image's registry is at a loopback address."""
    return _is_loopback(located(image)[0])


def _ask(image: str) -> Answer:
    registry, rest = located(image)
    reference = _REFERENCE.fullmatch(rest)
    if reference is None:
        return Answer(Presence.UNKNOWN, why="this is not a valid image reference")
    name, version = reference["name"], reference["digest"] or reference["tag"] or "latest"
    host = _HUB if registry == DOCKER_HUB else registry
    scheme = "http" if _is_loopback(registry) else "https"  # as containerd and Docker do
    try:
        return _Registry(f"{scheme}://{host}", name).image(version)
    except _Unknown as error:
        return Answer(Presence.UNKNOWN, why=f"{host}: {error}")


class _Registry:
    """One repository in a registry."""

    def __init__(self, base: str, name: str) -> None:
        self._base = base
        self._name = name
        self._token = ""

    def image(self, version: str) -> Answer:
        """Whether an image with that tag or digest exists. Raises _Unknown."""
        url = f"{self._base}/v2/{self._name}/manifests/{version}"
        reply = self._get(url, _MANIFESTS)
        if reply.status == requests.codes.unauthorized and self._authorize(reply):
            reply = self._get(url, _MANIFESTS)
        match reply.status:
            case 200:
                return Answer(Presence.THERE, tuple(dict.fromkeys(self._platforms(_json(reply)))))
            case 401 | 403:
                return Answer(Presence.HIDDEN)
            case 404:
                return Answer(Presence.MISSING)
            case status:
                raise _Unknown(_refused(status))

    def _platforms(self, manifest: Mapping[str, Any]) -> Iterator[str]:
        """The platforms of an index's entries, or of a single image's configuration."""
        entries = manifest.get("manifests")
        if isinstance(entries, list):
            for each in entries:
                yield from _platform(each.get("platform") if isinstance(each, dict) else None)
            return
        config = manifest.get("config")
        digest = config.get("digest") if isinstance(config, dict) else None
        if isinstance(digest, str) and _ENCODED.fullmatch(digest):
            reply = self._get(f"{self._base}/v2/{self._name}/blobs/{digest}", "*/*")
            if reply.status == requests.codes.ok:
                yield from _platform(_json(reply))

    def _authorize(self, reply: _Reply) -> bool:
        """Requests an anonymous token; returns whether there is one."""
        scheme, _, rest = reply.headers.get("WWW-Authenticate", "").partition(" ")
        if scheme.lower() != "bearer":
            return False
        challenge = parse_dict_header(rest)
        realm = challenge.pop("realm", None)
        if not realm:
            return False
        wanted = {key: value for key, value in challenge.items() if key in ("service", "scope") and value}
        reply = self._get(f"{realm}{'&' if '?' in realm else '?'}{urlencode(wanted)}", "application/json")
        if reply.status in (requests.codes.unauthorized, requests.codes.forbidden):
            return False
        if reply.status != requests.codes.ok:
            raise _Unknown(f"its token server {_refused(reply.status)}")
        said = _json(reply)
        token = said.get("token") or said.get("access_token")
        if not isinstance(token, str):
            raise _Unknown("its token server returned no token")
        self._token = token
        return True

    def _get(self, url: str, accept: str) -> _Reply:
        """The response, after redirects; the token is only sent to the registry."""
        for _ in range(_REDIRECTS):
            if not self._may_go_to(url):
                raise _Unknown("it redirects to an address that is neither HTTPS nor its own")
            headers = {"Accept": accept, "Accept-Encoding": "identity", "User-Agent": "airis"}
            if self._token and url.startswith(f"{self._base}/"):
                headers["Authorization"] = f"Bearer {self._token}"
            reply = _request(url, headers)
            target = reply.headers.get("Location")
            if reply.status not in (301, 302, 303, 307, 308) or not target:
                return reply
            url = urljoin(url, target)
        raise _Unknown("too many redirects")

    def _may_go_to(self, url: str) -> bool:
        own, there = urlsplit(self._base), urlsplit(url)
        loopback = _is_loopback(there.netloc)
        return (
            there.scheme == "https" if not loopback else _is_loopback(own.netloc) and there.scheme in ("http", "https")
        )


def _request(url: str, headers: Mapping[str, str]) -> _Reply:
    session = requests.Session()
    session.trust_env = False  # it would send passwords from ~/.netrc
    session.proxies = {} if _is_loopback(urlsplit(url).netloc) else get_environ_proxies(url)
    session.verify = _authorities()
    try:
        with session.get(url, headers=headers, timeout=_STEP_SECONDS, allow_redirects=False, stream=True) as answer:
            body = answer.raw.read(_MOST_BYTES + 1)
            if len(body) > _MOST_BYTES:
                raise _Unknown(f"its response is larger than {_MOST_BYTES >> 20} MiB")
            return _Reply(answer.status_code, answer.headers, body)
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        raise _Unknown(_words(error)) from None


def _authorities() -> str | bool:
    """The CA bundle that the environment names; True for the default of `requests`."""
    for variable in _CA_VARIABLES:
        if path := os.environ.get(variable):
            if not Path(path).exists():
                raise _Unknown(f"{variable} names a file that does not exist")
            return path
    return True


_CAUSES: tuple[tuple[type[BaseException], str], ...] = (
    (requests.exceptions.ProxyError, "the environment's proxy does not reach it"),
    (socket.gaierror, "its name does not resolve on this machine"),
    (requests.exceptions.SSLError, "this machine does not trust its certificate, or it does not use TLS"),
    (urllib3.exceptions.NewConnectionError, "this machine cannot connect to it"),
    (requests.exceptions.Timeout, "it does not answer in time"),
    (urllib3.exceptions.TimeoutError, "it does not answer in time"),
    (requests.exceptions.ConnectionError, "this machine cannot connect to it"),
)


def _words(error: BaseException) -> str:
    """A fixed description of an error: its text may contain a URL with a password."""
    causes = list(_chain(error, set()))
    return next(
        (words for kind, words in _CAUSES if any(isinstance(each, kind) for each in causes)), "it does not answer"
    )


def _chain(error: object, seen: set[int]) -> Iterator[BaseException]:
    if isinstance(error, BaseException) and id(error) not in seen:
        seen.add(id(error))
        yield error
        for each in (*error.args, error.__cause__, error.__context__, getattr(error, "reason", None)):
            yield from _chain(each, seen)


def _json(reply: _Reply) -> Mapping[str, Any]:
    try:
        found = json.loads(reply.body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise _Unknown("its response is not a JSON object")
    return found


def _platform(said: object) -> Iterator[str]:
    """The platform of an index entry or configuration; none for attestations, whose platform is `unknown/unknown`."""
    if isinstance(said, dict):
        parts = [str(said.get(each, "")) for each in ("os", "architecture")]
        if all(_WORD.fullmatch(each) for each in parts) and "unknown" not in parts:
            yield "/".join(parts)


def _refused(status: int) -> str:
    if status == requests.codes.too_many_requests:
        return "limits the request rate (429)"
    return f"returns status {status}"


def _is_loopback(netloc: str) -> bool:
    host = urlsplit(f"//{netloc}").hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
