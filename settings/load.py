"""Reads a stack's configuration into `StackSettings`, or reports every problem with it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, cast, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from settings.reading.base_file import over, read_base
from settings.reading.written import Written
from settings.reading.yaml_file import KeyPath, is_not_text
from settings.reading.yaml_scalars import BOOLEAN, DATE, ENGINE, ENGINE_DATE, NULL, NUMBER, TEXT, resolve
from settings.stack import StackSettings
from settings.types.base import RULES_ERROR
from settings.types.project_files import yaml_file
from settings.types.secrets import URL_WITH_PASSWORD, SecretsSettings

PROJECT = "airis"
"""The project's name in Pulumi.yaml, which is the namespace of its config keys."""

_Path = KeyPath

_BASE = "base"
_SECRETS = "secrets"
_HIDDEN = "[not shown]"
_SECRET = "[secret]"  # noqa: S105  (a placeholder)
_NOT_SHOWN = (_HIDDEN, _SECRET)
_CONTEXT = "kubernetes:context"


@dataclass(frozen=True)
class Problem:
    """A wrong setting: its path (`airis:ollama.gpu.count`), its value as displayed, and what is allowed."""

    key: str
    value: str
    allowed: str

    def __str__(self) -> str:
        return f"{self.key}\n    given    {self.value}\n    allowed  {self.allowed}"


class SettingsError(Exception):
    """A stack's configuration is wrong. Lists every problem, without secret values."""

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.source = source
        self.problems = tuple(sorted(problems, key=lambda problem: problem.key))
        count = "1 setting is" if len(problems) == 1 else f"{len(problems)} settings are"
        listed = "\n".join(f"  {problem}" for problem in self.problems)
        super().__init__(f"{source}: {count} wrong. Nothing was changed.\n{listed}")


def load(
    config: Mapping[str, str],
    *,
    source: str,
    secret_keys: AbstractSet[str] = frozenset(),
    root: Path = Path(),
) -> StackSettings:
    """Reads the settings of one stack.

    `config` maps Pulumi config keys (`airis:ollama`) to their values as Pulumi passes them: text, with objects as JSON. Other
    namespaces are ignored, except for `kubernetes:context`, which must match `airis:cluster.context`. `source` is the file that
    errors name; they show values as written there, if it is in `root`. Values under `secret_keys` are never shown. `root` is
    the directory of Pulumi.yaml, to which the path in `airis:base` is relative.

    Raises SettingsError with every problem, undeclared `airis:` keys included (the engine reports none of them: pulumi/pulumi,
    pkg/workspace/config.go).
    """
    own = {
        key.removeprefix(f"{PROJECT}:"): _decode(key.removeprefix(f"{PROJECT}:"), value)
        for key, value in config.items()
        if key.startswith(f"{PROJECT}:")
    }
    shared = _shared(own.get(_BASE), root, source)
    given: Mapping[str, Any] = over(shared, own)
    secret = {key.removeprefix(f"{PROJECT}:") for key in secret_keys}
    written = Written(PROJECT, [root / source, *([root / str(own[_BASE])] if shared else [])])
    problems: dict[_Path, Problem] = dict(_plain_secrets(given, secret))
    for path, problem in _changed_texts(given, secret, written):
        problems.setdefault(path, problem)
    wrong: set[_Path] = set()
    remaining: Any = given
    # Rules between fields are only checked once the fields themselves are valid. To report everything in one run, remove
    # what is wrong and check the rest again, until there are no new problems.
    while True:
        try:
            settings = StackSettings.model_validate(remaining, by_alias=True, by_name=False)
        except ValidationError as error:
            dropped = False
            for path, problem in _problems(error, given, secret, wrong, written):
                problems.setdefault(path, problem)
            for path in [path for detail in error.errors() for path in _drop_at(detail)]:
                wrong.add(path)
                remaining, found = _without(remaining, path)
                dropped = dropped or found
            if not dropped:
                raise SettingsError(source, _placed(problems, own, shared)) from None
        else:
            pinned = settings.cluster.context
            if pinned is not None and config.get(_CONTEXT) != pinned:
                path = ("cluster", "context")
                allowed = f"the same as {_CONTEXT}, {_context_of(config)}"
                problems[path] = Problem(_key(path), _shown(pinned, path, secret), allowed)
            if problems:
                raise SettingsError(source, _placed(problems, own, shared))
            return settings


def _shared(base: object, root: Path, source: str) -> Mapping[str, Any]:
    """The settings of the file in `airis:base`; empty if that is not a text, which is reported with the other problems."""
    if not isinstance(base, str):
        return {}
    try:
        return read_base(root / yaml_file(base))
    except ValueError as error:
        raise SettingsError(source, [Problem(_key((_BASE,)), json.dumps(base), str(error))]) from None


