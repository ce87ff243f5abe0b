"""Reads YAML like the program that the file is for, with errors that name the line and column.

Every value is the same as in that program. Some of what the Pulumi engine accepts is refused, though: keys that are not text,
several documents, tabs between tokens, tags other than those of JSON's types, and values that the engine itself changes,
because it writes and reads again what it has read (pulumi/pulumi, sdk/go/common/workspace/loaders.go): see `_spoilt`.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from settings.reading.yaml_scalars import BOOLEAN, ENGINE, KUBECTL, MERGE, NULL, NUMBER, TEXT, Scalar, Table, resolve

KeyPath = tuple[str | int, ...]
"""Keys and list indexes, from the root of a document."""

_TAGS = {f"tag:yaml.org,2002:{tag}": kind for tag, kind in {"str": TEXT, "bool": BOOLEAN, "null": NULL}.items()}
_TAGS |= {f"tag:yaml.org,2002:{tag}": NUMBER for tag in ("int", "float")}
_INT, _MAP, _SEQ = (f"tag:yaml.org,2002:{tag}" for tag in ("int", "map", "seq"))
_PLAIN = ""
"""In place of a tag: the table decides."""
_FREE_NODES = 1000
_MOST_ALIASED = 100
"""How often a document may repeat itself by its aliases, on average. Source: decode.go of gopkg.in/yaml.v3,
allowedAliasRatio."""


class YamlError(ValueError):
    """A file is not YAML, or not supported YAML. `place` is `:line:column`, if known; `allowed` is what is allowed."""

    def __init__(self, place: str, problem: str, allowed: str = "") -> None:
        super().__init__(f"{place}: {problem}")
        self.place = place
        self.problem = problem
        self.allowed = allowed

    @property
    def line(self) -> str:
        """The line as text: ` (line 3)`; empty if unknown."""
        return f" (line {self.place.split(':')[1]})" if self.place else ""


@dataclass(frozen=True)
class Document:
    """The contents of a file."""

    value: Any
    """The parsed value, of JSON's types: dict, list, str, int, float, bool and None."""
    written: Mapping[KeyPath, str]
    """Each plain scalar that is not text, as written in the file: `1e3`, where `value` has 1000."""


