"""`airis init`: a few questions, and a stack file with comments."""

from airis.stack_file.init.command import init

__all__ = ["init"]
