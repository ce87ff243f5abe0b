"""The JSON Schema of stack files accepts everything that the program accepts, and rejects what is invalid by its form."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from airis.stack_file.schema import REFERENCE_LINE, SCHEMA_FILE, stack_schema
from airis.stack_file.stacks import _placeholders
from settings import SettingsError, StackSettings, load
from settings.reading.yaml_file import read_yaml
from settings.types.base import Settings
from tests.rehearsal.test_any_settings import stacks
from tests.unit import test_settings_refusals as refusals
from tests.unit.conftest import Command
from tests.unit.drawing import COMMITTED, ROOT
from tests.unit.test_settings_any_input import model_in, scalars
from tests.unit.test_settings_refusals import Refusal

pytestmark = pytest.mark.timeout(120)

SCHEMA = stack_schema()
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)

ENCRYPTED = {"secure": "v1:abc:def"}
REFERENCE = {"name": "mine", "key": "key"}


def wrong(document: object) -> list[str]:
    """The validation errors of a stack file: paths and messages."""
    plain = json.loads(json.dumps(document))  # as a stack file's keys are: text
    return [f"{'.'.join(map(str, each.absolute_path))}: {each.message}" for each in VALIDATOR.iter_errors(plain)]


def parsed(folder: Path, text: str) -> Any:
    path = folder / "Pulumi.test.yaml"
    path.write_text(text, encoding="utf-8")
    return read_yaml(path)


def accepted(config: dict[str, Any]) -> bool:
    try:
        load({key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}, source="x")
    except SettingsError:
        return False
    return True


def test_the_schema_is_one_of_draft_7() -> None:
    """The newest that yaml-language-server documents."""
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"


@pytest.mark.parametrize("stack", COMMITTED)
def test_committed_stacks_are_valid_and_refer_to_the_schema(stack: str) -> None:
    path = ROOT / f"Pulumi.{stack}.yaml"
    line, reference = path.read_text(encoding="utf-8").splitlines()[0], "# yaml-language-server: $schema="
    assert line == REFERENCE_LINE
    assert (path.parent / line.removeprefix(reference)).resolve() == ROOT / SCHEMA_FILE
    assert wrong(read_yaml(path)) == []


def test_the_command_prints_the_committed_schema(command: Command) -> None:
    code, out, _ = command("schema")
    assert code == 0
    assert out == (ROOT / SCHEMA_FILE).read_text(encoding="utf-8")


def test_there_are_no_dangling_references_and_no_unused_definitions() -> None:
    text = json.dumps(SCHEMA)
    used = {part.partition('"')[0] for part in text.split('"$ref": "#/definitions/')[1:]}
    assert used == set(SCHEMA["definitions"])


BY_FORM = [
    *(*refusals.UNKNOWN_KEYS, *refusals.WRONG_TYPES, *refusals.GPU_COUNTS, *refusals.QUANTITIES),
    *(
        each for each in refusals.NAMES if each.key != "airis:ingress.host"
    ),  # is brought into its form before it is checked
    *refusals.NETWORK[-4:],
]
OF_THE_RIGHT_FORM = ('"16Ei"', "0.0005", "2026-01-01", "1e3", "False")
"""Amounts that are too large or too precise, dates that the engine turns into text, and values that are valid as text."""


@pytest.mark.parametrize(
    "case", [each for each in BY_FORM if each.given not in OF_THE_RIGHT_FORM], ids=lambda case: case.config[:90]
)
def test_values_that_are_refused_by_form_are_invalid(case: Refusal, tmp_path: Path) -> None:
    assert wrong(parsed(tmp_path, f"config:\n  {case.config}\n")) != []


@pytest.mark.parametrize(
    "config",
    [
        {"airis:production": "true", "airis:webui": {"image": "airis:1.2.3"}},
        {"airis:production": False},
        {"production": True, "webui": {"image": "airis:1.2.3"}},
        {"airis:namespace": 5},
        {"airis:gateway": None},
        {"airis:gateway": "null"},
        {"airis:ollama": '{"gpu": {"count": 1}}'},
        {"airis:imagePullSecrets": '["a"]'},
        {"airis:labels": {"a": ""}},
        {"airis:ollama": {"resources": {"limits": {"cpu": 4, "memory": 8_000_000_000}, "requests": {"cpu": 0.5}}}},
        {"airis:ollama": {"resources": {"limits": {"cpu": None}}, "storage": {"storageClass": "fast"}}},
        {"airis:ollama": {"models": ["a"], "preload": ["a"], "preloadKeepAlive": -1}},
        {"airis:webui": {"redis": {"bundled": {"storage": {"storageClass": "fast"}}}}},
        {"airis:webui": {"env": {"GREETING": "hello"}, "secretEnv": {"API_KEY": REFERENCE}}},
        {"kubernetes:context": "minikube", "kubernetes:enableSecretMutable": "true", "other:thing": [1, {}]},
    ],
    ids=json.dumps,
)
def test_what_the_engine_accepts_is_valid(config: dict[str, Any]) -> None:
    plain = {key if ":" in key else f"airis:{key}": value for key, value in config.items()}
    assert accepted(plain)
    assert wrong({"config": config}) == []


def test_pulumis_other_top_level_keys_are_valid() -> None:
    beside = {
        "secretsprovider": "passphrase",
        "encryptionsalt": "v1:abc",
        "encryptedkey": "abc",
        "environment": ["prod"],
    }
    assert wrong({"config": {}, **beside}) == []
    assert wrong(beside) != []


@pytest.mark.parametrize("key", ["airis:secrets", "secrets"])
def test_credentials_are_valid_only_if_encrypted(key: str) -> None:
    assert wrong({"config": {key: {"databaseUrl": ENCRYPTED, "values": {"openai": ENCRYPTED}}}}) == []
    assert wrong({"config": {key: {"databaseUrl": "postgresql://a:b@c/d"}}}) != []
    assert wrong({"config": {key: {"values": {"openai": "sk-1"}}}}) != []


def test_free_text_may_be_encrypted_and_a_number_may_not() -> None:
    assert wrong({"config": {"airis:webui": {"env": {"GREETING": ENCRYPTED}}}}) == []
    assert wrong({"config": {"airis:webui": {"replicas": ENCRYPTED}}}) != []
    assert wrong({"config": {"airis:webui": {"env": {"GREETING": {**ENCRYPTED, "more": ""}}}}}) != []


def test_a_required_key_may_come_from_the_base() -> None:
    config = {"airis:webui": {"secretEnv": {"API_KEY": {"name": "mine"}}}}
    assert wrong({"config": config}) == ["config.airis:webui.secretEnv.API_KEY: 'key' is a required property"]
    assert wrong({"config": {**config, "airis:base": "shared.yaml"}}) == []


def at(*keys: str) -> Any:
    """The schema of a key; sections are inlined, or in the first alternative."""
    found = SCHEMA["definitions"][f"airis:{keys[0]}"]
    for key in keys[1:]:
        found = found["anyOf"][0] if "anyOf" in found else found
        found = SCHEMA["definitions"][found["$ref"].removeprefix("#/definitions/")] if "$ref" in found else found
        found = found["properties"][key]
    return found


def test_each_key_has_a_description_and_its_default() -> None:
    assert at("webui", "storage", "size")["default"] == "2Gi"
    assert at("ollama", "storage", "size")["default"] == "30Gi"
    assert (
        at("ollama", "storage", "size")["description"]
        == "Size of the volume in bytes. It can grow later, but not shrink."
    )
    assert at("ollama", "gpu", "count") == {
        "description": "Number of GPUs of each pod. GPUs are not shared or split by this number.",
        "type": "integer",
        "minimum": 1,
        "default": 1,
    }
    assert at("podSecurity")["enum"] == ["restricted", "baseline", "privileged"]
    assert at("webui", "image")["patternErrorMessage"].startswith("an image reference such as")


def keys(node: Any, default: Settings) -> Any:
    """Every key below a section, with its default in the schema and in the model."""
    node = node["anyOf"][0] if "anyOf" in node and "properties" in node["anyOf"][0] else node
    for name, field in type(default).model_fields.items():
        value, found = getattr(default, name), node["properties"][field.alias or name]
        if isinstance(value, Settings):
            yield from keys(found, value)
        else:
            yield found, value


def test_every_default_equals_the_models_default() -> None:
    sections = {name: field.default for name, field in StackSettings.model_fields.items()}
    found = [
        pair
        for name, default in sections.items()
        if isinstance(default, Settings)
        for pair in keys(SCHEMA["definitions"][f"airis:{StackSettings.model_fields[name].alias}"], default)
    ]
    assert len(found) > 100
    plain = [(each["default"], list(value) if isinstance(value, tuple) else value) for each, value in found]
    assert [each for each in plain if each[0] != each[1]] == []


def leaves(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every key; items of a list have the path "[]"."""
    for name, field in model.model_fields.items():
        here = (*path, field.alias or name)
        yield here
        if inner := model_in(field.annotation):
            yield from leaves(inner, (*here, "[]") if "tuple" in str(field.annotation) else here)


