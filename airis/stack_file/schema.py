"""The JSON Schema of a stack file, for completion, documentation and validation in editors.

It is as strict as possible without rejecting anything that `settings.load` accepts. It has no rules across keys.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from airis.stack_file.descriptions import descriptions
from settings.load import PROJECT
from settings.stack import StackSettings
from settings.types.base import Settings
from settings.types.names import Matching

SCHEMA_FILE = Path("schema") / "stack.schema.json"
"""The path of the schema, relative to Pulumi.yaml; only `make reference` writes it."""

REFERENCE_LINE = f"# yaml-language-server: $schema={SCHEMA_FILE.as_posix()}"
"""The first line of a stack file, with which editors find the schema. The path is relative to the file.

Source: github.com/redhat-developer/yaml-language-server, README, "Using inlined schema".
"""

# The YAML language server documents support only for draft 7 and below (README, "Supports JSON Schema 7 and below"). In draft
# 7, a $ref hides its sibling keys.
_DIALECT = "http://json-schema.org/draft-07/schema#"
_REF = "#/definitions/"
_ENCRYPTED, _TEXT, _COMPLETE = "encrypted", "text", "complete:"
_NOTHING = object()
_BASE = f"{PROJECT}:base"

_Schema = dict[str, Any]

_SHARED: dict[str, _Schema] = {
    _ENCRYPTED: {
        "description": "A value that `pulumi config set --secret --path` has encrypted.",
        "type": "object",
        "properties": {"secure": {"type": "string"}},
        "required": ["secure"],
        "additionalProperties": False,
    },
    _TEXT: {"anyOf": [{"type": "string"}, {"$ref": f"{_REF}{_ENCRYPTED}"}]},
}


class _Generator(GenerateJsonSchema):
    """Pydantic's generator, plus descriptions and the patterns of names."""

    def function_after_schema(self, schema: core_schema.AfterValidatorFunctionSchema) -> _Schema:
        made = super().function_after_schema(schema)
        check = schema["function"]["function"]
        if not isinstance(check, Matching):
            return made
        longest = {} if check.longest is None else {"maxLength": check.longest}
        pattern = f"^(?:{check.pattern.pattern})$"
        return {**made, "pattern": pattern, **longest, "patternErrorMessage": check.allowed}

    def dict_schema(self, schema: core_schema.DictSchema) -> _Schema:
        keys = self.generate_inner(schema["keys_schema"])
        return {
            "type": "object",
            **({"propertyNames": keys} if "pattern" in keys else {}),
            "additionalProperties": self.generate_inner(schema["values_schema"]),
        }

    def model_schema(self, schema: core_schema.ModelSchema) -> _Schema:
        made = super().model_schema(schema)
        model = cast(type[Settings], schema["cls"])
        for name, field in model.model_fields.items():
            made["properties"][field.alias or name]["description"] = descriptions(model)[name]
        return {key: value for key, value in made.items() if key != "title"}

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def sort(self, value: Any, parent_key: str | None = None) -> Any:
        return value  # keep the order of the models


def stack_schema() -> _Schema:
    """The schema of a whole stack file, in JSON Schema draft 7.

    As in the engine, the project's keys may have their prefix or not; keys of other namespaces are free. The default of a
    section is split into defaults of its keys, so that each key shows its own. Required keys of a section are only required
    if no other file can provide them (`airis:base`).
    """
    raw = StackSettings.model_json_schema(schema_generator=_Generator, ref_template=f"{_REF}{{model}}")
    models = raw["$defs"]
    sections = {
        f"{PROJECT}:{key}": _as_engine_has_it(_property(each, each.get("default", _NOTHING), models))
        for key, each in raw["properties"].items()
    }
    definitions = {**_SHARED, **sections}
    todo = list(_references(sections))
    while todo:
        name = todo.pop()
        if name not in definitions:
            definitions[name] = _model(models[name], {}, models)
            todo += _references(definitions[name])
    whole, complete = _complete({"properties": {key: {"$ref": f"{_REF}{key}"} for key in sections}}, definitions)
    keys = {
        key: {"$ref": f"{_REF}{section}"}
        for section in sections
        for key in (section, section.removeprefix(f"{PROJECT}:"))
    }
    return {
        "$schema": _DIALECT,
        "title": "A stack of airis",
        "description": "Pulumi.<stack>.yaml: keys that are not set keep their defaults. docs/config.md describes every key.",
        "type": "object",
        "properties": {
            "config": {
                "description": "The settings of the stack.",
                "type": "object",
                "properties": keys,
                "patternProperties": {f"^(?!{PROJECT}:)[^:]*:": {}},
                "additionalProperties": False,
                "if": {"anyOf": [{"required": [key]} for key in (_BASE, _BASE.removeprefix(f"{PROJECT}:"))]},
                "else": {
                    "properties": {
                        key: whole["properties"][f"{PROJECT}:{key.removeprefix(f'{PROJECT}:')}"]
                        for key in keys
                        if f"{PROJECT}:{key.removeprefix(f'{PROJECT}:')}" in whole["properties"]
                    }
                },
            },
            "secretsprovider": {"description": "The secrets provider for encrypted values.", "type": "string"},
            "encryptedkey": {"description": "The secrets provider's encrypted data key.", "type": "string"},
            "encryptionsalt": {"description": "The salt of the passphrase for encrypted values.", "type": "string"},
            "environment": {"description": "Pulumi ESC environments.", "type": ["array", "object"]},
        },
        "required": ["config"],
        "definitions": dict(sorted({**{key: _partial(each) for key, each in definitions.items()}, **complete}.items())),
    }


