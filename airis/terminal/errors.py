"""Errors that the command prints without a traceback, and its exit codes."""

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of `airis`; `airis --help` lists them too."""

    OK = 0
    BAD_INPUT = 1
    """A stack, a file or a setting is invalid. Nothing was changed."""
    USAGE = 2
    """The command line is invalid (Typer's code)."""
    NOT_READY = 3
    """Something failed to start, or was aborted."""
    ENVIRONMENT = 4
    """The machine lacks something: a tool, the network, a free port, a running cluster."""
    DATA = 5
    """A claim with data is affected. In `airis diff`, this code takes precedence over the others."""
    INTERRUPTED = 130
    """Ctrl-C."""


class AirisError(Exception):
    """An error that the user can fix.

    `message` states what is wrong and where; `remedy`, how to fix it. Neither ever contains a secret.
    """

    exit_code: ExitCode = ExitCode.BAD_INPUT

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n  {self.remedy}" if self.remedy else self.message


class EnvironmentProblem(AirisError):
    """The stack is valid, but this machine lacks something that the command needs."""

    exit_code = ExitCode.ENVIRONMENT
