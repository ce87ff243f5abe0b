"""Generates the files that follow from the settings models: the config section of Pulumi.yaml, docs/config.md, docs/since.json
and the JSON Schema of stack files.

`python -m airis.stack_file.reference` writes them; a test checks that they are up to date.
"""

import inspect
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from airis.stack_file.descriptions import descriptions
from airis.stack_file.schema import SCHEMA_FILE, schema_text
from airis.stack_file.stacks import PROJECT_FILE, project_root
from airis.stack_file.yaml_writer import dump
from settings import StackSettings
from settings.types.base import Settings, models_in
from settings.types.quantity import Bytes, Cpu
from settings.types.references import ConfigMapKeyRef, SecretKeyRef
from settings.types.variables import of_field

SINCE_FILE = Path("docs") / "since.json"
"""Records the version in which each key was added; only `make reference` writes it."""

_REFERENCES: Mapping[type[Settings], str] = {
    SecretKeyRef: "reference (Secret)",
    ConfigMapKeyRef: "reference (ConfigMap)",
}
_MARK = "# The keys below are generated from settings/ by `make reference`.\n"


def pulumi_config() -> dict[str, dict[str, Any]]:
    """The `config` section of Pulumi.yaml: each key with its type, default and description.

    Every key has a default: the engine requires keys without one in each stack file. An object's default is empty, because its
    actual defaults are in its model (pulumi/pulumi, pkg/workspace/config.go). A section that is null by default is left out:
    the engine has no null default, and would pass the program an empty section, which has another meaning.
    """
    # Secrets with fixed names are updated in place: a replacement would delete them for a moment, and pods would fail
    section: dict[str, dict[str, Any]] = {"kubernetes:enableSecretMutable": {"value": True}}
    for name, field in StackSettings.model_fields.items():
        kind: dict[str, Any]
        if field.default is None:
            continue
        if _model_in(field.annotation) or _is_mapping(field.annotation):
            kind = {"type": "object", "default": {}}
        elif get_origin(field.annotation) is tuple:
            kind = {"type": "array", "items": {"type": "string"}, "default": list(field.default)}
        else:
            kind = {"type": "boolean" if field.annotation is bool else "string", "default": field.default}
        section[f"airis:{field.alias or name}"] = {**kind, "description": descriptions(StackSettings)[name]}
    return section


class Row(NamedTuple):
    """A key of a stack file, as a row of docs/config.md."""

    key: str
    type: str
    default: str
    unit: str
    effect: str


def rows() -> Iterator[Row]:
    """All keys of a stack file, including nested ones, in the order of the models."""
    for name, field in StackSettings.model_fields.items():
        key = f"airis:{field.alias or name}"
        if (model := _model_in(field.annotation)) is None:
            yield _row(key, field, field.default, descriptions(StackSettings)[name])
        else:
            yield from _rows(key, model, field.default)


def config_markdown(since: Mapping[str, str]) -> str:
    """docs/config.md: every key of a stack file with its type, default, unit, effect, and the version that added it."""
    lines = [
        "# Configuration",
        "",
        "Every key of a stack file `Pulumi.<stack>.yaml`. A key that is not listed here is an error. Keys that a stack file",
        "does not set keep their defaults, at every depth. This page is generated from `settings/` by `make reference`.",
        "",
        "A *reference* is `{name: ..., key: ...}`: one key of an existing Secret or ConfigMap in the stack's namespace, or of",
        "the stack's Secret `airis-secrets`, which contains `airis:secrets.values`.",
        "`Sets` names the environment variable that a key sets; free `env` maps must not set it.",
        "",
        "Quote a string that YAML would read as another type: without quotes, `'1234e56'`, `'0o14'` and `'08'` are numbers,",
        "`'2026-01-01'` is a date, `'true'` a Boolean. An error shows the quotes to add. airis reads a stack file as the",
        "Pulumi engine does, where `yes`, `no`, `on`, `off`, `y`, `n` and `1:30` are strings.",
    ]
    by_section: dict[str, list[Row]] = {}
    for row in rows():
        section, _, inner = row.key.partition(".")
        by_section.setdefault(section if inner else "", []).append(row)
    scalars = by_section.pop("", [])
    lines += ["", "## The whole stack", "", *_table(scalars, since)]
    for section, found in by_section.items():
        field = next(each for each in StackSettings.model_fields.values() if f"airis:{each.alias}" == section)
        model = _model_in(field.annotation)
        about = inspect.cleandoc(model.__doc__ or "") if model else ""
        lines += ["", f"## `{section}`", "", about, "", *_table(found, since)]
    return "\n".join([*lines, ""])


