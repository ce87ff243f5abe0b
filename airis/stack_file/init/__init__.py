"""`airis init`: asks a few questions, and writes a commented stack file."""

from airis.stack_file.init.command import init

__all__ = ["init"]
