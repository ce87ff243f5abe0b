"""The base of every settings model: frozen, closed, camelCase, with rules between fields."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType, UnionType
from typing import Annotated, Any, Self, TypeVar, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, PlainSerializer, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

RULES_ERROR = "rules"
"""The error type of broken rules in pydantic's report; its context holds the `Broken` rules."""


@dataclass(frozen=True)
class Broken:
    """A rule between fields that is violated.

    `key` is the path of the key to fix, relative to the model (`requests.memory`); `value` its value; `allowed` what is
    allowed. `reads` names the other keys that the rule depends on: if one of those is itself wrong, this rule is not reported.
    """

    key: str
    value: object
    allowed: str
    reads: tuple[str, ...] = ()


Key = TypeVar("Key")
Value = TypeVar("Value")

FrozenMapping = Annotated[Mapping[Key, Value], AfterValidator(MappingProxyType), PlainSerializer(dict)]
"""An immutable mapping, for a frozen model."""


class Settings(BaseModel):
    """Base of all settings.

    Keys are camelCase in stack files and snake_case in Python; an unknown key is an error. A key that is not in the stack file
    keeps its default, at every depth: `limits: {memory: 8Gi}` keeps the default CPU limit, and `cpu: null` removes it.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        defer_build=True,  # most models are only parts of others: a sixth of the time to load settings
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        validate_by_alias=True,
        validate_by_name=True,
        validate_default=True,
    )

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Immutable objects need no copy; pydantic would copy each default."""
        return self

    @model_validator(mode="before")
    @classmethod
    def _keep_nested_defaults(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        merged = dict(given)
        for name, field in cls.model_fields.items():
            for key in (name, field.alias or name):
                if isinstance(field.default, Settings) and isinstance(merged.get(key), Mapping):
                    merged[key] = _merge(field.default, merged[key])
        return merged

    @model_validator(mode="after")
    def _obey_rules(self) -> Self:
        if broken := tuple(self.rules()):
            raise PydanticCustomError(
                RULES_ERROR,
                "{summary}",
                {"broken": broken, "summary": "; ".join(f"{rule.key}: {rule.allowed}" for rule in broken)},
            )
        return self

    def rules(self) -> Iterator[Broken]:
        """Yields every violated rule between this model's fields; none by default."""
        yield from ()


def _merge(default: Settings, given: Mapping[str, Any]) -> dict[str, Any]:
    """Merges the given keys into the default's, so that validation sees one complete mapping."""
    merged = dict(given)
    for name, field in type(default).model_fields.items():
        alias, value = field.alias or name, getattr(default, name)
        if alias not in given and name not in given:
            merged[alias] = value
        for key in (alias, name):
            if isinstance(value, Settings) and isinstance(given.get(key), Mapping):
                merged[key] = _merge(value, given[key])
    return merged


def models_in(annotation: Any) -> tuple[type[Settings], ...]:
    """The settings models in a field's annotation: the type itself, a member of a union, or the type of a list's items."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return (annotation,)
    if get_origin(annotation) in (Annotated, Union, UnionType, tuple):
        return tuple(model for each in get_args(annotation) for model in models_in(each))
    return ()