def _placed(problems: Mapping[_Path, Problem], own: Any, shared: Any) -> list[Problem]:
    """The problems, with a note on those whose value is in the shared file."""
    return [
        replace(each, key=f"{each.key} (from {own[_BASE]})")
        if _at(own, path) is _ABSENT and _at(shared, path) is not _ABSENT
        else each
        for path, each in problems.items()
    ]


def _context_of(config: Mapping[str, str]) -> str:
    """Pulumi's own setting decides on the cluster, so it must match the pinned context."""
    given = config.get(_CONTEXT)
    return f"which is {json.dumps(given)}" if given is not None else "which is not set: set it with `pulumi config set`"


def _decode(key: str, value: str) -> Any:
    """Objects, lists, numbers and Booleans are JSON; text is not encoded."""
    text = any(key == field.alias and field.annotation is str for field in StackSettings.model_fields.values())
    if text and value != "null":  # "null" is a key without a value
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _plain_secrets(given: Mapping[str, Any], secret: AbstractSet[str]) -> Iterator[tuple[_Path, Problem]]:
    """Credentials in plain text in the stack file. The engine reports only whether a key holds any encrypted value."""
    credentials = given.get(_SECRETS)
    if _SECRETS in secret or not isinstance(credentials, Mapping):
        return
    for name in SecretsSettings.model_fields.values():
        if credentials.get(name.alias) is not None:
            path = (_SECRETS, str(name.alias))
            allowed = f"no plain text: `pulumi config set --secret --path {_key(path)}`; then rotate the credential"
            yield path, Problem(_key(path), _HIDDEN, allowed)


def _problems(
    error: ValidationError,
    given: Mapping[str, Any],
    secret: AbstractSet[str],
    wrong: AbstractSet[_Path],
    written: Written,
) -> Iterator[tuple[_Path, Problem]]:
    for detail in error.errors():
        if detail["type"] == "default_factory_not_called":  # follows from another error in the same model
            continue
        if detail["type"] == "missing" and detail["loc"] in wrong:  # it was given, and removed
            continue
        if detail["type"] == RULES_ERROR:
            for broken in detail["ctx"]["broken"]:
                path = _extend(detail["loc"], broken.key)
                if not any(_overlaps(_extend(detail["loc"], key), wrong) for key in (broken.key, *broken.reads)):
                    default = " (the default)" if _at(given, path) is _ABSENT else ""
                    yield path, _problem(path, _shown(broken.value, path, secret) + default, broken.allowed, secret)
        else:
            path = detail["loc"]
            value = _at(given, path)
            shown = _shown(value, path, secret)
            as_written = None if shown in _NOT_SHOWN else written.at(path, value)
            allowed = _text_wanted(value, as_written) if detail["type"] == "string_type" else _allowed(detail)
            yield path, _problem(path, as_written or shown, allowed, secret)


def _changed_texts(
    given: Mapping[str, Any], secret: AbstractSet[str], written: Written
) -> Iterator[tuple[_Path, Problem]]:
    """Values without quotes that YAML does not read as text, but the engine passes as text, in its own notation.

    The engine does this with dates, and with top-level keys of the stack.
    """
    for path, text in _texts(given, ()):
        as_written = written.at(path, text)
        if ENGINE_DATE.fullmatch(text) and (as_written is not None or not written.knows(path, text)):
            kind = DATE
        elif len(path) == 1 and as_written is not None and as_written != text:
            kind = resolve(as_written, ENGINE).kind
        else:
            continue
        shown = _shown(text, path, secret)
        as_written = None if shown in _NOT_SHOWN else as_written
        yield path, _problem(path, as_written or shown, _quotes(kind, as_written), secret)


def _texts(value: Any, at: _Path) -> Iterator[tuple[_Path, str]]:
    """Texts that may have been another type in the file."""
    if isinstance(value, str):
        if ENGINE_DATE.fullmatch(value) or (len(at) == 1 and resolve(value, ENGINE).kind not in (TEXT, NULL)):
            yield at, value
    elif isinstance(value, Mapping | list):
        for key, inner in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from _texts(inner, (*at, key))


def _text_wanted(value: object, as_written: str | None) -> str:
    kinds = {NULL: type(None), BOOLEAN: bool, NUMBER: int | float}
    kind = next((kind for kind, types in kinds.items() if isinstance(value, types)), None)
    return "text" if kind is None else _quotes(kind, as_written)


def _quotes(kind: str, as_written: str | None) -> str:
    """Requires text, and shows the quotes to add; in general terms if the characters in the file are unknown."""
    if as_written is not None:
        return f"text: {is_not_text(kind, as_written)}"
    return "text: this is null in YAML" if kind == NULL else f"text in quotes: without them, YAML reads a {kind}"


def _problem(path: _Path, value: str, allowed: str, secret: AbstractSet[str]) -> Problem:
    """A problem that reveals no secret: what is allowed may repeat the value, or an adjacent one.

    Where credentials belong, it never does, and has to name the fix.
    """
    hidden = path and path[0] in secret and not {_SECRETS, "env", "secretEnv"} & {*path}
    return Problem(_key(path), value, "another value: see docs/config.md for this key" if hidden else allowed)


