"""Settings of the Service in front of the WebUI."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, StrictInt

from settings.platform.network import Cidr
from settings.types.base import Broken, Settings
from settings.types.names import AnnotationMapping, LabelKey


class ServiceSettings(Settings):
    """The Service in front of the WebUI."""

    type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = "ClusterIP"
    """Type of the Service. ClusterIP: inside the cluster only; NodePort: a port on every node; LoadBalancer: an external
    address."""
    node_port: Annotated[StrictInt, Field(ge=30000, le=32767)] | None = None
    """Port on every node, with type NodePort or LoadBalancer; null lets Kubernetes choose one."""
    annotations: AnnotationMapping = Field(default_factory=dict)
    """Annotations of the Service, such as those for a cloud's load balancer, except for those that a named
    `airis:ingress.controller` sets."""
    load_balancer_class: LabelKey | None = None
    """Load balancer implementation, such as `service.k8s.aws/nlb`, with type LoadBalancer; null for the cluster's default.
    Cannot be changed once the load balancer exists."""
    load_balancer_source_ranges: tuple[Cidr, ...] = ()
    """Address ranges (CIDR) that may connect to the load balancer, with type LoadBalancer; an empty list allows all. Not every
    load balancer supports it."""
    external_traffic_policy: Literal["Cluster", "Local"] | None = None
    """`Cluster`: external traffic may be routed to pods on other nodes. `Local`: it stays on its node, and the client's address
    is preserved. With type NodePort or LoadBalancer; null for Kubernetes' default, Cluster."""

    def rules(self) -> Iterator[Broken]:
        """Fields that the API server refuses for this type."""
        if self.type == "ClusterIP":
            allowed = "only with type NodePort or LoadBalancer"
            if self.node_port is not None:
                yield Broken("nodePort", self.node_port, allowed, ("type",))
            if self.external_traffic_policy is not None:
                yield Broken("externalTrafficPolicy", self.external_traffic_policy, allowed, ("type",))
        if self.type != "LoadBalancer":
            allowed = "only with type LoadBalancer"
            if self.load_balancer_class is not None:
                yield Broken("loadBalancerClass", self.load_balancer_class, allowed, ("type",))
            if self.load_balancer_source_ranges:
                yield Broken("loadBalancerSourceRanges", list(self.load_balancer_source_ranges), allowed, ("type",))
