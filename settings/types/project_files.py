"""Files of the project that a setting names, by their paths from Pulumi.yaml on."""

from typing import Annotated

from pydantic import AfterValidator


def _inside(given: str, ending: str, wanted: str) -> str:
    parts = given.split("/")
    if not given.endswith(ending) or given.startswith("/") or "\\" in given or {"", ".."} & {*parts}:
        raise ValueError(f"{wanted}, by its path from Pulumi.yaml on")
    return given


def _python_file(given: str) -> str:
    return _inside(given, ".py", "a Python file of the project such as transforms/sidecar.py")


def yaml_file(given: str) -> str:
    """The path, if it is one. Raises ValueError with what is wanted."""
    return _inside(given, ".yaml", "a YAML file of the project such as bases/department.yaml")


PythonFile = Annotated[str, AfterValidator(_python_file)]
"""A path that stays inside of the project and ends in `.py`."""

YamlFile = Annotated[str, AfterValidator(yaml_file)]
"""A path that stays inside of the project and ends in `.yaml`."""
