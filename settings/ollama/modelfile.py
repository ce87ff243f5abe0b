"""Writes a model as a Modelfile."""

from collections.abc import Iterator

from settings.ollama.modelfile_text import QUOTES
from settings.ollama.models import CreatedModel


def modelfile(model: CreatedModel) -> str:
    """The Modelfile of a model."""
    return "".join(f"{line}\n" for line in _lines(model))


def _lines(model: CreatedModel) -> Iterator[str]:
    yield f"FROM {model.base}"
    for name in type(model.parameters).model_fields:
        value = getattr(model.parameters, name)
        if isinstance(value, tuple):
            yield from (f"PARAMETER {name} {_quoted(each)}" for each in value)
        elif value is not None:
            yield f"PARAMETER {name} {str(value).lower()}"
    for command, text in (("TEMPLATE", model.template), ("SYSTEM", model.system), ("LICENSE", model.license)):
        if text is not None:
            yield f"{command} {_quoted(text)}"
    yield from (f"MESSAGE {each.role} {_quoted(each.content)}" for each in model.messages)


def _quoted(text: str) -> str:
    return f"{QUOTES}{text}{QUOTES}"
