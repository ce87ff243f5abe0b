"""YAML files that are passed with an option: reads their documents, and explains validation errors."""

from pathlib import Path
from typing import Any

from pydantic_core import ErrorDetails

from airis.terminal.errors import AirisError
from settings.reading.yaml_file import YamlError, kubectl_documents

_WORDS = {
    "extra_forbidden": "unknown key",
    "missing": "this key is required",
    "model_type": "must be a mapping",
    "dict_type": "must be a mapping",
    "mapping_type": "must be a mapping",
    "tuple_type": "must be a list",
    "literal_error": "must be {expected}",
}
"""Messages for Pydantic's error types. All other types keep Pydantic's own message."""


def documents_in(path: Path, *, unreadable: str, remedy: str = "") -> list[Any]:
    """The documents in a file, as kubectl reads them.

    Raises AirisError with the file and the line. Its remedy is `unreadable` if the file cannot be read, and `remedy` if it is
    not YAML.
    """
    try:
        return kubectl_documents(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise AirisError(f"{path}: {error.strerror}", unreadable) from None
    except YamlError as error:
        raise AirisError(f"{path}: not valid YAML: {error.problem}{error.line}", remedy) from None
    except UnicodeDecodeError as error:
        raise AirisError(f"{path}: not valid YAML: {error}", remedy) from None


def in_words(error: ErrorDetails) -> str:
    """A Pydantic error as one line: the path in the file, the value, and the expected value."""
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"]).removeprefix(".")
    given = f"{error['input']!r}: " if isinstance(error["input"], str | int | float) else ""
    words = _WORDS.get(error["type"], error["msg"].removeprefix("Value error, ")).format(**error.get("ctx", {}))
    return f"{place}: {given}{words}".removeprefix(": ")
