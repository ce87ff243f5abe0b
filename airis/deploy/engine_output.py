"""Pulumi's output without noise: drops the traceback of a program that the engine has interrupted."""

import re
from collections.abc import Callable

_BEGINNINGS = (
    "Traceback (most recent call last):",
    "During handling of the above exception, another exception occurred:",
)
_END = "KeyboardInterrupt"
_PREFIX = re.compile(
    r"(?:(?P<progress>\W*pulumi:pulumi:Stack \S+ \w+(?: \(\w+\))? )| {4}(?!\W*[a-z]+:\S+:\S+ ))(?P<text>.*)"
)
"""The prefix of the program's own lines, in the progress and in the diagnostics below it."""


class Quiet:
    """Passes lines on, except for tracebacks that end in KeyboardInterrupt: Python raises it when the engine interrupts it.

    Everything else is passed on, including any other exception of the program.
    """

    def __init__(self, tell: Callable[[str], object]) -> None:
        self._tell = tell
        self._held: list[str] = []
        self._prefix = ""

    def __call__(self, line: str) -> None:
        """Takes the next line."""
        found = _PREFIX.fullmatch(line)
        # The progress prefix includes the elapsed seconds, which differ from line to line
        prefix, text = ("progress" if found["progress"] else "diagnostics", found["text"]) if found else ("", line)
        if self._held and line and prefix != self._prefix:
            self._tell(line)  # a line of another resource, in between
        elif self._held and text == _END:
            self._held.clear()
        elif text in _BEGINNINGS or (self._held and (not text or text.startswith(" "))):
            self._held.append(line)
            self._prefix = prefix if line else self._prefix
        else:
            self.close()
            self._tell(line)

    def close(self) -> None:
        """Passes on the lines that are held back."""
        for each in self._held:
            self._tell(each)
        self._held.clear()
