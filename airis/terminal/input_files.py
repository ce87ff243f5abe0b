"""Files of YAML that a person hands over by an option: their documents, and what is wrong with them, in words."""

from pathlib import Path
from typing import Any

from pydantic_core import ErrorDetails

from airis.terminal.errors import AirisError
from settings.reading.yaml_file import YamlError, kubectl_documents

_WORDS = {
    "extra_forbidden": "there is no such key",
    "missing": "this key is required",
    "model_type": "keys and values (a mapping) are needed",
    "dict_type": "keys and values (a mapping) are needed",
    "mapping_type": "keys and values (a mapping) are needed",
    "tuple_type": "a list is needed",
    "literal_error": "it must be {expected}",
}
"""Pydantic's types of errors in our words; its own are good enough for the others."""


def documents_in(path: Path, *, unreadable: str, remedy: str = "") -> list[Any]:
    """The documents in a file, as kubectl reads them.

    Raises AirisError with the file and the line: with the remedy `unreadable` where it cannot be read, and `remedy` where it is
    not YAML.
    """
    try:
        return kubectl_documents(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise AirisError(f"{path}: {error.strerror}", unreadable) from None
    except YamlError as error:
        raise AirisError(f"{path}: it is not YAML: {error.problem}{error.line}", remedy) from None
    except UnicodeDecodeError as error:
        raise AirisError(f"{path}: it is not YAML: {error}", remedy) from None


def in_words(error: ErrorDetails) -> str:
    """One of pydantic's errors as a line: the place in the file, the value, and what would be right."""
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"]).removeprefix(".")
    given = f"{error['input']!r}: " if isinstance(error["input"], str | int | float) else ""
    words = _WORDS.get(error["type"], error["msg"].removeprefix("Value error, ")).format(**error.get("ctx", {}))
    return f"{place}: {given}{words}".removeprefix(": ")
