"""A snapshot of a cluster: what a rehearsal needs to know of it, in a file that holds nothing secret."""

from airis.rehearse.snapshot.model import Snapshot, load_snapshot, written

__all__ = ["Snapshot", "load_snapshot", "written"]
