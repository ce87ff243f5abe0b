"""The public URLs of the WebUI: `airis:webui.url`, or derived from the hosts of Ingress and Gateway."""

import ipaddress
import re
from collections.abc import Iterator
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator

from settings.exposure.gateway import GatewaySettings
from settings.exposure.ingress import IngressSettings
from settings.exposure.service import ServiceSettings
from settings.types.base import Broken

_USUAL_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?")


def _origin(given: str) -> str:
    """An origin as browsers write it: lower case, without the default port. Open WebUI compares it exactly."""
    allowed = "a URL such as https://chat.example.com, without path and user: Open WebUI serves only from /"
    try:
        parts = urlsplit(given)
        port = parts.port
    except ValueError:
        raise ValueError(allowed) from None
    host = parts.hostname or ""
    extra = parts.path.strip("/") or "@" in parts.netloc or any(each in given for each in "?# \t\r\n")
    if parts.scheme not in _USUAL_PORTS or port == 0 or extra or not _is_host(host):
        raise ValueError(allowed)
    bracketed = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{bracketed}{_port_of(parts)}"


def _is_host(given: str) -> bool:
    """Whether this is a host name or an IP address: load balancers may have only an address."""
    if ":" not in given:
        return _HOST.fullmatch(given) is not None
    try:
        ipaddress.IPv6Address(given)
    except ValueError:
        return False
    return True


def _port_of(parts: SplitResult) -> str:
    return "" if parts.port in (None, _USUAL_PORTS[parts.scheme]) else f":{parts.port}"


Origin = Annotated[str, AfterValidator(_origin)]
"""Scheme, host and, if it is not the default, port: `https://chat.example.com`."""


def origins(url: str | None, ingress: IngressSettings, gateway: GatewaySettings | None) -> tuple[str, ...]:
    """Every public URL that is known; the first one is for links.

    With `url`, all hosts are assumed to have its scheme and port. Wildcard hosts yield no URL.
    """
    given = None if url is None else urlsplit(url)
    ways = [(ingress.all_hosts, ingress.tls is not None)]
    if gateway is not None:
        ways.append((gateway.hosts, gateway.tls))
    found = [] if url is None else [url]
    for hosts, tls in ways:
        scheme = given.scheme if given else "https" if tls else "http"
        port = _port_of(given) if given else ""
        found += [f"{scheme}://{host}{port}" for host in hosts if not host.startswith("*")]
    return tuple(dict.fromkeys(found))


def exposure_rules(
    url: str | None, service: ServiceSettings, ingress: IngressSettings, gateway: GatewaySettings | None
) -> Iterator[Broken]:
    """Rules between URL, Service, Ingress and Gateway. The keys are those of the whole stack."""
    for key, tls in {
        "ingress.tls": ingress.tls is not None,
        "gateway.tls": gateway is not None and gateway.tls,
    }.items():
        if tls and url is not None and url.startswith("http://"):
            yield Broken("webui.url", url, f"https://, because airis:{key} is set", (key,))
    if url is None:
        if ingress.host is not None and gateway is not None and gateway.tls != (ingress.tls is not None):
            # cookies are either HTTPS-only or not, and both lead to the same WebUI
            allowed = "the same as for the Ingress: both with TLS, or neither; or set airis:webui.url"
            yield Broken("gateway.tls", gateway.tls, allowed, ("ingress.tls", "ingress.host"))
        if (ingress.host is not None or gateway is not None) and not origins(url, ingress, gateway):
            key, hosts = (
                ("ingress.host", ingress.all_hosts) if ingress.host else ("gateway.hosts", gateway and gateway.hosts)
            )
            allowed = "also a host without *, or set airis:webui.url: links need a host name"
            yield Broken(key, hosts and hosts[0], allowed, ("ingress.hosts", "gateway.hosts"))
    for key in sorted(service.annotations.keys() & ingress.managed_annotations[1]):
        allowed = f"no {key}: airis:ingress.controller sets it"
        yield Broken("webui.service.annotations", key, allowed, ("ingress.controller", "ingress.host"))


def exposure_warnings(
    url: str | None,
    further: tuple[str, ...],
    service: ServiceSettings,
    ingress: IngressSettings,
    gateway: GatewaySettings | None,
) -> Iterator[str]:
    """Addresses that are unknown here, at which browsers would wait for answers in vain."""
    if service.type != "ClusterIP" and url is None and not further and origins(url, ingress, gateway):
        yield (
            f"airis:webui.service.type: {service.type} also exposes addresses that are not among the allowed origins; "
            "Open WebUI refuses their websockets unless they are in airis:webui.corsOrigins"
        )
