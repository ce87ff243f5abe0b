"""Settings of the Service in front of the WebUI."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, StrictInt

from settings.platform.network import Cidr
from settings.types.base import Broken, Settings
from settings.types.names import AnnotationMapping, LabelKey


class ServiceSettings(Settings):
    """How the WebUI's Service is reached."""

    type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = "ClusterIP"
    """ClusterIP: inside the cluster only; NodePort: on a port of every node; LoadBalancer: on an address of its own."""
    node_port: Annotated[StrictInt, Field(ge=30000, le=32767)] | None = None
    """The port on every node, with type NodePort or LoadBalancer; null lets Kubernetes choose."""
    annotations: AnnotationMapping = Field(default_factory=dict)
    """Annotations of the Service, such as those that a cloud's load balancer reads, but for those that a named
    `airis:ingress.controller` sets."""
    load_balancer_class: LabelKey | None = None
    """Which implementation makes the load balancer, such as `service.k8s.aws/nlb`, with type LoadBalancer; null for the
    cluster's default. Fixed once the load balancer is there."""
    load_balancer_source_ranges: tuple[Cidr, ...] = ()
    """Address ranges that the load balancer lets in, with type LoadBalancer; an empty list lets in everybody. Not every
    load balancer heeds it."""
    external_traffic_policy: Literal["Cluster", "Local"] | None = None
    """Whether traffic from outside may go to pods on other nodes (`Cluster`), or keeps the visitor's address and stays on
    its node (`Local`), with type NodePort or LoadBalancer; null for Kubernetes' default, Cluster."""

    def rules(self) -> Iterator[Broken]:
        """What the API server refuses, because the type has no such thing."""
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
