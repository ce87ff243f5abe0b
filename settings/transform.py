"""Settings of the hook for what no setting covers."""

from typing import Annotated

from pydantic import AfterValidator

from settings.base import Settings


def _python_file(given: str) -> str:
    parts = given.split("/")
    if not given.endswith(".py") or given.startswith("/") or "\\" in given or any(part in ("", "..") for part in parts):
        raise ValueError("a Python file of the project such as transforms/sidecar.py, by its path from Pulumi.yaml on")
    return given


class TransformSettings(Settings):
    """A Python file of your own that changes objects before they are registered, and adds further ones.

    docs/transform.md shows how. What it does is rehearsed, and held against the policies, like everything else.
    """

    file: Annotated[str, AfterValidator(_python_file)] | None = None
    """The file, by its path from Pulumi.yaml on; null for none. It has a function `transform`, or `objects`, or both."""
