"""Environment variables of an application that its settings set.

A field is marked with its variable: `Annotated[LogLevel | None, Variable("GLOBAL_LOG_LEVEL")]`. The container's environment,
the names that `env` may not use, and the documentation are derived from this mark.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

from pydantic import SecretStr

from settings.types.base import Settings, models_in
from settings.types.references import SecretKeyRef
from settings.types.releases import Release, marks

Value = str | SecretStr | SecretKeyRef
"""The value of a variable, hidden if it is a credential; or a reference to it."""


def as_text(value: object) -> str:
    """A value as text: Open WebUI compares with `true` in lower case, Go accepts `True`."""
    return str(value)


@dataclass(frozen=True)
class Variable:
    """Marks a field as the value of an environment variable. A field may have several marks."""

    name: str
    separator: str = ";"
    """Separator of the items of a list."""
    text: Callable[[Any], str] = as_text
    """Converts one value, or one item, to the notation of the application."""


class VariableSettings(Settings):
    """Settings with variables that depend on several fields, or on the presence of the section."""

    DERIVED: ClassVar[frozenset[str]] = frozenset()
    """Every name that `derived` may return."""

    def derived(self) -> Mapping[str, Value]:
        """Variables in addition to those of the fields."""
        return {}


def variables(settings: Settings) -> dict[str, Value]:
    """The variables that these settings set, nested settings included. Null and empty lists set none."""
    found: dict[str, Value] = {}
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, SecretKeyRef | SecretStr):
            found.update({each.name: value for each in _marks(field.metadata)})
        elif isinstance(value, Settings):
            found.update(variables(value))
        elif value is not None and value != ():
            found.update({each.name: _text(each, value) for each in _marks(field.metadata)})
    if isinstance(settings, VariableSettings):
        found.update(settings.derived())
    return found


@cache
def declared(model: type[Settings], key: str, *, release: Release | None = None) -> Mapping[str, str]:
    """Every variable that settings of this model may set, with the key that sets it; `key` is the model's own.

    With a release of the application, only variables that this release supports.
    """
    names = dict.fromkeys(model.DERIVED, key) if issubclass(model, VariableSettings) else {}
    for name, field in model.model_fields.items():
        path = f"{key}.{field.alias or name}"
        if release is None or all(mark.by(release) for mark in marks(field.metadata) if not mark.values):
            names.update(dict.fromkeys(of_field(field.metadata), path))
        for inner in models_in(field.annotation):
            names.update(declared(inner, path, release=release))
    return names


def of_field(metadata: list[Any]) -> tuple[str, ...]:
    """The names of the variables that a field sets, from its metadata."""
    return tuple(each.name for each in _marks(metadata))


def _marks(metadata: list[Any]) -> Iterator[Variable]:
    return (each for each in metadata if isinstance(each, Variable))


def _text(variable: Variable, value: object) -> str:
    if isinstance(value, tuple):
        return variable.separator.join(variable.text(each) for each in value)
    return variable.text(value)
