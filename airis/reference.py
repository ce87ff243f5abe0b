"""What the settings models say about themselves: the config section of Pulumi.yaml, and docs/config.md.

`python -m airis.reference` writes both; a test keeps them fresh.
"""

import ast
import inspect
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

import yaml
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from airis.stacks import PROJECT_FILE, project_root
from settings import StackSettings
from settings.base import Settings, models_in

_MARK = "# The keys below follow from settings/ and are written by `make reference`.\n"


def pulumi_config() -> dict[str, dict[str, Any]]:
    """The `config` section of Pulumi.yaml: each key with its type, default and description.

    Every key has a default: the engine asks for those without one in each stack file. An object's default is empty,
    because its real defaults stand in its model (pulumi/pulumi, pkg/workspace/config.go).
    """
    # Secrets with fixed names change in place: replaced, they would be gone for a moment, and pods with them
    section: dict[str, dict[str, Any]] = {"kubernetes:enableSecretMutable": {"value": True}}
    for name, field in StackSettings.model_fields.items():
        kind: dict[str, Any]
        if _model_in(field.annotation) or _is_mapping(field.annotation):
            kind = {"type": "object", "default": {}}
        elif get_origin(field.annotation) is tuple:
            kind = {"type": "array", "items": {"type": "string"}, "default": list(field.default)}
        else:
            kind = {"type": "boolean" if field.annotation is bool else "string", "default": field.default}
        section[f"airis:{field.alias or name}"] = {**kind, "description": _descriptions(StackSettings)[name]}
    return section


def config_markdown() -> str:
    """docs/config.md: every key of a stack file with its type, default and effect."""
    lines = [
        "# Configuration",
        "",
        "Every key of a stack file `Pulumi.<stack>.yaml`. A key that is not listed here is an error. What a stack file does",
        "not say keeps its default, at every depth. This page follows from `settings/`; `make reference` writes it.",
    ]
    scalars: list[tuple[str, str, str, str]] = []
    sections: list[str] = []
    for name, field in StackSettings.model_fields.items():
        key = f"airis:{field.alias or name}"
        model = _model_in(field.annotation)
        if model is None:
            scalars.append(_row(key, field, field.default, _descriptions(StackSettings)[name]))
            continue
        about = inspect.cleandoc(model.__doc__ or "")
        sections += ["", f"## `{key}`", "", about, "", *_table(_rows(key, model, field.default))]
    return "\n".join([*lines, "", *_table(scalars), *sections, ""])


def _rows(prefix: str, model: type[Settings], default: Settings | None) -> Iterator[tuple[str, str, str, str]]:
    for name, field in model.model_fields.items():
        key, effect = f"{prefix}.{field.alias or name}", _descriptions(model)[name]
        value = getattr(default, name) if default is not None else field.default
        inner = _model_in(field.annotation)
        is_list = get_origin(field.annotation) is tuple
        if inner is None or is_list or NoneType in get_args(field.annotation):
            yield _row(key, field, value, effect)
        if inner is not None:
            yield from _rows(f"{key}[]" if is_list else key, inner, value if isinstance(value, Settings) else None)


def _row(key: str, field: FieldInfo, value: Any, effect: str) -> tuple[str, str, str, str]:
    return f"`{key}`", _type(field.annotation), _default(field, value), effect


def _table(rows: Iterable[tuple[str, str, str, str]]) -> list[str]:
    return [
        "| key | type | default | effect |",
        "|---|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


@cache
def _descriptions(model: type[Settings]) -> Mapping[str, str]:
    """The docstring below each field, by the field's name.

    pydantic can do this too (`use_attribute_docstrings`), but at import, where it costs every command 60 ms.
    """
    found: dict[str, str] = {}
    for base in reversed([each for each in model.__mro__ if issubclass(each, Settings)]):
        body = cast(ast.ClassDef, ast.parse(inspect.getsource(base)).body[0]).body
        for field, below in pairwise(body):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    found[name] = " ".join(text.split()).replace("|", "\\|")
    return found


def _is_mapping(annotation: Any) -> bool:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _is_mapping(get_args(annotation)[0])
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _default(field: FieldInfo, value: Any) -> str:
    if field.default_factory is dict:
        return "`{}`"
    if value is PydanticUndefined:
        return "none, required" if field.is_required() else "see effect"
    if isinstance(value, str):
        return f"`{value}`"
    return f"`{json.dumps(value, default=dict)}`"


def _type(annotation: Any) -> str:
    """The type in the words of a YAML file."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return " or ".join("null" if each is NoneType else _type(each) for each in arguments)
    if origin is Literal:
        return ", ".join(f"`{each}`" for each in arguments)
    if origin is tuple:
        return "list" if _model_in(annotation) else f"list of {_type(arguments[0])}"
    if _model_in(annotation):
        return "mapping"
    if _is_mapping(annotation):
        return "mapping"
    if get_origin(annotation) is not None and arguments:  # Annotated
        return _type(arguments[0])
    return {str: "text", int: "whole number", bool: "true or false"}.get(annotation, "text")


def _model_in(annotation: Any) -> type[Settings] | None:
    return next(iter(models_in(annotation)), None)


def _with_config(project: str) -> str:
    """Pulumi.yaml with its config section written anew; everything above it stays as it is."""
    above = re.split(r"^(?:# The keys below.*\n)?config:\n", project, maxsplit=1, flags=re.MULTILINE)[0]
    section = yaml.safe_dump({"config": pulumi_config()}, sort_keys=False, width=110, allow_unicode=True)
    return f"{above}{_MARK}{section}"


def files(root: Path) -> dict[Path, str]:
    """The files that follow from the models, with what they must hold."""
    project = root / PROJECT_FILE
    return {project: _with_config(project.read_text(encoding="utf-8")), root / "docs" / "config.md": config_markdown()}


if __name__ == "__main__":
    for path, text in files(project_root()).items():
        path.write_text(text, encoding="utf-8")
