"""Under which URLs people reach the WebUI: said by `airis:webui.url`, or following from the hosts of Ingress and Gateway."""

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
    """A browser's spelling of an origin: lower case, without the usual port. Open WebUI compares letter by letter."""
    allowed = "a URL such as https://chat.example.com, without path and user; Open WebUI serves from / alone"
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
    """A name, or an address: people do reach load balancers by them."""
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
"""Scheme, host and, where it is not the usual one, port: `https://chat.example.com`."""


def origins(url: str | None, ingress: IngressSettings, gateway: GatewaySettings | None) -> tuple[str, ...]:
    """Every URL under which browsers come, as far as it is known; the first is the one for links.

    Where `url` is given, all hosts are taken to be reached the same way: by its scheme and port. A wildcard host is no URL.
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
    """What the ways in need of each other. The keys are those of the whole stack."""
    for key, tls in {
        "ingress.tls": ingress.tls is not None,
        "gateway.tls": gateway is not None and gateway.tls,
    }.items():
        if tls and url is not None and url.startswith("http://"):
            yield Broken("webui.url", url, f"https://, because airis:{key} says so", (key,))
    if url is None:
        if ingress.host is not None and gateway is not None and gateway.tls != (ingress.tls is not None):
            # cookies are either for HTTPS alone or not, and there is one WebUI behind both
            allowed = "the same as the Ingress has: both with TLS or neither; or say by airis:webui.url how people come"
            yield Broken("gateway.tls", gateway.tls, allowed, ("ingress.tls", "ingress.host"))
        if (ingress.host is not None or gateway is not None) and not origins(url, ingress, gateway):
            key, hosts = (
                ("ingress.host", ingress.all_hosts) if ingress.host else ("gateway.hosts", gateway and gateway.hosts)
            )
            allowed = "also a host without *, or set airis:webui.url: links need one name"
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
    """Ways in whose address is not known here: browsers there would wait for answers in vain."""
    if service.type != "ClusterIP" and url is None and not further and origins(url, ingress, gateway):
        yield (
            f"airis:webui.service.type: {service.type} also opens addresses that are not among the origins of the hosts; "
            "Open WebUI refuses their websockets until they are in airis:webui.corsOrigins"
        )
