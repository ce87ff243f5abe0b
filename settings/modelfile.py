"""What text a Modelfile can hold, and how it stands there.

The grammar has quotes, and nothing that would make a quote part of the text. Source: github.com/ollama/ollama v0.17.4,
parser/parser.go (ParseFile, unquote).
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from settings.models import CreatedModel

_QUOTES = '"""'


def quotable(given: str) -> str:
    """Text that Ollama reads from a Modelfile as it was written. Raises ValueError for other text, and for none.

    Ollama drops what Go does not call printable, without a word. Python calls the same printable: letters, marks, numbers,
    punctuation, symbols and the ASCII space. And a value ends where, at the end of a line, three quotes stand.
    """
    if not given:
        raise ValueError("some text")
    for character in given:
        if not character.isprintable() and character not in "\t\r\n":
            raise ValueError(f"text without U+{ord(character):04X}, which Ollama would leave out: it is not printable")
    for index, character in enumerate(given):
        line = f"{_QUOTES}{given[:index]}".strip()
        if character in "\r\n" and len(line) >= 2 * len(_QUOTES) and line.endswith(_QUOTES):
            raise ValueError(f"text without a line that ends in {_QUOTES}: a Modelfile has no way to write it")
    return given


def modelfile(model: "CreatedModel") -> str:
    """The Modelfile of a model."""
    return "".join(f"{line}\n" for line in _lines(model))


def _lines(model: "CreatedModel") -> Iterator[str]:
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
    return f"{_QUOTES}{text}{_QUOTES}"
