"""The ways in: the WebUI's Service, and what leads to it from outside the cluster."""

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
"""Where `kubectl port-forward` brings the WebUI, as the stack exports the command."""

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
    """The public URL, where hosts do not tell it."""
    cors_origins: tuple[str, ...] = ()
    """Further origins whose pages may use the WebUI."""
    several_pods: bool = False
    """Whether browsers have more than one pod to stay with."""

    @property
    def public_url(self) -> str | None:
        """Where users reach the WebUI from outside the cluster, if that is known."""
        return next(iter(self._origins), None)

    @property
    def variables(self) -> Mapping[str, str]:
        """What Open WebUI has to know about how it is reached.

        Its websocket is refused to pages of every origin that is not listed, its own included (python-engineio,
        async_server.py), and compared letter by letter. Without a list, none is refused. Source: open_webui/config.py,
        CORS_ALLOW_ORIGIN; socket/main.py; env.py, WEBUI_SESSION_COOKIE_SECURE.
        """
        found: dict[str, str] = {}
        allowed = [*self._origins, *self.cors_origins]
        if self.public_url is not None:
            found["WEBUI_URL"] = self.public_url
        if allowed:
            # Where people come by HTTPS, a page of whatever runs on somebody's own port 8080 is no friend
            local = [] if any(each.startswith("https://") for each in allowed) else [LOCAL_ORIGIN]
            found["CORS_ALLOW_ORIGIN"] = ";".join(dict.fromkeys([*allowed, *local]))
        if self._https:
            found["WEBUI_SESSION_COOKIE_SECURE"] = found["WEBUI_AUTH_COOKIE_SECURE"] = "True"
        return found

    @property
    def namespaces(self) -> Sequence[str]:
        """Namespaces of the gateways, whose pods must reach the WebUI."""
        return self.gateway.namespaces if self.gateway is not None else ()

    @property
    def annotations(self) -> tuple[dict[str, str], dict[str, str]]:
        """What the ingress controller needs, of the Ingress and of the Service."""
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

    `annotations` are those that an ingress controller reads there; what the settings say goes before them.
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
    """Makes what leads from outside the cluster to the Service `backend`.

    With a host that is an Ingress `<name>-ingress`; with a gateway an HTTPRoute `<name>-route`, and one more where visitors
    are redirected.
    """
    if exposure.ingress.host is not None:
        ingress_annotations, _ = exposure.annotations
        ingress_for(f"{name}-ingress", exposure.ingress, ingress_annotations, port=port, backend=backend, place=place)
    if exposure.gateway is not None:
        from components.gateway import http_routes

        http_routes(f"{name}-route", exposure.gateway, port=port, backend=backend, place=place)
