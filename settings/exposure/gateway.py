"""Settings of the HTTPRoute (Gateway API)."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field, StrictBool, StrictInt

from settings.types.base import Broken, Settings
from settings.types.names import AnnotationMapping, Dns1123Label, Dns1123Subdomain, Host

Seconds = Annotated[StrictInt, Field(ge=0, le=99_999)]
"""Seconds of a Gateway API duration, which has at most five digits. Source: Gateway API, GEP-2257."""


class ParentRefSettings(Settings):
    """An existing Gateway, or one of its listeners. It must accept routes from the stack's namespace (`allowedRoutes`)."""

    name: Dns1123Subdomain
    """Name of the Gateway."""
    namespace: Dns1123Label | None = None
    """Namespace of the Gateway; null for the stack's namespace. The NetworkPolicy allows pods of this namespace to connect to
    the WebUI. If the gateway's pods run in another namespace, add that to `airis:network.ingressNamespaces`."""
    section_name: Dns1123Subdomain | None = None
    """Name of the listener to attach to; null for all listeners."""
    port: Annotated[StrictInt, Field(ge=1, le=65_535)] | None = None
    """Port of the listeners to attach to; null for all listeners. Not every gateway supports it."""


class GatewaySettings(Settings):
    """HTTPRoute (Gateway API, gateway.networking.k8s.io/v1) in front of the WebUI, instead of an Ingress or in addition to
    it.
    """

    hosts: Annotated[tuple[Host, ...], Field(max_length=16)]
    """Host names of the WebUI. Links that Open WebUI sends use the first name without `*`, unless there is an Ingress with
    one."""
    parent_refs: Annotated[tuple[ParentRefSettings, ...], Field(max_length=32)]
    """Gateways to attach to."""
    tls: StrictBool = True
    """Whether the listeners use HTTPS. The certificate is configured on the Gateway, so airis cannot detect it."""
    redirect_from: Annotated[tuple[ParentRefSettings, ...], Field(max_length=32)] = ()
    """HTTP listeners that redirect to HTTPS, by a second HTTPRoute."""
    request_timeout_seconds: Seconds | None = 0
    """Timeout of a request, including its streamed answer; 0 for no timeout. Null omits the field, for gateways without support
    for timeouts, and leaves the timeout to the gateway's default."""
    backend_request_timeout_seconds: Seconds | None = None
    """Timeout of one request from the gateway to a pod; 0 for no timeout. Null omits the field."""
    annotations: AnnotationMapping = Field(default_factory=dict)
    """Annotations of the HTTPRoute."""

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Namespaces of the Gateways that are outside of the stack's namespace."""
        return tuple(dict.fromkeys(each.namespace for each in self.parent_refs if each.namespace is not None))

    def rules(self) -> Iterator[Broken]:
        """Combinations that the API server refuses. Source: the CEL rules of the HTTPRoute's CustomResourceDefinition."""
        for key, items in {"hosts": self.hosts, "parentRefs": self.parent_refs}.items():
            if not items:
                yield Broken(key, [], "at least one; or gateway: null")
        for index, host in enumerate(self.hosts):
            if host in self.hosts[:index]:
                yield Broken(f"hosts.{index}", host, "each host once")
        for key, refs in {"parentRefs": self.parent_refs, "redirectFrom": self.redirect_from}.items():
            yield from _twice(key, refs)
        if self.redirect_from and not self.tls:
            yield Broken("redirectFrom", [each.name for each in self.redirect_from], "only together with tls", ("tls",))
        for index, parent in enumerate(self.redirect_from):
            if any(_meet(parent, other) for other in self.parent_refs):
                allowed = "a listener that is not in parentRefs, by its sectionName or port"
                yield Broken(f"redirectFrom.{index}", parent.name, allowed, ("parentRefs",))
        request, backend = self.request_timeout_seconds, self.backend_request_timeout_seconds
        if request and backend is not None and backend > request:
            allowed = f"at most requestTimeoutSeconds, which is {request}"
            yield Broken("backendRequestTimeoutSeconds", backend, allowed, ("requestTimeoutSeconds",))


def _twice(key: str, refs: tuple[ParentRefSettings, ...]) -> Iterator[Broken]:
    """The CRD's rules compare only sectionName: two listeners of one Gateway cannot be distinguished by port."""
    for index, parent in enumerate(refs):
        for other in refs[:index]:
            if _same_gateway(parent, other) and _overlap(parent.section_name, other.section_name):
                yield Broken(f"{key}.{index}", parent.name, "each Gateway once, or its listeners by sectionName")
                break


def _meet(one: ParentRefSettings, other: ParentRefSettings) -> bool:
    """Whether both may refer to the same listener."""
    sections = _overlap(one.section_name, other.section_name)
    return _same_gateway(one, other) and sections and _overlap(one.port, other.port)


def _same_gateway(one: ParentRefSettings, other: ParentRefSettings) -> bool:
    return (one.namespace, one.name) == (other.namespace, other.name)


def _overlap(one: str | int | None, other: str | int | None) -> bool:
    """None matches everything."""
    return None in (one, other) or one == other
