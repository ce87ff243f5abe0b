"""The WebUI's Service, and its exposure outside the cluster."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pulumi_kubernetes.core.v1 import Service, ServicePortArgs, ServiceSpecArgs

from components import pod
from components.ingress import ingress_for
from components.metadata import SKIP_AWAIT, Place
from settings.exposure.controllers import Visits
from settings.exposure.gateway import GatewaySettings
from settings.exposure.ingress import IngressSettings
from settings.exposure.public_url import origins
from settings.exposure.service import ServiceSettings

LOCAL_ORIGIN = "http://localhost:8080"
"""The origin with `kubectl port-forward`, as in the stack's output."""

EXPOSURE_VARIABLES = frozenset(
    {"WEBUI_URL", "CORS_ALLOW_ORIGIN", "WEBUI_SESSION_COOKIE_SECURE", "WEBUI_AUTH_COOKIE_SECURE"}
)
"""Every variable that `Exposure.variables` may set."""


@dataclass(frozen=True)
class Exposure:
    """How the WebUI is reached from outside the cluster."""

    ingress: IngressSettings = field(default_factory=IngressSettings)
    gateway: GatewaySettings | None = None
    url: str | None = None
    """The public URL, if it cannot be derived from the hosts."""
    cors_origins: tuple[str, ...] = ()
    """Additional allowed origins."""
    several_pods: bool = False
    """Whether there are several pods, so that session affinity is needed."""

    @property
    def public_url(self) -> str | None:
        """The public URL of the WebUI, if it is known."""
        return next(iter(self._origins), None)

    @property
    def variables(self) -> Mapping[str, str]:
        """Open WebUI's variables for its public URL.

        Its websocket refuses pages of every origin that is not listed, its own included (python-engineio, async_server.py), by
        exact comparison. Without a list, it refuses none. Source: open_webui/config.py, CORS_ALLOW_ORIGIN; socket/main.py;
        env.py, WEBUI_SESSION_COOKIE_SECURE.
        """
        found: dict[str, str] = {}
        allowed = [*self._origins, *self.cors_origins]
        if self.public_url is not None:
            found["WEBUI_URL"] = self.public_url
        if allowed:
            # With HTTPS, do not trust the pages of whatever runs on port 8080 of a user's machine
            local = [] if any(each.startswith("https://") for each in allowed) else [LOCAL_ORIGIN]
            found["CORS_ALLOW_ORIGIN"] = ";".join(dict.fromkeys([*allowed, *local]))
        if self._https:
            found["WEBUI_SESSION_COOKIE_SECURE"] = found["WEBUI_AUTH_COOKIE_SECURE"] = "True"
        return found

    @property
    def namespaces(self) -> Sequence[str]:
        """Namespaces of the gateways, whose pods must be able to connect to the WebUI."""
        return self.gateway.namespaces if self.gateway is not None else ()

    @property
    def annotations(self) -> tuple[dict[str, str], dict[str, str]]:
        """The ingress controller's annotations of the Ingress and of the Service."""
        port = urlsplit(self.public_url or "").port
        return self.ingress.preset(Visits(self.several_pods, self._https, port))

    @property
    def _https(self) -> bool:
        return self.public_url is not None and self.public_url.startswith("https://")

    @property
    def _origins(self) -> tuple[str, ...]:
        return origins(self.url, self.ingress, self.gateway)


def service(
    name: str, app: str, port: int, settings: ServiceSettings, place: Place, *, annotations: Mapping[str, str]
) -> Service:
    """The Service in front of the pods of the installation `app`, which listen on `port`.

    `annotations` are those that an ingress controller reads; those of the settings take precedence.
    """
    return Service(
        name,
        metadata=place.metadata(name, {**annotations, **settings.annotations, **SKIP_AWAIT}),
        spec=ServiceSpecArgs(
            type=settings.type,
            selector={"app": app},
            ports=[
                ServicePortArgs(
                    name=pod.PORT_NAME, port=port, target_port=port, protocol="TCP", node_port=settings.node_port
                )
            ],
            load_balancer_class=settings.load_balancer_class,
            load_balancer_source_ranges=list(settings.load_balancer_source_ranges) or None,
            external_traffic_policy=settings.external_traffic_policy,
        ),
        opts=place.opts,
    )


def expose(name: str, exposure: Exposure, *, port: int, backend: Service, place: Place) -> None:
    """Exposes the Service `backend` outside the cluster.

    With a host, creates an Ingress `<name>-ingress`; with a gateway, an HTTPRoute `<name>-route`, and another one for the
    redirect.
    """
    if exposure.ingress.host is not None:
        ingress_annotations, _ = exposure.annotations
        ingress_for(f"{name}-ingress", exposure.ingress, ingress_annotations, port=port, backend=backend, place=place)
    if exposure.gateway is not None:
        from components.gateway import http_routes

        http_routes(f"{name}-route", exposure.gateway, port=port, backend=backend, place=place)
