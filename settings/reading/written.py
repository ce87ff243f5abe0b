"""How a value stands in the stack's files: the engine tells the program only what became of it (`1e3` is 1000)."""

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from settings.reading.yaml_file import Document, KeyPath, YamlError, read_document

_CONFIG = "config"


class Written:
    """The stack file, and the one that it shares with others. They are read when somebody asks."""

    def __init__(self, prefix: str, files: Sequence[Path]) -> None:
        self._prefix = prefix
        self._files = files

    @cached_property
    def _documents(self) -> list[Document]:
        found = []
        for file in self._files:
            try:
                document = read_document(file)
            except (OSError, YamlError):  # whoever needs the file says so
                continue
            if isinstance(document.value, Mapping) and isinstance(document.value.get(_CONFIG), Mapping):
                found.append(document)
        return found

    def knows(self, path: KeyPath, value: object) -> bool:
        """Whether that value stands at that path in one of the files."""
        return self._place(path, value) is not None

    def at(self, path: KeyPath, value: object) -> str | None:
        """The characters of a plain scalar that is no text; None for all else, and where the files do not hold that value."""
        place = self._place(path, value)
        return None if place is None else place[0].written.get(place[1])

    def _place(self, path: KeyPath, value: object) -> tuple[Document, KeyPath] | None:
        for document in self._documents:
            for key in (f"{self._prefix}:{path[0]}", path[0]) if path else ():
                full = (_CONFIG, key, *path[1:])
                try:
                    found = _at(document.value, full)
                except (KeyError, IndexError, TypeError):
                    continue
                return (
                    (document, full) if value in (found, _text(found)) and type(value) in (type(found), str) else None
                )
        return None


def _at(value: Any, path: KeyPath) -> Any:
    for part in path:
        value = value[part]
    return value


def _text(value: object) -> str:
    """A value of a key of the stack itself, as the engine hands it over."""
    return value if isinstance(value, str) else json.dumps(value)
