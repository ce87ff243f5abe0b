"""Setting of the transform file, for changes that no setting covers."""

from settings.types.base import Settings
from settings.types.project_files import PythonFile


class TransformSettings(Settings):
    """A Python file that changes objects before they are registered, or adds objects. See docs/transform.md.

    Its changes are rehearsed, and checked against the policies, like all others.
    """

    file: PythonFile | None = None
    """Path of the file, relative to Pulumi.yaml; null for none. It defines a function `transform`, a function `objects`, or
    both."""
