"""The ways in: the WebUI's Service, and what leads to it from outside the cluster."""

from collections.abc import Mapping

from pulumi_kubernetes.core.v1 import Service, ServicePortArgs, ServiceSpecArgs
from pulumi_kubernetes.networking.v1 import (
    HTTPIngressPathArgs,
    HTTPIngressRuleValueArgs,
    Ingress,
    IngressBackendArgs,
    IngressRuleArgs,
    IngressServiceBackendArgs,
    IngressSpecArgs,
    ServiceBackendPortArgs,
)

from components import pod
from components.metadata import SKIP_AWAIT, Place
from settings.ingress import IngressSettings
from settings.service import ServiceSettings

EXPOSURE_VARIABLES: frozenset[str] = frozenset()
"""Every variable that `exposure_variables` may set."""


def service(name: str, app: str, port: int, settings: ServiceSettings, place: Place) -> Service:
    """The Service in front of the pods of the installation `app`, which listen on `port`."""
    return Service(
        name,
        metadata=place.metadata(name, SKIP_AWAIT),
        spec=ServiceSpecArgs(
            type=settings.type,
            selector={"app": app},
            ports=[
                ServicePortArgs(
                    name=pod.PORT_NAME, port=port, target_port=port, protocol="TCP", node_port=settings.node_port
                )
            ],
        ),
        opts=place.opts,
    )


def public_url(ingress: IngressSettings) -> str | None:
    """Where users reach the WebUI from outside the cluster, if that is known."""
    return None if ingress.host is None else f"http://{ingress.host}"


def exposure_variables(ingress: IngressSettings) -> Mapping[str, str]:
    """What Open WebUI has to know about how it is reached."""
    return {}


def expose(name: str, ingress: IngressSettings, *, port: int, backend: Service, place: Place) -> None:
    """Makes what leads from outside the cluster to the Service `backend`: an Ingress `<name>-ingress`, if there is a host."""
    if ingress.host is not None:
        _ingress(f"{name}-ingress", ingress, ingress.host, port=port, backend=backend, place=place)


def _ingress(name: str, settings: IngressSettings, host: str, *, port: int, backend: Service, place: Place) -> Ingress:
    to_service = IngressBackendArgs(
        service=IngressServiceBackendArgs(name=backend.metadata.name, port=ServiceBackendPortArgs(number=port))
    )
    path = HTTPIngressPathArgs(path="/", path_type="Prefix", backend=to_service)
    return Ingress(
        name,
        metadata=place.metadata(name, SKIP_AWAIT),
        spec=IngressSpecArgs(
            ingress_class_name=settings.class_name,
            rules=[IngressRuleArgs(host=host, http=HTTPIngressRuleValueArgs(paths=[path]))],
        ),
        opts=place.opts,
    )
