"""What the program warns of, each once in one run of the command, however often the command runs the program."""

import logging
import sys

TOLD: set[str] = set()
"""What was told since the command began, which empties it."""


class Once(logging.Handler):
    """Writes messages on stderr, as `warning: ...`; none twice."""

    def emit(self, record: logging.LogRecord) -> None:
        """Takes the next message."""
        tell(record.getMessage(), record.levelname.lower())


def tell(words: str, level: str = "warning") -> None:
    """Writes a message on stderr, unless this run of the command has told it."""
    told = f"{level}: {words}"
    if told not in TOLD:
        TOLD.add(told)
        print(told, file=sys.stderr, flush=True)