def schema_text() -> str:
    """The schema as the text of its file."""
    return json.dumps(stack_schema(), indent=1, ensure_ascii=False) + "\n"


def _as_engine_has_it(section: _Schema) -> _Schema:
    """A key of the project. Allows strings too: the engine passes values as text, and `pulumi config set` may write text."""
    about: _Schema = {key: section.pop(key) for key in ("description", "default") if key in section}
    kinds = {each.get("type") for each in section.get("anyOf", [section])}
    if "$ref" in str(section.get("anyOf")) or "object" in kinds:
        as_text = r"^\s*(?:\{|null\s*$)" if "null" in kinds else r"^\s*\{"
    elif "array" in kinds:
        as_text = r"^\s*\["
    elif "boolean" in kinds:
        as_text = r"^\s*(?:true|false)\s*$"
    elif "enum" in section:
        return {**about, **section}
    else:
        return {**about, **section, "type": ["string", "number", "boolean"]}
    return {**about, "anyOf": [*section.get("anyOf", [section]), {"type": "string", "pattern": as_text}]}


def _model(model: _Schema, defaults: Mapping[str, Any], models: Mapping[str, _Schema]) -> _Schema:
    """A model's schema with these defaults for its keys."""
    properties = {
        key: _property(each, defaults.get(key, each.get("default", _NOTHING)), models)
        for key, each in model.get("properties", {}).items()
    }
    required = [key for key in model.get("required", []) if key not in defaults]
    return {**model, "properties": properties, "required": required} if required else _optional(model, properties)


def _optional(model: _Schema, properties: _Schema) -> _Schema:
    return {key: value for key, value in {**model, "properties": properties}.items() if key != "required"}


def _property(found: _Schema, default: Any, models: Mapping[str, _Schema]) -> _Schema:
    """A key's schema. A section with a default is inlined, with its own defaults for its keys."""
    about = {"description": found["description"]}
    if "$ref" in found and isinstance(default, Mapping):
        return {**_model(models[found["$ref"].removeprefix(_REF)], default, models), **about}
    core = _value({key: value for key, value in found.items() if key not in ("description", "default")})
    if "$ref" in core:
        core = {"allOf": [core]}
    return {**about, **core, **({} if default is _NOTHING else {"default": default})}


def _value(found: _Schema) -> _Schema:
    """A value's schema. Plain strings may be encrypted, strings with a pattern may not, and credentials must be."""
    if found.get("format") == "password":
        return {"$ref": f"{_REF}{_ENCRYPTED}"}
    if found == {"type": "string"}:
        return {"$ref": f"{_REF}{_TEXT}"}
    made = dict(found)
    for key in ("items", "additionalProperties"):
        if isinstance(found.get(key), Mapping):
            made[key] = _value(found[key])
    if "anyOf" in found:
        made["anyOf"] = [_value(each) for each in found["anyOf"]]
    return made


def _complete(node: _Schema, definitions: Mapping[str, _Schema]) -> tuple[_Schema, dict[str, _Schema]]:
    """Only the required keys of a schema, and the definitions that this refers to. {} if no key is required."""
    made: dict[str, _Schema] = {}

    def needed(node: Any) -> _Schema:
        if not isinstance(node, Mapping):
            return {}
        if "$ref" in node:
            target = node["$ref"].removeprefix(_REF)
            name = f"{_COMPLETE}{target}"
            if name not in made and target not in _SHARED and (found := needed(definitions[target])):
                made[name] = found
            return {"$ref": f"{_REF}{name}"} if name in made else {}
        for alternative in (*node.get("anyOf", []), *node.get("allOf", [])):  # only mappings have required keys
            if found := needed(alternative):
                return found
        inner = {key: found for key, each in node.get("properties", {}).items() if (found := needed(each))}
        parts = {key: found for key in ("items", "additionalProperties") if (found := needed(node.get(key)))}
        required = {"required": node["required"]} if "required" in node else {}
        return {**required, **({"properties": inner} if inner else {}), **parts}

    return needed(node), made


def _partial(node: Any) -> Any:
    """A schema without its required keys."""
    if isinstance(node, list):
        return [_partial(each) for each in node]
    if not isinstance(node, Mapping) or node is _SHARED[_ENCRYPTED]:
        return node
    return {
        key: value if key == "default" else _partial(value)
        for key, value in node.items()
        if not (key == "required" and isinstance(value, list))
    }


def _references(node: Any) -> Iterator[str]:
    """The names of the definitions that a schema refers to."""
    if isinstance(node, Mapping):
        if isinstance(target := node.get("$ref"), str):
            yield target.removeprefix(_REF)
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from _references(each)
