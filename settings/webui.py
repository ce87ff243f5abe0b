"""Settings of the Open WebUI front end."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, StrictInt

from settings.base import Broken, Settings
from settings.names import ImageReference
from settings.workload import ResourceAmounts, Resources, StorageSettings, WorkloadSettings


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


class WebUISettings(WorkloadSettings):
    """The Open WebUI front end: one Deployment, its Service, its claim and, with a host, its Ingress."""

    image: ImageReference = "ghcr.io/airis/airis:main"
    """Container image, with a tag or a digest."""
    resources: Resources = Resources(
        requests=ResourceAmounts(cpu="500m", memory="500Mi"), limits=ResourceAmounts(cpu="1", memory="1Gi")
    )
    """CPU and memory of each pod. 1Gi is tight: 765 MiB resident after start was measured, without an embedding
    model."""
    storage: StorageSettings = StorageSettings(size="2Gi")
    """The volume for chats, users, uploads and the database."""
    service: ServiceSettings = ServiceSettings()
    """The Service in front of the pods."""

    @property
    def managed_env(self) -> frozenset[str]:
        """The variables that lead to Ollama."""
        return frozenset({"OLLAMA_BASE_URL", "OLLAMA_BASE_URLS"})

    def rules(self) -> Iterator[Broken]:
        """Several pods need a volume that several pods can mount."""
        yield from super().rules()
        if self.replicas > 1 and self.storage.access_mode != "ReadWriteMany":
            yield Broken(
                "replicas",
                self.replicas,
                f"at most 1, because storage.accessMode is {self.storage.access_mode}: pods on other nodes could not "
                "mount the volume",
                ("storage.accessMode",),
            )
