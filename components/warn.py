"""The program's warnings, printed as few times as Pulumi allows."""

import os
from collections.abc import Iterable

import pulumi
from pulumi.runtime import get_root_resource

TOLD_VARIABLE = "AIRIS_WARNINGS_TOLD"
"""Environment variable that disables the program's warnings: `airis` prints them before it starts Pulumi."""


def warn(warnings: Iterable[str]) -> None:
    """Logs each warning on the stack.

    Pulumi prints a warning immediately, and again at the end of each operation. Without a resource, it is logged before Pulumi
    knows the stack, and printed once more when the stack starts.
    """
    for each in () if os.environ.get(TOLD_VARIABLE) == "true" else warnings:
        pulumi.log.warn(each, resource=get_root_resource())
