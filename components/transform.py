"""The hook for what no setting covers: a file with the user's own functions `transform` and `objects`."""

import runpy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pulumi

Transform = Callable[[pulumi.ResourceTransformationArgs], pulumi.ResourceTransformationResult | None]
"""Sees a resource before it is registered; returns what it becomes, or nothing to leave it as it is."""

Objects = Callable[[pulumi.Output[str], pulumi.ResourceOptions], None]
"""Registers further resources; gets the namespace that they belong to, and the options to give them."""


@dataclass(frozen=True)
class Hook:
    """What the user's file offers."""

    path: Path
    transform: Transform | None = None
    objects: Objects | None = None

    @property
    def transformations(self) -> list[Transform]:
        """For the `transformations` of resource options: they hold for the resource and everything below it."""
        return [] if self.transform is None else [self._transform]

    def add_objects(self, namespace: pulumi.Output[str]) -> None:
        """Has the file register its own resources. Raises pulumi.RunError when it fails."""
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
    """Reads the user's file; without one, a hook that does nothing.

    Raises pulumi.RunError when the file is not there, cannot be run, or has neither function.
    """
    path = project / (file or "")
    if file is None:
        return Hook(path)
    if not path.is_file():
        raise pulumi.RunError(f"airis:transform.file: there is no file {file} beside Pulumi.yaml")
    try:
        found = runpy.run_path(str(path))
    except Exception as error:
        raise _failed(path, "running it", error) from error
    functions = {name: found.get(name) for name in ("transform", "objects")}
    if not any(callable(each) for each in functions.values()):
        raise pulumi.RunError(
            f"airis:transform.file: {file} has neither a function transform(args) nor objects(namespace, opts)"
        )
    return Hook(path, **functions)


def _failed(path: Path, what: str, error: Exception) -> pulumi.RunError:
    """Names the line of the user's file, instead of a traceback through Pulumi's own."""
    line, traceback = 0, error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == str(path):
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    if isinstance(error, SyntaxError):
        line = error.lineno or 0
    where = f"{path.name}, line {line}" if line else path.name
    return pulumi.RunError(f"airis:transform.file: {where}: {what} failed: {type(error).__name__}: {error}")
