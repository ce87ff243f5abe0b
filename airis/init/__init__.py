"""`airis init`: a few questions, and a stack file with comments."""

from airis.init.command import init

__all__ = ["init"]
