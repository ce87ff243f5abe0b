"""Where a node keeps what it needs, and the addresses in its network."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

NAME = "node"
ADDRESS = "10.99.0.1"
"""The node's own address, on a bridge: the kernel of some machines has no `dummy` device."""

OUTSIDE = "198.51.100.1"
"""An address that is no pod's, no Service's and no private one (TEST-NET-2, RFC 5737): the internet of the stories."""

SERVICES = "10.96.0.0/16"
API = "10.96.0.1"
DNS = "10.96.0.10"
PODS = "10.244.0.0/16"
API_PORT = 6443

INSIDE = Path("/run/node")
"""The slot's folder as the processes of the node see it: a short path, because those of sockets are limited."""

SOCKET = Path("/run/containerd/containerd.sock")
"""Containerd's own choice."""


@dataclass(frozen=True)
class Slot:
    """The folder of one node in the user's cache. One run at a time has it; another run beside it takes another."""

    folder: Path

    @property
    def store(self) -> Path:
        """Containerd's content and snapshots: they stay, so that an image is imported once."""
        return self.folder / "store"

    @property
    def run(self) -> Path:
        """What belongs to one run: configuration, kubelet, volumes, logs of pods. It goes with the node."""
        return self.folder / "run"

    @property
    def logs(self) -> Path:
        """What the daemons wrote. It stays until the next start, for whoever asks why."""
        return self.folder / "logs"

    @property
    def etc(self) -> Path:
        """Certificates and configuration."""
        return self.run / "etc"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.etc / "admin.kubeconfig"

    @property
    def group(self) -> str:
        """Name of the control group of all pods: no other slot of this machine has the same."""
        return f"airis-node-{hashlib.sha256(str(self.folder).encode()).hexdigest()[:8]}"
