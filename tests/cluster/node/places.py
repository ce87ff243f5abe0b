"""Paths of a node, and addresses in its network."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

NAME = "node"
ADDRESS = "10.99.0.1"
"""The node's address, on a bridge: some kernels have no `dummy` device."""

OUTSIDE = "198.51.100.1"
"""A public address that is not a pod's or Service's (TEST-NET-2, RFC 5737): the internet of the stories."""

SERVICES = "10.96.0.0/16"
API = "10.96.0.1"
DNS = "10.96.0.10"
PODS = "10.244.0.0/16"
API_PORT = 6443

INSIDE = Path("/run/node")
"""The slot's folder in the node's mount namespace: a short path, because paths of sockets are limited."""

SOCKET = Path("/run/containerd/containerd.sock")
"""containerd's default."""


@dataclass(frozen=True)
class Slot:
    """The folder of one node in the user's cache. Only one run at a time uses it; a concurrent run uses another slot."""

    folder: Path

    @property
    def store(self) -> Path:
        """containerd's content and snapshots: kept, so that each image is imported once."""
        return self.folder / "store"

    @property
    def run(self) -> Path:
        """Data of one run: configuration, kubelet, volumes, logs of pods. Deleted with the node."""
        return self.folder / "run"

    @property
    def logs(self) -> Path:
        """Logs of the daemons, kept until the next start for diagnosis."""
        return self.folder / "logs"

    @property
    def etc(self) -> Path:
        """Certificates and configuration."""
        return self.run / "etc"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.etc / "admin.kubeconfig"

    @property
    def group(self) -> str:
        """Name of the control group of all pods, unique on this machine."""
        return f"airis-node-{hashlib.sha256(str(self.folder).encode()).hexdigest()[:8]}"
