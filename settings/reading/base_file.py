"""`airis:base`: settings that several stacks share, in a file that looks like a stack file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from settings.reading.yaml_file import YamlError, read_yaml
from settings.types.secrets import holds_encrypted

_PREFIX = "airis:"
_STACKS_OWN = ("base", "cluster", "secrets", "takeover")
"""What belongs to one stack: credentials are encrypted for it, and it runs in one cluster."""


class BaseError(ValueError):
    """The file that `airis:base` names cannot be one. The message says what would be right."""


def read_base(path: Path) -> dict[str, Any]:
    """The settings in that file, by their keys without `airis:`.

    Raises BaseError for a file that is not there, does not parse, or holds what belongs to one stack alone: credentials and
    other encrypted values, keys of Pulumi's own, another base.
    """
    try:
        document = read_yaml(path)
    except OSError as error:
        raise BaseError(f"a file that can be read; {path.name}: {error.strerror}") from None
    except YamlError as error:
        raise BaseError(f"YAML; {path.name}{error}") from None
    config = document.get("config") if isinstance(document, Mapping) else None
    if not isinstance(config, Mapping):
        raise BaseError(f"a file with `config:`, as a stack file has it; {path.name} holds none")
    found: dict[str, Any] = {}
    for full, value in config.items():
        key = str(full).removeprefix(_PREFIX)
        if ":" in key or key in _STACKS_OWN:
            raise BaseError(f"a file without {full}, which belongs into each stack file")
        if holds_encrypted(value):
            raise BaseError(f"a file without encrypted values ({full} has one): they belong to one stack")
        found[key] = value
    return found


def over(base: Any, own: Any) -> Any:
    """The stack's own settings over the shared ones: mappings are merged at every depth; all else is the stack's own."""
    if isinstance(base, Mapping) and isinstance(own, Mapping):
        return {**base, **{key: over(base.get(key), value) for key, value in own.items()}}
    return own