def _extend(location: _Path, key: str) -> _Path:
    return (*location, *(int(part) if part.isdecimal() else part for part in key.split(".")))


def _overlaps(path: _Path, wrong: AbstractSet[_Path]) -> bool:
    return any(path[: len(other)] == other or other[: len(path)] == path for other in wrong)


def _key(path: _Path) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path if part != "[key]")
    return f"{PROJECT}:{text.removeprefix('.')}"


def _shown(value: object, path: _Path, secret: AbstractSet[str]) -> str:
    if path and path[0] in secret:
        return _SECRET
    if _may_be_credential(value, path):
        return _HIDDEN
    if value is _ABSENT:
        return "nothing"
    try:
        return json.dumps(value, ensure_ascii=False)
    except TypeError:
        return str(value)


def _may_be_credential(value: object, path: _Path) -> bool:
    """Values that may contain passwords although they are not encrypted: variables, lists as in a pod's `env`, and texts in
    place of a reference.
    """
    if "env" in path:
        return path[-1] != "env" or isinstance(value, Mapping | list)
    if value is None or value is _ABSENT:
        return False
    if path and path[0] == _SECRETS:
        return True
    if "secretEnv" in path or (path[:1] == ("webui",) and any(str(part).endswith("From") for part in path)):
        return not (isinstance(value, Mapping) or path[-1] in ("name", "key"))
    return URL_WITH_PASSWORD.search(str(value)) is not None


_ABSENT = object()


def _at(given: Any, path: _Path) -> Any:
    for part in path:
        if part == "[key]":  # pydantic's mark for "the key itself, not its value"
            return path[path.index(part) - 1]
        try:
            given = given[part]
        except (KeyError, IndexError, TypeError):
            return _ABSENT
    return given


def _drop_at(detail: ErrorDetails) -> list[_Path]:
    """The paths to remove: the wrong value; for a missing one, its parent; for a rule, its keys."""
    location: _Path = detail["loc"]
    if detail["type"] == RULES_ERROR:
        return [_extend(location, key) for broken in detail["ctx"]["broken"] for key in (broken.key, *broken.reads)]
    if "[key]" in location:
        location = location[: location.index("[key]")]
    elif detail["type"] == "missing":
        location = location[:-1]
    # removing one item of a list would change the indexes of the others, so the whole list is removed
    return [location[:-1] if location and isinstance(location[-1], int) else location]


def _without(given: Any, path: _Path) -> tuple[Any, bool]:
    """A copy without the value at the path, and whether there was one."""
    if not path:
        return {}, bool(given)
    head, *tail = path
    if isinstance(given, Mapping) and head in given:
        if not tail:
            return {key: value for key, value in given.items() if key != head}, True
        inner, found = _without(given[head], tuple(tail))
        return {**given, head: inner}, found
    if isinstance(given, list) and isinstance(head, int) and tail:
        inner, found = _without(given[head], tuple(tail))
        return [*given[:head], inner, *given[head + 1 :]], found
    return given, False


_ALLOWED = {
    "missing": "a value: this key is required",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "greater_than_equal": "a whole number, at least {ge}",
    "less_than_equal": "a whole number, at most {le}",
    "literal_error": "one of {expected}",
    "model_type": "keys and values (a mapping)",
    "dict_type": "keys and values (a mapping)",
    "mapping_type": "keys and values (a mapping)",
    "tuple_type": "a list",
    "value_error": "{error}",
}


def _allowed(detail: ErrorDetails) -> str:
    """What is allowed, in the user's terms; pydantic's message if there is no better one."""
    if detail["type"] == "extra_forbidden":
        return _known_keys(detail["loc"])
    return _ALLOWED.get(detail["type"], detail["msg"]).format(**detail.get("ctx", {}))


def _known_keys(path: _Path) -> str:
    model = _model_at(path[:-1])
    known = sorted(field.alias or name for name, field in model.model_fields.items())
    close = get_close_matches(str(path[-1]), known, n=1)
    hint = f"did you mean `{close[0]}`? The" if close else "the"
    return f"{hint} keys here are {', '.join(known)}"


def _model_at(path: _Path) -> type[BaseModel]:
    """The model at the path, if there is one."""
    at: Any = StackSettings
    for part in path:
        if isinstance(at, type) and issubclass(at, BaseModel):
            at = next(field.annotation for name, field in at.model_fields.items() if part in (name, field.alias))
        else:  # an item of a list or mapping: `tuple[Model, ...]`, `Mapping[str, Model]`
            at = next(inner for inner in reversed(get_args(at)) if inner is not Ellipsis)
        while get_origin(at) in (Annotated, Union, UnionType):
            at = get_args(at)[0]  # `Model | None`
    return cast(type[BaseModel], at)
