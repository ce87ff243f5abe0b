"""Settings of the Service in front of the WebUI."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, StrictInt

from settings.base import Broken, Settings


class ServiceSettings(Settings):
    """How the WebUI's Service is reached."""

    type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = "ClusterIP"
    """ClusterIP: inside the cluster only; NodePort: on a port of every node; LoadBalancer: on an address of its own."""
    node_port: Annotated[StrictInt, Field(ge=30000, le=32767)] | None = None
    """The port on every node, with type NodePort or LoadBalancer; null lets Kubernetes choose."""

    def rules(self) -> Iterator[Broken]:
        """A ClusterIP Service has no node port."""
        if self.node_port is not None and self.type == "ClusterIP":
            yield Broken("nodePort", self.node_port, "only with type NodePort or LoadBalancer", ("type",))
