"""`airis:base`: settings that several stacks share, in a file with the format of a stack file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from settings.reading.yaml_file import YamlError, read_yaml
from settings.types.secrets import holds_encrypted

_PREFIX = "airis:"
_STACKS_OWN = ("base", "cluster", "secrets", "takeover")
"""Keys of a single stack: credentials are encrypted for it, and it runs in one cluster."""


class BaseError(ValueError):
    """The file in `airis:base` cannot be used. The message describes what is allowed."""


def read_base(path: Path) -> dict[str, Any]:
    """The settings in the file, by key without `airis:`.

    Raises BaseError for a file that does not exist, does not parse, or contains keys of a single stack: credentials and other
    encrypted values, Pulumi's own keys, another base.
    """
    try:
        document = read_yaml(path)
    except OSError as error:
        raise BaseError(f"a readable file; {path.name}: {error.strerror}") from None
    except YamlError as error:
        raise BaseError(f"YAML; {path.name}{error}") from None
    config = document.get("config") if isinstance(document, Mapping) else None
    if not isinstance(config, Mapping):
        raise BaseError(f"a file with `config:`, like a stack file; {path.name} has none")
    found: dict[str, Any] = {}
    for full, value in config.items():
        key = str(full).removeprefix(_PREFIX)
        if ":" in key or key in _STACKS_OWN:
            raise BaseError(f"a file without {full}, which belongs in each stack file")
        if holds_encrypted(value):
            raise BaseError(f"a file without encrypted values ({full} has one), which belong in each stack file")
        found[key] = value
    return found


def over(base: Any, own: Any) -> Any:
    """The stack's settings merged over the shared ones: mappings are merged at every depth, other values are replaced."""
    if isinstance(base, Mapping) and isinstance(own, Mapping):
        return {**base, **{key: over(base.get(key), value) for key, value in own.items()}}
    return own
