"""Settings of the Ingress."""

from collections.abc import Iterator
from typing import Annotated, Literal, get_args

from pydantic import Field, StrictBool, StrictInt

from settings.exposure.controllers import BODY_SIZES, TIMEOUTS, Controller, Visits, preset
from settings.types.base import Broken, Settings
from settings.types.names import AnnotationMapping, Dns1123Subdomain, Host
from settings.types.quantity import Bytes

CLASS_ANNOTATION = "kubernetes.io/ingress.class"
"""The annotation that `ingressClassName` replaced. The API server refuses an Ingress with both."""

ISSUER_ANNOTATIONS = {"cluster_issuer": "cert-manager.io/cluster-issuer", "issuer": "cert-manager.io/issuer"}
"""The cert-manager annotation of each setting. Source: cert-manager documentation, "Annotated Ingress resource"."""


class TlsSettings(Settings):
    """TLS certificate for all hosts of the Ingress."""

    secret_name: Dns1123Subdomain | None = None
    """Name of the Secret with the certificate and key (type kubernetes.io/tls), in the stack's namespace. Without an issuer,
    the Secret must exist. With an issuer, cert-manager creates it, and null names it `<Ingress>-tls`."""
    cluster_issuer: Dns1123Subdomain | None = None
    """cert-manager ClusterIssuer that issues the certificate."""
    issuer: Dns1123Subdomain | None = None
    """cert-manager Issuer, in the stack's namespace, that issues the certificate."""
    redirect: StrictBool = True
    """Redirect HTTP to HTTPS. For the controllers `nginx` and `haproxy`; Traefik serves only HTTPS, and redirects if its entry
    point is configured to."""

    @property
    def issuers(self) -> dict[str, str]:
        """The annotation that names the issuer, if there is one."""
        named = {"cluster_issuer": self.cluster_issuer, "issuer": self.issuer}
        return {ISSUER_ANNOTATIONS[name]: value for name, value in named.items() if value is not None}

    def rules(self) -> Iterator[Broken]:
        """A certificate has one source. Source: cert-manager, pkg/controller/certificate-shim/helper.go refuses two issuers."""
        if self.cluster_issuer is not None and self.issuer is not None:
            yield Broken("issuer", self.issuer, "one of this and clusterIssuer, not both", ("clusterIssuer",))
        if self.secret_name is None and not self.issuers:
            allowed = "the Secret with the certificate, or also set clusterIssuer or issuer"
            yield Broken("secretName", None, allowed, ("clusterIssuer", "issuer"))


class IngressSettings(Settings):
    """Ingress in front of the WebUI. It is created when `host` is set. Ollama has no Ingress."""

    host: Host | None = None
    """Host name of the WebUI; null creates no Ingress."""
    hosts: tuple[Host, ...] = ()
    """Additional host names of the WebUI. Links that Open WebUI sends use the first name without `*`."""
    class_name: Dns1123Subdomain | None = None
    """IngressClass; null uses the cluster's default."""
    tls: TlsSettings | None = None
    """TLS certificate. Null for plain HTTP, or if TLS is terminated in front of the Ingress; in that case, set
    `airis:webui.url`."""
    controller: Literal[Controller, "none"] | None = None
    """Ingress controller, which decides the annotations for long streams, uploads, websockets and several pods: `nginx`
    (ingress-nginx), `traefik`, or `haproxy` (HAProxy Technologies' controller, with haproxy.org/ annotations). Null sets the
    annotations of all three, because each controller reads only its own; `annotations` then take precedence. `none` sets no
    annotations."""
    max_body_size: Bytes | None = None
    """Maximum size of an upload, in bytes, with controller `nginx`; null for 100Mi. The other controllers have no limit."""
    timeout_seconds: Annotated[StrictInt, Field(ge=1, le=86_400)] | None = None
    """Idle timeout of connections to the WebUI: while a model is thinking, it sends nothing. For the controllers `nginx` and
    `haproxy`; null for 1800. Traefik has no idle timeout."""
    annotations: AnnotationMapping = Field(default_factory=dict)
    """Additional annotations of the Ingress, except for those that a named `controller` or `tls` sets."""

    @property
    def all_hosts(self) -> tuple[str, ...]:
        """All host names, `host` first."""
        return () if self.host is None else (self.host, *self.hosts)

    def preset(self, visits: Visits) -> tuple[dict[str, str], dict[str, str]]:
        """The controller's annotations of the Ingress and of the Service behind it.

        Without a named controller, the annotations of all known ones.
        """
        if self.host is None or self.controller == "none":
            return {}, {}
        redirect = None if self.tls is None else self.tls.redirect
        of_ingress: dict[str, str] = {}
        of_service: dict[str, str] = {}
        for each in get_args(Controller) if self.controller is None else (self.controller,):
            # With router.tls, Traefik refuses plain HTTP: only for a controller that is explicitly traefik
            guessed = self.controller is None and each == "traefik"
            found = preset(
                each,
                visits,
                max_body_size=self.max_body_size,
                timeout_seconds=self.timeout_seconds,
                redirect=None if guessed else redirect,
            )
            of_ingress |= found[0]
            of_service |= found[1]
        return of_ingress, of_service

    @property
    def managed_annotations(self) -> tuple[frozenset[str], frozenset[str]]:
        """Annotations of the Ingress and of the Service that the named controller's preset sets, with one pod or several."""
        if self.controller is None:
            return frozenset(), frozenset()
        of_ingress, of_service = self.preset(Visits(several_pods=True, https=True))
        return frozenset(of_ingress), frozenset(of_service)

    def rules(self) -> Iterator[Broken]:
        """Settings that would be ignored or overridden."""
        if self.host is None:
            for key, value in self._without_effect_alone().items():
                if value:
                    yield Broken(key, value, "only together with a host", ("host",))
        for index, host in enumerate(self.hosts):
            if host in self.all_hosts[: index + 1]:
                yield Broken(f"hosts.{index}", host, "each host once", ("host",))
        if self.max_body_size is not None and self.controller not in (None, *BODY_SIZES):
            allowed = f"null, or controller {' or '.join(BODY_SIZES)}: the others have no limit"
            yield Broken("maxBodySize", self.max_body_size, allowed, ("controller",))
        if self.timeout_seconds is not None and self.controller not in (None, *TIMEOUTS):
            allowed = f"null, or controller {' or '.join(TIMEOUTS)}"
            yield Broken("timeoutSeconds", self.timeout_seconds, allowed, ("controller",))
        yield from self._annotation_rules()

    def _annotation_rules(self) -> Iterator[Broken]:
        reserved = dict.fromkeys(self.managed_annotations[0], "controller")
        reserved[CLASS_ANNOTATION] = "className"
        if self.tls is not None and self.tls.issuers:
            reserved |= dict.fromkeys(ISSUER_ANNOTATIONS.values(), "tls")
        for key in sorted(self.annotations.keys() & reserved.keys()):
            yield Broken("annotations", key, f"no {key}: {reserved[key]} sets it", (reserved[key], "host"))

    def _without_effect_alone(self) -> dict[str, object]:
        return {
            "className": self.class_name,
            "hosts": list(self.hosts),
            "tls": self.tls and "a certificate",
            "controller": self.controller,
            "maxBodySize": self.max_body_size,
            "timeoutSeconds": self.timeout_seconds,
            "annotations": sorted(self.annotations),
        }
