"""Any stack file yields settings or a list of problems: no other exception, and no silent failure."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from settings import SettingsError, StackSettings, load

pytestmark = pytest.mark.timeout(60)


def model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for inner in getattr(annotation, "__args__", ()) if (found := model_in(inner))), None)


def known_keys(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield field.alias or name
        if inner := model_in(field.annotation):
            yield from known_keys(inner)


KEYS = sorted(set(known_keys(StackSettings)))

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 40000),
    st.floats(allow_nan=False),
    st.sampled_from(
        ["", "a", "2Gi", "500m", "4GB", "nvidia.com/gpu", "In", "Exists", "ReadWriteMany", "NodePort", "No No"]
    ),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from([*KEYS, "odd", "0"]), inner)),
    max_leaves=12,
)


def plausible(model: type[BaseModel]) -> st.SearchStrategy[Any]:
    """Mostly well-formed settings of that model, with values that may be wrong."""
    entries: dict[str, st.SearchStrategy[Any]] = {}
    for name, field in model.model_fields.items():
        inner = model_in(field.annotation)
        strategy = plausible(inner) if inner else values
        if "tuple" in str(field.annotation):
            strategy = st.lists(strategy, max_size=3)
        entries[field.alias or name] = st.one_of(strategy, strategy, values)
    return st.fixed_dictionaries({}, optional=entries)


def check(config: dict[str, Any]) -> None:
    text = {f"airis:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
    try:
        load(text, source="Pulumi.x.yaml")
    except SettingsError as error:
        keys = [each.key for each in error.problems]
        assert keys == sorted(keys)
        assert len(set(error.problems)) == len(keys) > 0


@settings(max_examples=50)
@given(plausible(StackSettings))
def test_nearly_valid_settings(config: dict[str, Any]) -> None:
    check(config)


@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from([*KEYS, "odd"]), values))
def test_any_values(config: dict[str, Any]) -> None:
    check(config)
