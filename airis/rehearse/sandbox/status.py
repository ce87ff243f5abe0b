"""The status of a sandbox as a table."""

from rich.table import Table

from airis.rehearse.sandbox.control_plane import SandboxStatus
from airis.terminal.console import console


def print_status(status: SandboxStatus) -> None:
    """Prints the status and the resource usage of a sandbox."""
    if not status.running:
        left = f"; leftover processes: {', '.join(status.processes)}" if status.processes else ""
        print(f"The sandbox {status.name} is not running{left}. `airis sandbox up` starts it.")
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row("Sandbox", status.name)
    table.add_row("Kubernetes", status.version)
    table.add_row("API server", status.server)
    table.add_row("KUBECONFIG", str(status.kubeconfig))
    table.add_row("Nodes", ", ".join(status.nodes))
    table.add_row("Processes", ", ".join(f"{name} {pid}" for name, pid in status.processes.items()))
    table.add_row("Memory", f"{status.memory_bytes / 2**20:.0f} MiB")
    console().print(table)
