"""The sandbox: a real Kubernetes control plane with simulated nodes, on this machine's loopback."""

from airis.sandbox.binaries import ensure
from airis.sandbox.cluster import Sandbox, SandboxStatus, borrowed_sandbox
from airis.sandbox.definitions import definitions_for
from airis.sandbox.nodes import load_nodes

__all__ = ["Sandbox", "SandboxStatus", "borrowed_sandbox", "definitions_for", "ensure", "load_nodes"]
