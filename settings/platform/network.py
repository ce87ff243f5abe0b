"""Settings of the NetworkPolicies."""

import ipaddress
from typing import Annotated

from pydantic import AfterValidator, StrictBool

from settings.types.base import Settings
from settings.types.names import Dns1123Label


def _cidr(given: str) -> str:
    try:
        return str(ipaddress.ip_network(given))
    except ValueError:
        raise ValueError("an address range such as 10.0.0.0/8, without host bits") from None


Cidr = Annotated[str, AfterValidator(_cidr)]


class NetworkSettings(Settings):
    """NetworkPolicies of the namespace. They require a network plugin that enforces them."""

    policies: StrictBool = True
    """Create NetworkPolicies. Without them, every pod in the cluster can use Ollama, which has no authentication."""
    ingress_namespaces: tuple[Dns1123Label, ...] = ("ingress-nginx", "traefik", "haproxy-controller")
    """Namespaces whose pods may connect to the WebUI: the namespace of your ingress controller."""
    webui_from: tuple[Cidr, ...] = ()
    """Address ranges (CIDR) outside the cluster that may connect to the WebUI directly, for example through a NodePort."""
    restrict_egress: StrictBool = False
    """Restrict egress to DNS, the stack's own pods and `egressTo`. Ollama can then pull models only from addresses in
    `egressTo`."""
    egress_to: tuple[Cidr, ...] = ()
    """Address ranges (CIDR) that pods may connect to when `restrictEgress` is true."""