class _Composer(Reader, Scanner, Parser, Composer, BaseResolver):
    """PyYAML's parser, without its rules for plain scalars."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        BaseResolver.__init__(self)

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        if kind is yaml.ScalarNode and implicit[0]:
            return _PLAIN
        return str(super().resolve(kind, value, implicit))  # type: ignore[no-untyped-call]


class _Construction:
    """The values of one document."""

    def __init__(self, table: Table) -> None:
        self.written: dict[KeyPath, str] = {}
        self._table = table
        self._open: set[int] = set()
        self._distinct: set[int] = set()
        self._nodes = 0

    def value(self, node: yaml.Node, at: KeyPath) -> Any:
        self._nodes += 1
        self._distinct.add(id(node))
        if self._nodes > _FREE_NODES and self._nodes > _MOST_ALIASED * len(self._distinct):
            raise _error(node, "the aliases of this document expand to too many nodes")
        if isinstance(node, yaml.ScalarNode):
            scalar = self._scalar(node)
            if scalar.kind != TEXT:
                self.written[at] = node.value
            elif self._table.written_again and _spoilt(node.value):
                raise _error(node, "a multi-line text must not begin with an empty line or a tab")
            return scalar.value
        if node.tag not in (_MAP, _SEQ):
            raise _unknown_tag(node)
        if isinstance(node, yaml.MappingNode):
            entries: Iterable[tuple[str | int, yaml.Node]] = self._entries(node).items()
            with self._inside(node):
                return {key: self.value(inner, (*at, key)) for key, inner in entries}
        with self._inside(node):
            return [self.value(inner, (*at, place)) for place, inner in enumerate(node.value)]

    def _entries(self, node: yaml.MappingNode) -> dict[str, yaml.Node]:
        """The values of a mapping by key, including those of its merge keys."""
        own: dict[str, yaml.Node] = {}
        merged: dict[str, yaml.Node] = {}
        seen: set[str] = set()
        with self._inside(node):
            for key, value in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    raise _error(key, "a key must be plain text")
                if self._table.unique_keys and key.value in seen:
                    raise _error(key, f"duplicate key {key.value!r}", "each key once")
                seen.add(key.value)
                if key.tag == _PLAIN and key.style is None and key.value == MERGE:
                    for each in reversed(_to_merge(value)):  # the first one takes precedence
                        merged |= self._entries(each)
                elif self._table.written_again and key.value == MERGE:
                    raise _error(key, f"the engine treats the key {MERGE} as a merge key, even in quotes")
                else:
                    own[self._key(key)] = value
        return {**merged, **own}

    @contextmanager
    def _inside(self, node: yaml.Node) -> Iterator[None]:
        if id(node) in self._open:
            raise _error(node, "this alias contains itself")
        self._open.add(id(node))
        yield
        self._open.remove(id(node))

    def _key(self, node: yaml.ScalarNode) -> str:
        scalar = self._scalar(node)
        if scalar.kind == TEXT:
            return str(scalar.value)
        if self._table.text_keys:
            raise _error(node, is_not_text(scalar.kind, node.value))
        return json.dumps(scalar.value)

    def _scalar(self, node: yaml.ScalarNode) -> Scalar:
        if node.style is not None and node.tag == _PLAIN:
            return Scalar(TEXT, node.value)
        if node.tag == _PLAIN:
            scalar = resolve(node.value, self._table)
        elif (kind := _TAGS.get(node.tag)) == TEXT:
            return Scalar(TEXT, node.value)
        elif kind is None:
            raise _unknown_tag(node)
        else:
            scalar = resolve(node.value, self._table)
            if scalar.kind != kind or (node.tag == _INT and not isinstance(scalar.value, int)):
                raise _error(node, f"{node.value!r} is not a valid {node.tag.rpartition(':')[2]}")
        if isinstance(scalar.value, float) and not math.isfinite(scalar.value):
            raise _error(
                node, f'{node.value} is a number that JSON cannot represent: write "{node.value}" for the text'
            )
        return scalar


def _spoilt(text: str) -> bool:
    """Whether the engine loses the first line break of a text, or cannot read its own output because of a tab."""
    return "\n" in text and text[0] in "\n\t"


def _to_merge(node: yaml.Node) -> list[yaml.MappingNode]:
    """The mappings of a merge key, in order of precedence."""
    wanted = node.value if isinstance(node, yaml.SequenceNode) else [node]
    if not all(isinstance(each, yaml.MappingNode) for each in wanted):
        raise _error(node, f"{MERGE} requires a mapping, or a list of mappings")
    return list(wanted)


def is_not_text(kind: str, written: str) -> str:
    """Describes a plain scalar in place of a text, and the correction: `1e3 is a number in YAML: write "1e3"`."""
    if not written:
        return "a key without a value is null in YAML"
    quoted = json.dumps(written, ensure_ascii=False)
    if kind == NULL:
        return f"{written} is null in YAML: write {quoted} for the text"
    return f"{written} is a {kind} in YAML: write {quoted}"


class _Unfit(yaml.MarkedYAMLError):
    """YAML that is not supported, or ambiguous. `note` describes what is allowed, if the problem does not."""


def _error(node: yaml.Node, problem: str, allowed: str = "") -> _Unfit:
    return _Unfit(None, None, problem, node.start_mark, allowed)


def _unknown_tag(node: yaml.Node) -> _Unfit:
    return _error(node, f"the tag {node.tag!r} is not supported")


@contextmanager
def _explained(allowed: str) -> Iterator[None]:
    try:
        yield
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        right = error.note if isinstance(error, _Unfit) else allowed
        raise YamlError(place, str(error.problem), right or "") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise YamlError("", f"it is not YAML text: {error}") from None
    except RecursionError:
        raise YamlError("", "its mappings and lists are nested too deeply", allowed) from None


def read_yaml(path: Path) -> Any:
    """The contents of the file, as the Pulumi engine reads it: the value of `read_document`, with the same exceptions."""
    return read_document(path).value


def read_document(path: Path) -> Document:
    """The single document in the file, as the Pulumi engine reads it; its value is None for an empty file.

    Raises YamlError for invalid YAML and for keys that are duplicate or not text; OSError if the file does not exist.
    """
    with _explained("the file must be YAML"):
        node = _Composer(path.read_text(encoding="utf-8-sig")).get_single_node()
        if node is None:
            return Document(None, {})
        construction = _Construction(ENGINE)
        return Document(construction.value(node, ()), construction.written)


def kubectl_documents(text: str) -> list[Any]:
    """The documents in a text, as kubectl reads them. Raises YamlError for invalid YAML."""
    found = []
    with _explained("the file must be YAML"):
        composer = _Composer(text.removeprefix("\ufeff"))
        while composer.check_node():
            node = composer.get_node()
            found.append(None if node is None else _Construction(KUBECTL).value(node, ()))
    return found
