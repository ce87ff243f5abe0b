"""The Rich console of the tables whose messages wrap: verdicts, doctor's findings, the status of the sandbox."""

import sys

from rich.console import Console

_PLAIN_WIDTH = 160


def console() -> Console:
    """A console on stdout. Without a terminal, Rich would wrap at 80 columns, in the middle of a message."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _PLAIN_WIDTH)
