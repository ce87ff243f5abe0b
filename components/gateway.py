"""HTTPRoutes from a Gateway to a Service.

pulumi-kubernetes has no classes for the Gateway API, so these are plain values. Every default of the CRD is set explicitly:
otherwise, each refresh would show it as drift. Source: sigs.k8s.io/gateway-api,
config/crd/standard/gateway.networking.k8s.io_httproutes.yaml.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.core.v1 import Service

from components.metadata import SKIP_AWAIT, Place
from settings.exposure.gateway import GatewaySettings, ParentRefSettings

_GROUP = "gateway.networking.k8s.io"
_EVERYTHING = [{"path": {"type": "PathPrefix", "value": "/"}}]
_MOVED_PERMANENTLY = 301


def http_routes(
    name: str, settings: GatewaySettings, *, port: int, backend: Service, place: Place
) -> list[CustomResource]:
    """The route `name` from the hosts to `port` of the Service, and `<name>-redirect` from HTTP to HTTPS, if configured.

    Websockets need no setting: every Gateway forwards the upgrade.
    """
    to_service = {"group": "", "kind": "Service", "name": backend.metadata.name, "port": port, "weight": 1}
    rule: dict[str, Any] = {"matches": _EVERYTHING, "backendRefs": [to_service]}
    if timeouts := _timeouts(settings):
        rule["timeouts"] = timeouts
    routes = [_route(name, settings, settings.parent_refs, rule, place)]
    if settings.redirect_from:
        redirect = {"type": "RequestRedirect", "requestRedirect": {"scheme": "https", "statusCode": _MOVED_PERMANENTLY}}
        rule = {"matches": _EVERYTHING, "filters": [redirect]}
        routes.append(_route(f"{name}-redirect", settings, settings.redirect_from, rule, place))
    return routes


def _route(
    name: str,
    settings: GatewaySettings,
    parents: Sequence[ParentRefSettings],
    rule: Mapping[str, Any],
    place: Place,
) -> CustomResource:
    return CustomResource(
        name,
        api_version=f"{_GROUP}/v1",
        kind="HTTPRoute",
        metadata=place.metadata(name, {**settings.annotations, **SKIP_AWAIT}),
        spec={
            "parentRefs": [_parent(each) for each in parents],
            "hostnames": list(settings.hosts),
            "rules": [rule],
        },
        opts=place.opts,
    )


def _parent(settings: ParentRefSettings) -> dict[str, Any]:
    given = {"namespace": settings.namespace, "sectionName": settings.section_name, "port": settings.port}
    return {
        "group": _GROUP,
        "kind": "Gateway",
        "name": settings.name,
        **{key: value for key, value in given.items() if value is not None},
    }


def _timeouts(settings: GatewaySettings) -> dict[str, str]:
    given = {
        "request": settings.request_timeout_seconds,
        "backendRequest": settings.backend_request_timeout_seconds,
    }
    return {key: f"{seconds}s" for key, seconds in given.items() if seconds is not None}