PATHS = [path for path in leaves(StackSettings) if path[0] not in ("base", "secrets", "transform")]


def nested(path: tuple[str, ...], value: Any) -> Any:
    for key in reversed(path):
        value = [value] if key == "[]" else {key: value}
    return value


FITTING: list[Any] = [
    *(None, True, False, 0, 1, 60, 30_080, 0.5, {}, [], "", "a", "A", "1", "2Gi", "500m", "12h", "a.example.com"),
    *("http://a.example.com", "https://a.example.com/v1", "a@example.com", "nvidia", "Exists", REFERENCE, {"a": "b"}),
    *(["a"], ["10.0.0.0/8"], ["https://a.example.com"], ENCRYPTED),
]
"""Values, each of which is valid for at least one key."""


@settings(max_examples=250)
@given(st.sampled_from(PATHS), st.one_of(st.sampled_from(FITTING), scalars))
def test_an_accepted_value_is_valid(path: tuple[str, ...], value: Any) -> None:
    given = nested(path, value)
    try:
        StackSettings.model_validate(_placeholders(given), by_alias=True, by_name=False)  # much quicker than `load`
    except ValidationError:
        return
    event("accepted")
    assert wrong({"config": {f"airis:{key}": each for key, each in given.items()}}) == []


@settings(max_examples=40)
@given(stacks())
def test_an_accepted_stack_is_valid(config: dict[str, Any]) -> None:
    encrypted = {"secrets": dict.fromkeys(config["secrets"], ENCRYPTED)} if "secrets" in config else {}
    assert wrong({"config": {f"airis:{key}": value for key, value in {**config, **encrypted}.items()}}) == []
