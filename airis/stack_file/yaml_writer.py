"""Writes YAML that YAML 1.1 and 1.2 parsers read alike: a string stays a string.

Strings and keys that any parser could read as another type are quoted (`settings.reading.yaml_scalars.looks_like_text`).
"""

from collections.abc import Iterable
from typing import Any

import yaml

from settings.reading.yaml_scalars import looks_like_text

_TEXT = "tag:yaml.org,2002:str"
_ONE_LINE = 1000
"""The line width: texts in manifests are hardly ever longer."""
_LAST_OF_BMP = "\uffff"
"""Later characters are escaped, as libyaml does. PyYAML's own emitter, the fallback without libyaml, does not."""


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]  # libyaml is not everywhere
    def ignore_aliases(self, data: Any) -> bool:
        """Disables anchors, which are unusual in manifests."""
        return True


class _LineDumper(_Dumper):
    """For values on a single line."""


def _represent(dumper: Any, text: str) -> yaml.ScalarNode:
    node: yaml.ScalarNode = dumper.represent_scalar(_TEXT, text, style=_style(text))
    return node


_Dumper.add_representer(str, _represent)

_LineDumper.add_representer(
    str, lambda dumper, text: dumper.represent_scalar(_TEXT, text, style='"' if "\n" in text else _style(text))
)


def _style(text: str) -> str | None:
    """The style of a string; None lets the emitter choose plain style or the quotes that the syntax requires."""
    simple = text.replace("\n", "").isprintable() and max(text, default="") <= _LAST_OF_BMP
    if not simple:
        return '"'
    if "\n" not in text:
        return None if looks_like_text(text) else "'"
    literal = (
        text == text.lstrip() and not text.endswith("\n\n") and all(line == line.rstrip() for line in text.split("\n"))
    )
    return "|" if literal else '"'


def dump(value: Any, *, width: int = _ONE_LINE) -> str:
    """A YAML document from JSON-like data. Mappings keep their order. Longer texts are folded at `width` columns."""
    return dump_all([value], width=width, explicit_start=False)


def dump_all(values: Iterable[Any], *, width: int = _ONE_LINE, explicit_start: bool = True) -> str:
    """Several documents, each after a `---`."""
    text: str = yaml.dump_all(
        values, Dumper=_Dumper, sort_keys=False, explicit_start=explicit_start, allow_unicode=True, width=width
    )
    return text


def dump_line(value: Any) -> str:
    """A value on one line, to put after a key of a block mapping."""
    text: str = yaml.dump(
        value, Dumper=_LineDumper, default_flow_style=True, sort_keys=False, width=10**6, allow_unicode=True
    )
    return text.removesuffix("...\n").rstrip("\n")
