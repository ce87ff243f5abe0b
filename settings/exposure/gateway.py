"""Settings of the way in from outside the cluster by a Gateway."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field, StrictBool, StrictInt

from settings.types.base import Broken, Settings
from settings.types.names import AnnotationMapping, Dns1123Label, Dns1123Subdomain, Host

Seconds = Annotated[StrictInt, Field(ge=0, le=99_999)]
"""Seconds of a Gateway API duration, which has five digits at most. Source: Gateway API, GEP-2257."""


class ParentRefSettings(Settings):
    """A Gateway that exists already, or one listener of it. It must admit routes of the stack's namespace (`allowedRoutes`)."""

    name: Dns1123Subdomain
    """The Gateway's name."""
    namespace: Dns1123Label | None = None
    """Its namespace; null for the stack's own. The NetworkPolicy lets pods of this namespace reach the WebUI; where the
    gateway's pods run elsewhere, name that in `airis:network.ingressNamespaces`."""
    section_name: Dns1123Subdomain | None = None
    """Name of the one listener to attach to; null for all of them."""
    port: Annotated[StrictInt, Field(ge=1, le=65_535)] | None = None
    """Port of the listeners to attach to; null for all of them. Not every gateway knows it."""


class GatewaySettings(Settings):
    """The HTTPRoute (Gateway API, gateway.networking.k8s.io/v1) in front of the WebUI: instead of an Ingress, or beside it."""

    hosts: Annotated[tuple[Host, ...], Field(max_length=16)]
    """Host names under which the WebUI is reached. The first name without `*` is the one in links that Open WebUI sends, unless
    an Ingress has one."""
    parent_refs: Annotated[tuple[ParentRefSettings, ...], Field(max_length=32)]
    """The Gateways to attach to."""
    tls: StrictBool = True
    """Whether these listeners speak HTTPS. The certificate is theirs, so the route cannot know."""
    redirect_from: Annotated[tuple[ParentRefSettings, ...], Field(max_length=32)] = ()
    """Listeners for plain HTTP whose visitors are sent to HTTPS, by an HTTPRoute of its own."""
    request_timeout_seconds: Seconds | None = 0
    """For how many seconds a whole request may last, its streamed answer included; 0 for any time. Null says nothing, for
    gateways that do not know timeouts: then their own default holds."""
    backend_request_timeout_seconds: Seconds | None = None
    """For how many seconds one attempt to reach a pod may last, 0 for any time; null says nothing."""
    annotations: AnnotationMapping = Field(default_factory=dict)
    """Annotations of the HTTPRoute."""

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Namespaces of the Gateways, where they are not in the stack's own."""
        return tuple(dict.fromkeys(each.namespace for each in self.parent_refs if each.namespace is not None))

    def rules(self) -> Iterator[Broken]:
        """What the API server refuses. Source: the CEL rules of the HTTPRoute's CustomResourceDefinition."""
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
                allowed = "another listener than those of parentRefs, each by its sectionName or port"
                yield Broken(f"redirectFrom.{index}", parent.name, allowed, ("parentRefs",))
        request, backend = self.request_timeout_seconds, self.backend_request_timeout_seconds
        if request and backend is not None and backend > request:
            allowed = f"at most requestTimeoutSeconds, which is {request}"
            yield Broken("backendRequestTimeoutSeconds", backend, allowed, ("requestTimeoutSeconds",))


def _twice(key: str, refs: tuple[ParentRefSettings, ...]) -> Iterator[Broken]:
    """The rules of the definition look at sectionName alone: two listeners of one Gateway cannot go by their ports."""
    for index, parent in enumerate(refs):
        for other in refs[:index]:
            if _same_gateway(parent, other) and _overlap(parent.section_name, other.section_name):
                yield Broken(f"{key}.{index}", parent.name, "each Gateway once, or its listeners, each by sectionName")
                break


def _meet(one: ParentRefSettings, other: ParentRefSettings) -> bool:
    """Whether one listener may be meant by both."""
    sections = _overlap(one.section_name, other.section_name)
    return _same_gateway(one, other) and sections and _overlap(one.port, other.port)


def _same_gateway(one: ParentRefSettings, other: ParentRefSettings) -> bool:
    return (one.namespace, one.name) == (other.namespace, other.name)


def _overlap(one: str | int | None, other: str | int | None) -> bool:
    """Null stands for all of them."""
    return None in (one, other) or one == other
