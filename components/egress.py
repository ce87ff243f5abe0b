"""Connections from pods to servers outside the cluster: proxy and certificate authorities."""

from collections.abc import Mapping

from pulumi_kubernetes.core.v1 import (
    ConfigMapVolumeSourceArgs,
    KeyToPathArgs,
    SecretVolumeSourceArgs,
    VolumeArgs,
)

from settings.platform.platform import PlatformSettings
from settings.types.variables import Value

CA_VOLUME = "ca-bundle"
CA_PATH = "/etc/airis/ca"
"""Directory of the certificate authorities in a container."""

_FILE = "ca.crt"
_INSIDE = ("localhost", "127.0.0.1", "::1", ".svc")


def proxy_variables(platform: PlatformSettings, *, plain_http: bool) -> Mapping[str, Value]:
    """Variables for the proxy, which requests to the cluster's Services bypass.

    `plain_http`: whether HTTP requests use the proxy too.
    """
    proxy = platform.proxy
    url: Value | None = proxy.url if proxy.url_from is None else proxy.url_from
    if url is None:
        return {}
    direct = ",".join((*_INSIDE, f".{platform.cluster_domain}", *proxy.no_proxy))
    return {"HTTPS_PROXY": url, **({"HTTP_PROXY": url} if plain_http else {}), "NO_PROXY": direct}


def ca_variables(platform: PlatformSettings) -> Mapping[str, str]:
    """Variables from which OpenSSL and Go (`SSL_CERT_FILE`), and Python's requests, read the certificate authorities."""
    if not _has_bundle(platform):
        return {}
    return dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), f"{CA_PATH}/{_FILE}")


def ca_volumes(platform: PlatformSettings) -> list[VolumeArgs]:
    """The volume with the certificate authorities, or none."""
    if not _has_bundle(platform):
        return []
    bundle = platform.ca_bundle
    items = [KeyToPathArgs(key=bundle.key, path=_FILE)]
    if bundle.secret is not None:
        return [VolumeArgs(name=CA_VOLUME, secret=SecretVolumeSourceArgs(secret_name=bundle.secret, items=items))]
    return [VolumeArgs(name=CA_VOLUME, config_map=ConfigMapVolumeSourceArgs(name=bundle.config_map, items=items))]


def ca_mounts(platform: PlatformSettings) -> Mapping[str, str]:
    """The mount path of the volume, by its name."""
    return {CA_VOLUME: CA_PATH} if _has_bundle(platform) else {}


def _has_bundle(platform: PlatformSettings) -> bool:
    return platform.ca_bundle.config_map is not None or platform.ca_bundle.secret is not None
