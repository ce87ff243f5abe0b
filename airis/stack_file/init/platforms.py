"""Defaults for each Kubernetes distribution, as its vendor ships it. Nothing is guessed: the rest is left to the cluster.

No StorageClass is named: minikube, kind, k3s, GKE and AKS have a default, and a class of another name may be missing. Sources:
docs/gpu.md and settings/pods/gpu_nodes.py for GPU nodes; the comments on each platform for the rest.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from settings.exposure.controllers import Controller
from settings.pods.gpu_nodes import PRESETS, Preset, Vendor


@dataclass(frozen=True)
class Platform:
    """A Kubernetes distribution."""

    title: str
    """Its vendor's name for it."""
    preset: Preset | None = "device-plugin"
    """The preset for the labels of its GPU nodes; None leaves it to the default of `airis:ollama.gpu`."""
    runtime_class: str | None = None
    """The RuntimeClass for NVIDIA GPUs, if the nodes' default runtime does not support them."""
    host: str = ""
    """The suggested host name; without one there is no Ingress."""
    controller: Controller | None = None
    """The Ingress controller that comes with it."""
    ingress_namespace: str | None = None
    """The controller's namespace, if the stack does not allow it by default."""
    has_storage_class: bool = True
    """Whether it is known to come with a default StorageClass."""
    storage: str = "Without storageClass, the cluster's default class is used. It cannot change later."
    """A note on volumes, for the stack file."""
    before: tuple[str, ...] = ()
    """Commands to run once before the first `up`, if there is an Ingress."""

    def preset_for(self, vendor: Vendor) -> Preset | None:
        """The preset for GPUs of this vendor: the platform's, or else `device-plugin`."""
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
        # kind documentation, "Ingress": no controller is installed by default
        "kind": Platform("kind"),
        # K3s documentation, "Networking Services" (Traefik, in kube-system) and "Advanced Options", "NVIDIA Container Runtime"
        "k3s": Platform("k3s", runtime_class="nvidia", controller="traefik", ingress_namespace="kube-system"),
        "gke": Platform("GKE", preset="gke"),
        # Amazon EKS documentation, "Create a storage class"; "Review release notes for Kubernetes versions" for 1.30: new
        # clusters have no default class
        "eks": Platform(
            "EKS",
            preset="eks",
            has_storage_class=False,
            storage="New EKS clusters have no default StorageClass: set storageClass, or mark a class as the default.",
        ),
        "eks-auto": Platform(
            "EKS Auto Mode",
            preset="eks-auto",
            has_storage_class=False,
            storage="EKS Auto Mode creates no StorageClass: create one for ebs.csi.eks.amazonaws.com.",
        ),
        "aks": Platform("AKS", preset="aks"),
        "other": Platform("another cluster", preset=None, has_storage_class=False),
    }
)
"""The platforms by the answer to the question."""
