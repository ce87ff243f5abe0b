"""Annotations that each ingress controller needs for streams, uploads, websockets and several pods.

Open WebUI streams answers for minutes, accepts documents as uploads, and serves a websocket at /ws. Every function returns the
annotations of the Ingress and those of the Service behind it, because controllers differ in which of the two they read.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from settings.types.quantity import as_bytes

Controller = Literal["nginx", "traefik", "haproxy"]
"""ingress-nginx, Traefik, and the HAProxy Kubernetes Ingress Controller of HAProxy Technologies."""

BODY_SIZES: tuple[Controller, ...] = ("nginx",)
"""The controllers that limit uploads. HAProxy and Traefik accept any size."""
TIMEOUTS: tuple[Controller, ...] = ("nginx", "haproxy")
"""The controllers with a configurable timeout for idle connections."""

COOKIE = "airis-pod"
"""The session affinity cookie."""

_MAX_BODY_SIZE = "100Mi"
_TIMEOUT_SECONDS = 1800
_HTTPS_PORT = 443

Annotations = tuple[dict[str, str], dict[str, str]]
"""Annotations of the Ingress, and of the Service."""


@dataclass(frozen=True)
class Visits:
    """How browsers reach the pods."""

    several_pods: bool
    """Whether there is more than one pod, so that session affinity is needed."""
    https: bool
    """Whether browsers use HTTPS, wherever TLS is terminated."""
    https_port: int | None = None
    """The port in the public URL; None for the default port."""


def preset(
    controller: Controller,
    visits: Visits,
    *,
    max_body_size: str | None = None,
    timeout_seconds: int | None = None,
    redirect: bool | None = None,
) -> Annotations:
    """The annotations for this controller.

    `max_body_size` is a quantity in bytes (None: 100Mi), `timeout_seconds` the idle timeout (None: 1800), `redirect` whether
    HTTP is redirected to HTTPS (None: the Ingress has no TLS).
    """
    presets: dict[Controller, Callable[[Visits, int, int, bool | None], Annotations]] = {
        "nginx": _nginx,
        "traefik": _traefik,
        "haproxy": _haproxy,
    }
    size = as_bytes(max_body_size or _MAX_BODY_SIZE)
    return presets[controller](visits, size, timeout_seconds or _TIMEOUT_SECONDS, redirect)


def _nginx(visits: Visits, size: int, seconds: int, redirect: bool | None) -> Annotations:
    """ingress-nginx. Websockets need only the timeouts.

    Source: kubernetes/ingress-nginx, docs/user-guide/nginx-configuration/annotations.md; miscellaneous.md, "Websockets".
    """
    prefix = "nginx.ingress.kubernetes.io"
    annotations = {
        f"{prefix}/proxy-body-size": _nginx_size(size),
        f"{prefix}/proxy-read-timeout": str(seconds),
        f"{prefix}/proxy-send-timeout": str(seconds),
        # Off is the default, but the controller's ConfigMap may turn buffering on, which delays streamed answers
        f"{prefix}/proxy-buffering": "off",
        f"{prefix}/proxy-request-buffering": "off",
    }
    if redirect is not None:
        annotations[f"{prefix}/ssl-redirect"] = str(redirect).lower()
    if visits.several_pods:
        annotations |= {
            f"{prefix}/affinity": "cookie",
            f"{prefix}/affinity-mode": "persistent",
            f"{prefix}/session-cookie-name": COOKIE,
            f"{prefix}/session-cookie-samesite": "Lax",
            f"{prefix}/session-cookie-change-on-failure": "true",
        }
        if visits.https:  # nginx knows only about TLS that it terminates itself
            annotations[f"{prefix}/session-cookie-secure"] = "true"
    return annotations, {}


def _nginx_size(size: int) -> str:
    """Bytes in nginx's notation, whose m is Mi. Source: ingress-nginx, annotations/parser/validators.go, SizeRegex."""
    for suffix, factor in {"g": 1024**3, "m": 1024**2, "k": 1024}.items():
        if size % factor == 0:
            return f"{size // factor}{suffix}"
    return str(size)


def _traefik(visits: Visits, _size: int, _seconds: int, redirect: bool | None) -> Annotations:
    """Traefik. By default it neither limits nor buffers bodies, and has no timeout for idle responses.

    The annotation enables TLS for a router. From the Ingress's `tls`, Traefik takes only the certificate. The time limit of
    uploads is a setting of the entry point (transport.respondingTimeouts.readTimeout, 60 s), not of an Ingress. Source:
    traefik/traefik, docs/content/reference/routing-configuration/kubernetes/ingress.md;
    pkg/provider/kubernetes/ingress/kubernetes.go; docs/content/reference/install-configuration/entrypoints.md.
    """
    prefix = "traefik.ingress.kubernetes.io"
    cookie = f"{prefix}/service.sticky.cookie"
    router = {} if redirect is None else {f"{prefix}/router.tls": "true"}
    if not visits.several_pods:
        return router, {}
    sticky = {cookie: "true", f"{cookie}.name": COOKIE, f"{cookie}.httponly": "true", f"{cookie}.samesite": "lax"}
    return router, {**sticky, **({f"{cookie}.secure": "true"} if visits.https else {})}


def _haproxy(visits: Visits, _size: int, seconds: int, redirect: bool | None) -> Annotations:
    """HAProxy Technologies' controller (haproxy.org/), not jcmoraisjr's HAProxy Ingress. It neither limits nor buffers bodies.

    The timeout and the cookie belong to the backend, which is the Service: every release reads them there, and since 3.2 the
    cookie only there. The redirect goes to port 8443 by default. Websockets have their own timeout, an hour, in the
    controller's ConfigMap. Source: haproxytech/kubernetes-ingress, documentation/annotations.md; pkg/annotations/common/main.go
    (defaults); pkg/service/service.go.
    """
    router = {}
    if redirect is not None:
        router["haproxy.org/ssl-redirect"] = str(redirect).lower()
    if redirect:
        router["haproxy.org/ssl-redirect-port"] = str(visits.https_port or _HTTPS_PORT)
    sticky = {"haproxy.org/cookie-persistence": COOKIE} if visits.several_pods else {}
    return router, {"haproxy.org/timeout-server": f"{seconds}s", **sticky}
