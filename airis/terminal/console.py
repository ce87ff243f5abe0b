"""Rich's console as every table of the command is printed on."""

import sys

from rich.console import Console

_PLAIN_WIDTH = 160


def console() -> Console:
    """A console on stdout. Off a terminal Rich would fold at 80 columns, in the middle of a reason."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _PLAIN_WIDTH)
