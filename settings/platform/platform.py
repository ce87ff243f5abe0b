"""Settings of the ground that every workload stands on: the cluster's rules, and the way to the world outside."""

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
    """Where images come from."""

    mirror: ImagePrefix | None = None
    """A registry, with a path if need be, that takes the place of every image's own: `ghcr.io/a/b` is pulled as
    `<mirror>/a/b`, `ollama/ollama` as `<mirror>/ollama/ollama`, `redis` as `<mirror>/library/redis`. Null for none."""


class ProxySettings(Settings):
    """The HTTP proxy through which pods reach the world outside. What is inside the cluster never goes through it."""

    url: ProxyUrl | None = None
    """URL of the proxy, for requests by HTTP and by HTTPS; null for direct connections. Sets `HTTPS_PROXY`, and for WebUI
    `HTTP_PROXY`: Ollama's documentation advises against that one."""
    url_from: SecretKeyRef | None = None
    """An existing Secret with the URL, where it has a password in it."""
    no_proxy: tuple[Annotated[str, AfterValidator(_bypassing)], ...] = ()
    """Further hosts, domains and address ranges that are reached directly. Sets `NO_PROXY`, after `localhost` and the names of
    the cluster's Services."""

    def rules(self) -> Iterator[Broken]:
        """One URL, and no password in plain text."""
        if self.no_proxy and self.url is None and self.url_from is None:
            yield Broken("noProxy", list(self.no_proxy), "only together with url or urlFrom", ("url", "urlFrom"))
        if self.url is not None and self.url_from is not None:
            yield Broken("url", "[not shown]", "one of this and urlFrom, not both", ("urlFrom",))
        if self.url is not None and URL_WITH_PASSWORD.search(self.url):
            yield Broken(
                "url", "[not shown]", "no password in plain text: put the URL into a Secret, and its name into urlFrom"
            )


class CaBundleSettings(Settings):
    """Certificate authorities to trust, in place of those in the images: PEM, and whole.

    Whoever also uses public servers puts the public authorities into the same bundle. Without one, the images' own hold.
    """

    config_map: Dns1123Subdomain | None = None
    """An existing ConfigMap with the bundle, as cert-manager's trust-manager writes it."""
    secret: Dns1123Subdomain | None = None
    """An existing Secret with the bundle."""
    key: SecretKey = "ca.crt"
    """The key of the bundle in it."""

    def rules(self) -> Iterator[Broken]:
        """One place."""
        if self.config_map is not None and self.secret is not None:
            yield Broken("configMap", self.config_map, "one of this and secret, not both", ("secret",))


class PlatformSettings(Settings):
    """What holds for every workload of the stack."""

    cluster: ClusterSettings = ClusterSettings()
    """The cluster that the stack belongs to, and how long `up` waits for its pods."""
    pod_security: PodSecurity = "restricted"
    """Pod Security level that the namespace enforces and the pods keep. `restricted`: a fixed user, nothing but the data and
    scratch folders writable. `baseline`: root, as the images are made, with Ollama's data under /root/.ollama."""
    cluster_domain: Dns1123Subdomain = "cluster.local"
    """DNS domain of the cluster, the end of every Service's full name."""
    image_pull_secrets: tuple[Dns1123Subdomain, ...] = ()
    """Existing Secrets, in the stack's namespace, with the credentials of private image registries."""
    registry: RegistrySettings = RegistrySettings()
    """Where images come from."""
    proxy: ProxySettings = ProxySettings()
    """The HTTP proxy to the world outside."""
    ca_bundle: CaBundleSettings = CaBundleSettings()
    """Certificate authorities of your own, for servers inside and for proxies that look into TLS."""
    labels: LabelMapping = Field(default_factory=dict)
    """Further labels of every object and pod."""
    annotations: AnnotationMapping = Field(default_factory=dict)
    """Further annotations of every object and pod."""
    network: NetworkSettings = NetworkSettings()
    """Who may talk to whom."""

    def rules(self) -> Iterator[Broken]:
        """Server-side apply refuses a pod that names a Secret twice."""
        yield from super().rules()
        for index, name in enumerate(self.image_pull_secrets):
            if name in self.image_pull_secrets[:index]:
                yield Broken(f"imagePullSecrets.{index}", name, "each Secret once")
