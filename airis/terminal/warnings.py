"""The program's warnings: each is printed once per run of the command, even if the command runs the program several times."""

import logging
import sys

TOLD: set[str] = set()
"""The messages printed since the command started. The command clears it at its start."""


class Once(logging.Handler):
    """Prints messages on stderr as `warning: ...`, each one once."""

    def emit(self, record: logging.LogRecord) -> None:
        """Prints the record's message."""
        tell(record.getMessage(), record.levelname.lower())


def tell(words: str, level: str = "warning") -> None:
    """Prints a message on stderr, unless this run of the command has already printed it."""
    told = f"{level}: {words}"
    if told not in TOLD:
        TOLD.add(told)
        print(told, file=sys.stderr, flush=True)