def since(root: Path) -> dict[str, str]:
    """The version of airis that added each key: from docs/since.json, or the current version for new keys."""
    known = json.loads((root / SINCE_FILE).read_text(encoding="utf-8")) if (root / SINCE_FILE).is_file() else {}
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    return {row.key: known.get(row.key, project["project"]["version"]) for row in rows()}


def _rows(prefix: str, model: type[Settings], default: Settings | None) -> Iterator[Row]:
    for name, field in model.model_fields.items():
        key, effect = f"{prefix}.{field.alias or name}", descriptions(model)[name]
        value = getattr(default, name) if default is not None else field.default
        inner = [each for each in models_in(field.annotation) if each not in _REFERENCES]
        is_list = _is_list(field.annotation)
        if not inner or is_list or NoneType in get_args(field.annotation):
            yield _row(key, field, value, effect)
        for each in inner:
            yield from _rows(f"{key}[]" if is_list else key, each, value if isinstance(value, Settings) else None)


def _row(key: str, field: FieldInfo, value: Any, effect: str) -> Row:
    sets = " and ".join(f"`{name}`" for name in of_field(field.metadata))
    return Row(
        key,
        _type(field.annotation),
        _default(field, value),
        _unit(key, field),
        f"{effect} Sets {sets}." if sets else effect,
    )


def _unit(key: str, field: FieldInfo) -> str:
    if key.endswith("Seconds"):
        return "s"
    if key.endswith("Percent"):
        return "%"
    checks = [*field.metadata, *(each for part in get_args(field.annotation) for each in get_args(part)[1:])]
    for type_, unit in ((Bytes, "bytes"), (Cpu, "cores")):
        if any(each in checks for each in get_args(type_)[1:]):
            return unit
    return ""


def _table(found: Iterable[Row], since: Mapping[str, str]) -> list[str]:
    def escaped(text: str) -> str:
        return text.replace("|", "\\|")

    return [
        "| key | type | default | unit | effect | since |",
        "|---|---|---|---|---|---|",
        *(
            f"| `{row.key}` | {row.type} | {row.default} | {row.unit} | {escaped(row.effect)} | {since[row.key]} |"
            for row in found
        ),
    ]


def _is_list(annotation: Any) -> bool:
    if get_origin(annotation) in (Annotated, Union, UnionType):
        return any(_is_list(each) for each in get_args(annotation))
    return get_origin(annotation) is tuple


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
    """The name of the type in YAML terms."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(arguments[0])
    if origin in (Union, UnionType):
        return " or ".join("null" if each is NoneType else _type(each) for each in arguments)
    if origin is Literal:
        return ", ".join(f"`{each}`" for each in arguments)
    if origin is tuple:
        return "list" if _model_in(annotation) else f"list of {_type(arguments[0])}"
    if (model := _model_in(annotation)) is not None:
        return _REFERENCES.get(model, "mapping")
    if _is_mapping(annotation):
        return "mapping"
    return {str: "text", int: "whole number", float: "number", bool: "true or false"}.get(annotation, "text")


def _model_in(annotation: Any) -> type[Settings] | None:
    return next(iter(models_in(annotation)), None)


def _with_config(project: str) -> str:
    """Pulumi.yaml with a new config section; everything above it is kept."""
    above = re.split(r"^(?:# The keys below.*\n)?config:\n", project, maxsplit=1, flags=re.MULTILINE)[0]
    section = dump({"config": pulumi_config()}, width=110)
    return f"{above}{_MARK}{section}"


def files(root: Path) -> dict[Path, str]:
    """The generated files, with their content."""
    project, versions = root / PROJECT_FILE, since(root)
    return {
        project: _with_config(project.read_text(encoding="utf-8")),
        root / "docs" / "config.md": config_markdown(versions),
        root / SINCE_FILE: json.dumps(versions, indent=1, sort_keys=True) + "\n",
        root / SCHEMA_FILE: schema_text(),
    }


if __name__ == "__main__":
    for path, text in files(project_root()).items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
