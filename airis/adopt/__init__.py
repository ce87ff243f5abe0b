"""`airis adopt`: takes over an existing deployment, with its data, as a stack."""

from airis.adopt.command import adopt

__all__ = ["adopt"]
