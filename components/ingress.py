"""The Ingress in front of a Service."""

from collections.abc import Mapping

from pulumi_kubernetes.core.v1 import Service
from pulumi_kubernetes.networking.v1 import (
    HTTPIngressPathArgs,
    HTTPIngressRuleValueArgs,
    Ingress,
    IngressBackendArgs,
    IngressRuleArgs,
    IngressServiceBackendArgs,
    IngressSpecArgs,
    IngressTLSArgs,
    ServiceBackendPortArgs,
)

from components.metadata import SKIP_AWAIT, Place
from settings.exposure.ingress import IngressSettings, TlsSettings


def ingress_for(
    name: str, settings: IngressSettings, annotations: Mapping[str, str], *, port: int, backend: Service, place: Place
) -> Ingress:
    """One rule for each host, all to the same Service, and one certificate for all hosts.

    `annotations` are those of the ingress controller; those of the settings take precedence.
    """
    to_service = IngressBackendArgs(
        service=IngressServiceBackendArgs(name=backend.metadata.name, port=ServiceBackendPortArgs(number=port))
    )
    everything = HTTPIngressRuleValueArgs(paths=[HTTPIngressPathArgs(path="/", path_type="Prefix", backend=to_service)])
    issuers = settings.tls.issuers if settings.tls is not None else {}
    return Ingress(
        name,
        metadata=place.metadata(name, {**annotations, **settings.annotations, **issuers, **SKIP_AWAIT}),
        spec=IngressSpecArgs(
            ingress_class_name=settings.class_name,
            tls=None if settings.tls is None else [_certificate(name, settings.tls, settings)],
            rules=[IngressRuleArgs(host=host, http=everything) for host in settings.all_hosts],
        ),
        opts=place.opts,
    )


def _certificate(name: str, tls: TlsSettings, settings: IngressSettings) -> IngressTLSArgs:
    return IngressTLSArgs(hosts=list(settings.all_hosts), secret_name=tls.secret_name or f"{name}-tls")
