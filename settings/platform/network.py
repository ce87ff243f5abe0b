"""Settings of the NetworkPolicies: who may talk to whom."""

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
    """NetworkPolicies of the namespace. They need a network plugin that enforces them."""

    policies: StrictBool = True
    """Whether there are any. Without them every pod in the cluster can use Ollama, which has no authentication."""
    ingress_namespaces: tuple[Dns1123Label, ...] = ("ingress-nginx", "traefik", "haproxy-controller")
    """Namespaces whose pods may reach the WebUI: the one of your ingress controller."""
    webui_from: tuple[Cidr, ...] = ()
    """Address ranges outside the cluster that may reach the WebUI directly, for example through a NodePort."""
    restrict_egress: StrictBool = False
    """Whether pods may only reach DNS, each other and `egressTo`. Ollama then pulls no model from elsewhere."""
    egress_to: tuple[Cidr, ...] = ()
    """Address ranges that pods may reach although egress is restricted."""
