"""Stack files: `Pulumi.<stack>.yaml`, read as the Pulumi engine reads them."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from airis.errors import AirisError
from settings.secrets import UNREADABLE

PROJECT_FILE = "Pulumi.yaml"

SECRETS_KEY = "airis:secrets"

_STACK_FILE = re.compile(r"Pulumi\.(?P<name>[^/]+)\.yaml")


@dataclass(frozen=True)
class StackFile:
    """A stack's configuration as the engine would hand it to the program."""

    name: str
    """The stack's name, as in `--stack gpu`."""
    path: Path
    """The stack file; the program stands beside it."""
    config: Mapping[str, str]
    """Values by full key (`airis:ollama`); objects as JSON."""
    secret_keys: frozenset[str]
    """Keys whose value is encrypted. Their value in `config` is a placeholder: nothing here can decrypt it."""


def project_root(start: Path | None = None) -> Path:
    """The folder with Pulumi.yaml: this one or the nearest above. Raises AirisError where there is none."""
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if (folder / PROJECT_FILE).is_file():
            return folder
    raise AirisError(f"{start}: no {PROJECT_FILE} here or above", "run airis in the folder of the airis program")


def stack_names(root: Path) -> list[str]:
    """The stacks that have a file, sorted."""
    return sorted(match["name"] for path in root.iterdir() if (match := _STACK_FILE.fullmatch(path.name)))


def read_stack(name: str, root: Path | None = None) -> StackFile:
    """Reads `Pulumi.<name>.yaml`.

    Raises AirisError, naming the file and the place in it, for a stack that does not exist, a file that is empty or does
    not parse, and keys that stand twice.
    """
    root = root or project_root()
    path = root / f"Pulumi.{name}.yaml"
    if not path.is_file():
        known = ", ".join(stack_names(root)) or "none"
        raise AirisError(f"there is no stack {name!r}: {path.name} does not exist", f"the stacks here are: {known}")
    document = _parse(path)
    if not isinstance(document, Mapping) or not isinstance(config := document.get("config"), Mapping):
        raise AirisError(
            f"{path.name}: it holds no configuration",
            "it needs at least the line `config: {}`; what it does not say keeps its default",
        )
    keys = [_full_key(key) for key in config]
    if twice := [key for key in dict.fromkeys(keys) if keys.count(key) > 1]:
        raise AirisError(
            f"{path.name}: {', '.join(twice)} stands twice, with its prefix and without", "every key must stand once"
        )
    if plain := _plain_secrets(config):
        raise AirisError(
            f"{path.name}: {', '.join(plain)} stands there in plain text",
            f"`pulumi config set --stack {name} --secret --path {plain[0]}` encrypts it; then change the value that was seen",
        )
    return StackFile(
        name=name,
        path=path,
        config={_full_key(key): _value(value) for key, value in config.items()},
        secret_keys=frozenset(_full_key(key) for key, value in config.items() if _holds_secret(value)),
    )


def _plain_secrets(config: Mapping[str, Any]) -> list[str]:
    """Paths of credentials that are not encrypted. The engine does not tell: it only knows whether some value is."""
    secrets = next((value for key, value in config.items() if _full_key(key) == SECRETS_KEY), None)
    if not isinstance(secrets, Mapping):
        return []
    return [
        f"{SECRETS_KEY}.{name}" for name, value in secrets.items() if value is not None and not _holds_secret(value)
    ]


def _full_key(key: object) -> str:
    """A key without a namespace belongs to the project."""
    return str(key) if ":" in str(key) else f"airis:{key}"


def _holds_secret(value: Any) -> bool:
    if isinstance(value, Mapping):
        return set(value) == {"secure"} or any(map(_holds_secret, value.values()))
    return isinstance(value, list) and any(map(_holds_secret, value))


def _value(value: Any) -> str:
    decrypted = _placeholders(value)
    return decrypted if isinstance(decrypted, str) else json.dumps(decrypted, default=str)


def _placeholders(value: Any) -> Any:
    if isinstance(value, Mapping):
        if set(value) == {"secure"}:
            return UNREADABLE
        return {str(key): _placeholders(inner) for key, inner in value.items()}
    return [_placeholders(inner) for inner in value] if isinstance(value, list) else value


class _Loader(yaml.SafeLoader):
    """YAML 1.2's few plain types, as the engine's own parser has them; and a key that stands twice is an error."""

    yaml_implicit_resolvers = {  # noqa: RUF012  (as the base class has it)
        first: [
            (tag, pattern)
            for tag, pattern in resolvers
            if tag.rpartition(":")[2] in ("null", "int", "float")
            or (tag.endswith(":bool") and first in "tTfF")  # yes, no, on and off are text
        ]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key must be plain text", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _parse(path: Path) -> Any:
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506  (a SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise AirisError(
            f"{path.name}{place}: {error.problem}", "the file must be YAML in which every key stands once"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise AirisError(f"{path.name}: it is not text in YAML: {error}") from None
