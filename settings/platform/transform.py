"""Settings of the hook for what no setting covers."""

from settings.types.base import Settings
from settings.types.project_files import PythonFile


class TransformSettings(Settings):
    """A Python file of your own that changes objects before they are registered, and adds further ones.

    docs/transform.md shows how. What it does is rehearsed, and held against the policies, like everything else.
    """

    file: PythonFile | None = None
    """The file, by its path from Pulumi.yaml on; null for none. It has a function `transform`, or `objects`, or both."""
