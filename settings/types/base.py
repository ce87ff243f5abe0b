"""The base of every settings model: frozen, closed, camelCase, with rules between fields."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType, UnionType
from typing import Annotated, Any, Self, TypeVar, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, PlainSerializer, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

RULES_ERROR = "rules"
"""The error type under which pydantic reports broken rules; its context holds the `Broken` ones."""


@dataclass(frozen=True)
class Broken:
    """A rule between fields that does not hold.

    `key` is the path of the key to mend, relative to the model (`requests.memory`); `value` what it holds; `allowed` what
    would be right. `reads` names the other keys that the rule looked at: when one of those is itself wrong, this
    rule says nothing.
    """

    key: str
    value: object
    allowed: str
    reads: tuple[str, ...] = ()


Key = TypeVar("Key")
Value = TypeVar("Value")

FrozenMapping = Annotated[Mapping[Key, Value], AfterValidator(MappingProxyType), PlainSerializer(dict)]
"""A mapping that cannot be changed, as becomes a frozen model."""


class Settings(BaseModel):
    """Base of all settings.

    Keys are camelCase in stack files and snake_case in Python; an unknown key is an error. What a stack file does not say
    keeps its default at every depth: `limits: {memory: 8Gi}` leaves the default CPU limit as it is, and `cpu: null`
    takes it away.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        validate_by_alias=True,
        validate_by_name=True,
        validate_default=True,
    )

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """What cannot change needs no copy; pydantic would make one of each default."""
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
        """Yields every rule between this model's fields that does not hold; none by default."""
        yield from ()


def _merge(default: Settings, given: Mapping[str, Any]) -> dict[str, Any]:
    """Puts the given keys over the default's own, so that validation sees one whole mapping."""
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
    """The settings models that a field's annotation names: as itself, or as an alternative, or as the item of a list."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return (annotation,)
    if get_origin(annotation) in (Annotated, Union, UnionType, tuple):
        return tuple(model for each in get_args(annotation) for model in models_in(each))
    return ()
