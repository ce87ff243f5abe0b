"""Errors that the command shows without a traceback, and its exit codes."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What `airis` returns to the shell; `airis --help` shows the same table."""

    OK = 0
    BAD_INPUT = 1
    """A stack, a file or a setting is wrong. Nothing was touched."""
    USAGE = 2
    """The command line itself is wrong (Typer's own code)."""
    NOT_READY = 3
    """It ran, and something did not come up, or broke off."""
    ENVIRONMENT = 4
    """The machine lacks something: a tool, the network, a free port, a running cluster."""
    DATA = 5
    """A claim with data is touched: `airis diff` ends so, whatever else it found."""
    INTERRUPTED = 130
    """Ctrl-C."""


class AirisError(Exception):
    """Something that the person at the keyboard can mend.

    `message` says what is wrong and where; `remedy`, what would be right. Neither ever holds a secret.
    """

    exit_code: ExitCode = ExitCode.BAD_INPUT

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n  {self.remedy}" if self.remedy else self.message


class EnvironmentProblem(AirisError):
    """The stack is fine, but this machine lacks something that the command needs."""

    exit_code = ExitCode.ENVIRONMENT
