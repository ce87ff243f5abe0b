"""How values are written in the stack's files: the engine passes on only the parsed value (`1e3` is 1000)."""

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from settings.reading.yaml_file import Document, KeyPath, YamlError, read_document

_CONFIG = "config"


class Written:
    """The stack file and its shared file. They are read on first use."""

    def __init__(self, prefix: str, files: Sequence[Path]) -> None:
        self._prefix = prefix
        self._files = files

    @cached_property
    def _documents(self) -> list[Document]:
        found = []
        for file in self._files:
            try:
                document = read_document(file)
            except (OSError, YamlError):  # reported by the code that requires the file
                continue
            if isinstance(document.value, Mapping) and isinstance(document.value.get(_CONFIG), Mapping):
                found.append(document)
        return found

    def knows(self, path: KeyPath, value: object) -> bool:
        """Whether one of the files has this value at this path."""
        return self._place(path, value) is not None

    def at(self, path: KeyPath, value: object) -> str | None:
        """The characters of a plain scalar that is not text; None for other values, and if the files do not have this value."""
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
    """A value of a top-level key of the stack, as the engine passes it on."""
    return value if isinstance(value, str) else json.dumps(value)
