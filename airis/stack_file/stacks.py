"""Stack files: `Pulumi.<stack>.yaml`, read as the Pulumi engine reads them."""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from airis.stack_file.project import PROJECT_FILE as PROJECT_FILE  # noqa: PLC0414  (most look for it here)
from airis.stack_file.project import project_root as project_root  # noqa: PLC0414
from airis.stack_file.project import stack_names as stack_names  # noqa: PLC0414
from airis.terminal.errors import AirisError
from settings import SettingsError, StackSettings, load
from settings.reading.yaml_file import YamlError, read_yaml
from settings.types.secrets import UNREADABLE, holds_encrypted

SECRETS_KEY = "airis:secrets"

UPSERT_KEY = "kubernetes:upsertExistingObjects"
UPSERT_VARIABLE = "PULUMI_K8S_UPSERT_EXISTING_OBJECTS"
"""Both make the provider update objects that exist already. By default, it refuses to create them.

Source: pulumi/pulumi-kubernetes, provider/pkg/gen/schema.go.
"""

_PATTERN = re.compile(r"[*?[]")


@dataclass(frozen=True)
class StackFile:
    """A stack's configuration as the engine would pass it to the program."""

    name: str
    """The stack's name, as in `--stack gpu`."""
    path: Path
    """The stack file, which is in the program's folder."""
    config: Mapping[str, str]
    """Values by full key (`airis:ollama`); objects as JSON."""
    secret_keys: frozenset[str]
    """Keys with encrypted values. Their values in `config` are placeholders: only Pulumi can decrypt them."""

    @property
    def upserts(self) -> bool:
        """Whether `up` takes over existing objects, according to this configuration or the environment."""
        return "true" in (self.config.get(UPSERT_KEY), os.environ.get(UPSERT_VARIABLE))


def read_stacks(names: Sequence[str], root: Path | None = None) -> list[StackFile]:
    """Reads the stacks of those names, each once. A name with `*`, `?` or `[` is a pattern for several stacks.

    Raises AirisError as `read_stack` does, and for a pattern without a match.
    """
    root = root or project_root()
    there = stack_names(root)
    found: dict[str, None] = {}
    for name in names:
        fitting = [each for each in there if fnmatchcase(each, name)] if _PATTERN.search(name) else [name]
        if not fitting:
            raise AirisError(f"no stack matches {name!r}", f"available stacks: {', '.join(there) or 'none'}")
        found |= dict.fromkeys(fitting)
    return [read_stack(each, root) for each in found]


def read_stack(name: str, root: Path | None = None) -> StackFile:
    """Reads `Pulumi.<name>.yaml`.

    Raises AirisError with the file and the line for a stack that does not exist, a file that is empty or does not parse, and
    duplicate keys.
    """
    root = root or project_root()
    path = root / f"Pulumi.{name}.yaml"
    if not path.is_file():
        known = ", ".join(stack_names(root)) or "none"
        raise AirisError(f"there is no stack {name!r}: {path.name} does not exist", f"available stacks: {known}")
    document = _parse(path)
    if not isinstance(document, Mapping) or not isinstance(config := document.get("config"), Mapping):
        raise AirisError(
            f"{path.name}: no configuration",
            "add at least the line `config: {}`; keys that are not set keep their defaults",
        )
    keys = [_full_key(key) for key in config]
    if twice := [key for key in dict.fromkeys(keys) if keys.count(key) > 1]:
        raise AirisError(
            f"{path.name}: duplicate key {', '.join(twice)}, with and without its prefix", "set every key only once"
        )
    if plain := _plain_secrets(config):
        raise AirisError(
            f"{path.name}: {', '.join(plain)} is in plain text",
            f"encrypt it with `pulumi config set --stack {name} --secret --path {plain[0]}`; then rotate the credential",
        )
    return StackFile(
        name=name,
        path=path,
        config={_full_key(key): _value(value) for key, value in config.items()},
        secret_keys=frozenset(_full_key(key) for key, value in config.items() if holds_encrypted(value)),
    )


def settings_of(stack: StackFile) -> StackSettings:
    """The stack's settings. Raises AirisError with all of their errors."""
    try:
        return load(stack.config, source=stack.path.name, secret_keys=stack.secret_keys, root=stack.path.parent)
    except SettingsError as error:
        raise AirisError(str(error)) from None


def _plain_secrets(config: Mapping[str, Any]) -> list[str]:
    """Paths of credentials that are not encrypted. The engine only reports whether a section contains an encrypted value."""
    secrets = next((value for key, value in config.items() if _full_key(key) == SECRETS_KEY), None)
    return list(_plain_at(SECRETS_KEY, secrets)) if isinstance(secrets, Mapping) else []


def _plain_at(path: str, value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items() if set(value) != {"secure"} else ():
            yield from _plain_at(f"{path}.{name}", inner)
    elif value is not None:
        yield path


def _full_key(key: object) -> str:
    """A key without a namespace belongs to the project."""
    return str(key) if ":" in str(key) else f"airis:{key}"


def _value(value: Any) -> str:
    decrypted = _placeholders(value)
    return decrypted if isinstance(decrypted, str) else json.dumps(decrypted)


def _placeholders(value: Any) -> Any:
    if isinstance(value, Mapping):
        if set(value) == {"secure"}:
            return UNREADABLE
        return {str(key): _placeholders(inner) for key, inner in value.items()}
    return [_placeholders(inner) for inner in value] if isinstance(value, list) else value


def _parse(path: Path) -> Any:
    try:
        return read_yaml(path)
    except YamlError as error:
        raise AirisError(f"{path.name}{error.place}: {error.problem}", error.allowed) from None
