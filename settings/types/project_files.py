"""Files of the project that a setting names, by their paths relative to Pulumi.yaml."""

from typing import Annotated

from pydantic import AfterValidator


def _inside(given: str, ending: str, wanted: str) -> str:
    parts = given.split("/")
    if not given.endswith(ending) or given.startswith("/") or "\\" in given or {"", ".."} & {*parts}:
        raise ValueError(f"{wanted}, by its path relative to Pulumi.yaml")
    return given


def _python_file(given: str) -> str:
    return _inside(given, ".py", "a Python file of the project such as transforms/sidecar.py")


def yaml_file(given: str) -> str:
    """The path, if it is valid. Raises ValueError with what is allowed."""
    return _inside(given, ".yaml", "a YAML file of the project such as bases/department.yaml")


PythonFile = Annotated[str, AfterValidator(_python_file)]
"""A path inside the project that ends in `.py`."""

YamlFile = Annotated[str, AfterValidator(yaml_file)]
"""A path inside the project that ends in `.yaml`."""
