"""Settings of the way in from outside the cluster by an Ingress."""

from collections.abc import Iterator
from typing import Annotated, Literal, get_args

from pydantic import Field, StrictBool, StrictInt

from settings.exposure.controllers import BODY_SIZES, TIMEOUTS, Controller, Visits, preset
from settings.types.base import Broken, Settings
from settings.types.names import AnnotationMapping, Dns1123Subdomain, Host
from settings.types.quantity import Bytes

CLASS_ANNOTATION = "kubernetes.io/ingress.class"
"""What named the class before there was a field for it. The API server refuses both at once."""

ISSUER_ANNOTATIONS = {"cluster_issuer": "cert-manager.io/cluster-issuer", "issuer": "cert-manager.io/issuer"}
"""What asks cert-manager for a certificate, by setting. Source: cert-manager documentation, "Annotated Ingress resource"."""


class TlsSettings(Settings):
    """Where the certificate for all hosts of the Ingress is from."""

    secret_name: Dns1123Subdomain | None = None
    """The Secret with the certificate and its key, of type kubernetes.io/tls, in the stack's namespace. Without an issuer it
    must exist; with one, cert-manager writes it, and null names it `<Ingress>-tls`."""
    cluster_issuer: Dns1123Subdomain | None = None
    """A ClusterIssuer of cert-manager that issues the certificate."""
    issuer: Dns1123Subdomain | None = None
    """An Issuer of cert-manager in the stack's namespace that does."""
    redirect: StrictBool = True
    """Whether visitors by plain HTTP are sent to HTTPS. Takes effect with the controllers `nginx` and `haproxy`; Traefik serves
    HTTPS alone, and redirects where its entry point says so."""

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
    """The Ingress in front of the WebUI. There is one as soon as there is a host. Ollama never gets one."""

    host: Host | None = None
    """Host name under which the WebUI is reached; null makes no Ingress."""
    hosts: tuple[Host, ...] = ()
    """Further host names that lead to the same WebUI. The first name without `*` is the one in links that Open WebUI sends."""
    class_name: Dns1123Subdomain | None = None
    """IngressClass; null takes the cluster's default."""
    tls: TlsSettings | None = None
    """The certificate. Null for plain HTTP, or where TLS ends in front of the Ingress: then say so by `airis:webui.url`."""
    controller: Literal[Controller, "none"] | None = None
    """The software behind the class. It gets the annotations for long streams, uploads, websockets and several pods: `nginx`
    (ingress-nginx), `traefik`, or `haproxy` (HAProxy Technologies', with annotations haproxy.org/). Null sets those of all
    three, each of which reads its own alone; `annotations` then go first. `none` sets no annotations."""
    max_body_size: Bytes | None = None
    """The largest upload, in bytes, for controller `nginx`; null for 100Mi. The other controllers have no limit."""
    timeout_seconds: Annotated[StrictInt, Field(ge=1, le=86_400)] | None = None
    """For how many seconds nothing may come from the WebUI, or go to it, before the connection is cut: a model that thinks is
    silent. For the controllers `nginx` and `haproxy`; null for 1800. Traefik does not cut."""
    annotations: AnnotationMapping = Field(default_factory=dict)
    """Further annotations of the Ingress, but for those that a named `controller`, and `tls`, set."""

    @property
    def all_hosts(self) -> tuple[str, ...]:
        """Every host name, the first one first."""
        return () if self.host is None else (self.host, *self.hosts)

    def preset(self, visits: Visits) -> tuple[dict[str, str], dict[str, str]]:
        """What the controller needs, as annotations of the Ingress and of the Service behind it.

        Where none is named, what each of the known ones needs.
        """
        if self.host is None or self.controller == "none":
            return {}, {}
        redirect = None if self.tls is None else self.tls.redirect
        of_ingress: dict[str, str] = {}
        of_service: dict[str, str] = {}
        for each in get_args(Controller) if self.controller is None else (self.controller,):
            # With router.tls, Traefik turns plain HTTP away. That is for those who know that they have Traefik
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
        """What would be dropped in silence, or overridden."""
        if self.host is None:
            for key, value in self._without_effect_alone().items():
                if value:
                    yield Broken(key, value, "only together with a host", ("host",))
        for index, host in enumerate(self.hosts):
            if host in self.all_hosts[: index + 1]:
                yield Broken(f"hosts.{index}", host, "each host once", ("host",))
        if self.max_body_size is not None and self.controller not in (None, *BODY_SIZES):
            allowed = f"null, or controller {' or '.join(BODY_SIZES)}: only that has a limit here"
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
            yield Broken("annotations", key, f"no {key}: that is for {reserved[key]} to set", (reserved[key], "host"))

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
