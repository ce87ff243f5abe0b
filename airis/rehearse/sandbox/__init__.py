"""The sandbox: a Kubernetes control plane with simulated nodes, on this machine's loopback."""

from airis.cluster.programs.binaries import ensure
from airis.rehearse.sandbox.control_plane import Sandbox, SandboxStatus, borrowed_sandbox
from airis.rehearse.sandbox.definitions import definitions_for
from airis.rehearse.sandbox.nodes import load_nodes

__all__ = ["Sandbox", "SandboxStatus", "borrowed_sandbox", "definitions_for", "ensure", "load_nodes"]
