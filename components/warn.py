"""The program's warnings, as few times as Pulumi allows."""

import os
from collections.abc import Iterable

import pulumi
from pulumi.runtime import get_root_resource

TOLD_VARIABLE = "AIRIS_WARNINGS_TOLD"
"""Set in the environment, it keeps the program from warning: `airis` has told the warnings before it starts Pulumi."""


def warn(warnings: Iterable[str]) -> None:
    """Logs each warning on the stack.

    Pulumi prints one as it comes, and again at the end of each operation. Logged before Pulumi knows the stack, which is what
    happens without a resource, it is printed once more as the stack begins.
    """
    for each in () if os.environ.get(TOLD_VARIABLE) == "true" else warnings:
        pulumi.log.warn(each, resource=get_root_resource())
