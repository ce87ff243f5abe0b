"""A snapshot of a cluster: what a rehearsal needs to know about it, in a file without secrets."""

from airis.rehearse.snapshot.model import Snapshot, load_snapshot, written

__all__ = ["Snapshot", "load_snapshot", "written"]
