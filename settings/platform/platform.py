"""Settings that all workloads share: Pod Security, registry, proxy, certificate authorities, labels, network policies."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from settings.platform.cluster import ClusterSettings
from settings.platform.network import NetworkSettings
from settings.types.base import Broken, Settings
from settings.types.names import (
    AnnotationMapping,
    Dns1123Subdomain,
    ImagePrefix,
    LabelMapping,
    SecretKey,
    url_with,
)
from settings.types.references import SecretKeyRef
from settings.types.secrets import URL_WITH_PASSWORD

PodSecurity = Literal["restricted", "baseline", "privileged"]
"""A level of Kubernetes' Pod Security Standards."""

ProxyUrl = Annotated[str, AfterValidator(url_with("http", "https", example="http://proxy.example.com:3128"))]


def _bypassing(given: str) -> str:
    if not given or "://" in given or any(character in given for character in ", \t\n*"):
        raise ValueError("a host, a domain such as .example.com, an address or an address range, without scheme or *")
    return given


class RegistrySettings(Settings):
    """Registry mirror for container images."""

    mirror: ImagePrefix | None = None
    """Registry, optionally with a path, that replaces the registry of every image: `ghcr.io/a/b` is pulled as `<mirror>/a/b`,
    `ollama/ollama` as `<mirror>/ollama/ollama`, `redis` as `<mirror>/library/redis`. Null for no mirror."""


class ProxySettings(Settings):
    """HTTP proxy for connections to servers outside the cluster. Connections inside the cluster bypass it."""

    url: ProxyUrl | None = None
    """URL of the proxy, for HTTP and HTTPS requests; null for direct connections. Sets `HTTPS_PROXY`, and for the WebUI also
    `HTTP_PROXY`, which Ollama's documentation advises against."""
    url_from: SecretKeyRef | None = None
    """Reference to an existing Secret with the URL, for a URL that contains a password."""
    no_proxy: tuple[Annotated[str, AfterValidator(_bypassing)], ...] = ()
    """Additional hosts, domains and address ranges that bypass the proxy. Sets `NO_PROXY`, after `localhost` and the names of
    the cluster's Services."""

    def rules(self) -> Iterator[Broken]:
        """One URL, without a password in plain text."""
        if self.no_proxy and self.url is None and self.url_from is None:
            yield Broken("noProxy", list(self.no_proxy), "only together with url or urlFrom", ("url", "urlFrom"))
        if self.url is not None and self.url_from is not None:
            yield Broken("url", "[not shown]", "one of this and urlFrom, not both", ("urlFrom",))
        if self.url is not None and URL_WITH_PASSWORD.search(self.url):
            yield Broken(
                "url",
                "[not shown]",
                "no password in plain text: put the URL into a Secret, and reference it in urlFrom",
            )


class CaBundleSettings(Settings):
    """Certificate authorities that pods trust, as a PEM bundle. It replaces the authorities of the images.

    If pods also connect to public servers, include the public authorities in the bundle. Without a bundle, pods trust the
    authorities of their image.
    """

    config_map: Dns1123Subdomain | None = None
    """Name of an existing ConfigMap with the bundle, such as one that cert-manager's trust-manager writes."""
    secret: Dns1123Subdomain | None = None
    """Name of an existing Secret with the bundle."""
    key: SecretKey = "ca.crt"
    """Key of the bundle in the ConfigMap or Secret."""

    def rules(self) -> Iterator[Broken]:
        """A bundle has one source."""
        if self.config_map is not None and self.secret is not None:
            yield Broken("configMap", self.config_map, "one of this and secret, not both", ("secret",))


class PlatformSettings(Settings):
    """Settings that all workloads of the stack share."""

    cluster: ClusterSettings = ClusterSettings()
    """Cluster that the stack is pinned to, and how long `up` waits for its pods."""
    pod_security: PodSecurity = "restricted"
    """Pod Security level that the namespace enforces and the pods meet. `restricted`: pods run as a fixed non-root user, and
    only the data and scratch directories are writable. `baseline`: pods run as root, as the images are built, with Ollama's
    data under /root/.ollama."""
    cluster_domain: Dns1123Subdomain = "cluster.local"
    """DNS domain of the cluster: the suffix of every Service's fully qualified name."""
    image_pull_secrets: tuple[Dns1123Subdomain, ...] = ()
    """Names of existing Secrets in the stack's namespace with credentials for private image registries."""
    registry: RegistrySettings = RegistrySettings()
    """Registry mirror for container images."""
    proxy: ProxySettings = ProxySettings()
    """HTTP proxy for connections to servers outside the cluster."""
    ca_bundle: CaBundleSettings = CaBundleSettings()
    """Certificate authorities that pods trust, for internal servers and TLS-inspecting proxies."""
    labels: LabelMapping = Field(default_factory=dict)
    """Additional labels of every object and pod."""
    annotations: AnnotationMapping = Field(default_factory=dict)
    """Additional annotations of every object and pod."""
    network: NetworkSettings = NetworkSettings()
    """Network policies."""

    def rules(self) -> Iterator[Broken]:
        """Server-side apply refuses a pod that lists a Secret twice."""
        yield from super().rules()
        for index, name in enumerate(self.image_pull_secrets):
            if name in self.image_pull_secrets[:index]:
                yield Broken(f"imagePullSecrets.{index}", name, "each Secret once")
