"""The transform file, for changes that no setting covers: the user's functions `transform` and `objects`."""

import runpy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pulumi

Transform = Callable[[pulumi.ResourceTransformationArgs], pulumi.ResourceTransformationResult | None]
"""Receives a resource before it is registered; returns the changed resource, or None to leave it unchanged."""

Objects = Callable[[pulumi.Output[str], pulumi.ResourceOptions], None]
"""Registers additional resources; receives their namespace and the options to pass."""


@dataclass(frozen=True)
class Hook:
    """The functions of the user's file."""

    path: Path
    transform: Transform | None = None
    objects: Objects | None = None

    @property
    def transformations(self) -> list[Transform]:
        """For the `transformations` of resource options: they apply to the resource and all its children."""
        return [] if self.transform is None else [self._transform]

    def add_objects(self, namespace: pulumi.Output[str]) -> None:
        """Registers the file's own resources. Raises pulumi.RunError if that fails."""
        if self.objects is None:
            return
        try:
            self.objects(namespace, pulumi.ResourceOptions(transformations=self.transformations))
        except Exception as error:
            raise _failed(self.path, "objects", error) from error

    def _transform(self, args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
        if self.transform is None:
            return None
        try:
            return self.transform(args)
        except Exception as error:
            raise _failed(self.path, f"transform, given {args.type_} {args.name},", error) from error


def load_hook(project: Path, file: str | None) -> Hook:
    """Loads the user's file; without one, a hook that does nothing.

    Raises pulumi.RunError if the file does not exist, cannot be run, or defines neither function.
    """
    path = project / (file or "")
    if file is None:
        return Hook(path)
    if not path.is_file():
        raise pulumi.RunError(f"airis:transform.file: {file} does not exist in the directory of Pulumi.yaml")
    try:
        found = runpy.run_path(str(path))
    except Exception as error:
        raise _failed(path, "running it", error) from error
    functions = {name: found.get(name) for name in ("transform", "objects")}
    if not any(callable(each) for each in functions.values()):
        raise pulumi.RunError(
            f"airis:transform.file: {file} defines neither transform(args) nor objects(namespace, opts)"
        )
    return Hook(path, **functions)


def _failed(path: Path, what: str, error: Exception) -> pulumi.RunError:
    """Reports the line of the user's file, instead of a traceback through Pulumi."""
    line, traceback = 0, error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == str(path):
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    if isinstance(error, SyntaxError):
        line = error.lineno or 0
    where = f"{path.name}, line {line}" if line else path.name
    return pulumi.RunError(f"airis:transform.file: {where}: {what} failed: {type(error).__name__}: {error}")
