"""`airis adopt`: from what runs already to a stack that takes it over, with its data."""

from airis.adopt.command import adopt

__all__ = ["adopt"]
