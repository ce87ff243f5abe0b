"""What is true of each kind of cluster as its makers ship it. Nothing is guessed: what is not here is left to the cluster.

No storage class is named: minikube, kind, k3s, GKE and AKS have a default, and a class of another name may be missing. Sources
of the rest: docs/gpu.md and settings/pods/gpu_nodes.py for nodes with GPUs; beside each platform for what else it has.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from settings.exposure.controllers import Controller
from settings.pods.gpu_nodes import PRESETS, Preset, Vendor


@dataclass(frozen=True)
class Platform:
    """A kind of cluster."""

    title: str
    """As its makers call it."""
    preset: Preset | None = "device-plugin"
    """How its GPU nodes are labelled, for the vendors that it is for; None leaves it to the default of `airis:ollama.gpu`."""
    runtime_class: str | None = None
    """The RuntimeClass by which NVIDIA's GPUs are reached, where the nodes' default runtime does not."""
    host: str = ""
    """The host name to suggest; without one there is no Ingress."""
    controller: Controller | None = None
    """The ingress controller that comes with it."""
    ingress_namespace: str | None = None
    """Where that runs, if not in a namespace that the stack lets in by default."""
    has_storage_class: bool = True
    """Whether it is known to come with a default StorageClass."""
    storage: str = "Without storageClass, the cluster's default one is taken; it cannot change later."
    """What to know about volumes there."""
    before: tuple[str, ...] = ()
    """Commands that the cluster needs once, where there is an Ingress."""

    def preset_for(self, vendor: Vendor) -> Preset | None:
        """The preset for GPUs of this vendor: that of the platform, or else that of the device plugin alone."""
        return self.preset if self.preset is None or (self.preset, vendor) in PRESETS else "device-plugin"


PLATFORMS: Mapping[str, Platform] = MappingProxyType(
    {
        # Kubernetes documentation, "Set up Ingress on Minikube with the NGINX Ingress Controller": the addon is ingress-nginx,
        # in the namespace ingress-nginx
        "minikube": Platform(
            "minikube",
            host="airis.minikube.local",
            controller="nginx",
            before=("minikube addons enable ingress",),
        ),
        # kind documentation, "Ingress": none is there by itself
        "kind": Platform("kind"),
        # K3s documentation, "Networking Services" (Traefik, in kube-system) and "Advanced Options", "NVIDIA Container Runtime"
        "k3s": Platform("k3s", runtime_class="nvidia", controller="traefik", ingress_namespace="kube-system"),
        "gke": Platform("GKE", preset="gke"),
        # Amazon EKS documentation, "Create a storage class"; "Review release notes for Kubernetes versions" for 1.30: no class
        # is the default one in new clusters
        "eks": Platform(
            "EKS",
            preset="eks",
            has_storage_class=False,
            storage="New EKS clusters have no default StorageClass: name one, or make one the default.",
        ),
        "eks-auto": Platform(
            "EKS Auto Mode",
            preset="eks-auto",
            has_storage_class=False,
            storage="EKS Auto Mode makes no StorageClass by itself: make one for ebs.csi.eks.amazonaws.com.",
        ),
        "aks": Platform("AKS", preset="aks"),
        "other": Platform("another cluster", preset=None, has_storage_class=False),
    }
)
"""By the answer to the question."""
