"""Converts a container's environment variables to settings: to typed keys if there are any, else to the free maps."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from airis.diff.fields import is_credential

SECRET = "airis-adopted"  # noqa: S105  (its name)
"""The Secret for plain-text credentials, with one key for each variable."""

Config = dict[str, Any]
"""The keys of one section of a stack file (`airis:webui`), nested."""

Fits = Callable[[Config, Mapping[str, str]], bool]
"""Whether a section is valid and sets these variables to these values (if empty: only whether it is valid)."""


@dataclass
class Notes:
    """Notes for the user on what was read."""

    dropped: list[str] = field(default_factory=list)
    """What is not adopted, and why."""
    credentials: list[str] = field(default_factory=list)
    """Variables whose plain-text values belong in the Secret."""


def sections_of(
    environment: list[Mapping[str, Any]], section: Config, managed: Mapping[str, str], fits: Fits, notes: Notes
) -> Config:
    """The section with the settings from the environment.

    `managed` are the variables that settings control, with their keys. Plain-text credentials are replaced by references to the
    Secret.
    """
    waiting: list[tuple[str, str, list[Any], str | None]] = []
    for each in environment:
        name, value, source = each["name"], each.get("value", ""), each.get("valueFrom")
        reference = _reference(source)
        if source and reference is None:
            notes.dropped.append(f"variable {name}: its source {', '.join(source)} is not supported by any setting")
        elif name in managed:
            candidates = [reference[1]] if reference else list(_candidates(name, value))
            waiting.append((name, managed[name], candidates, None if reference else value))
        elif reference is not None:
            section.setdefault(reference[0], {})[name] = reference[1]
        elif is_credential(name, value):
            notes.credentials.append(name)
            section.setdefault("secretEnv", {})[name] = {"name": SECRET, "key": name}
        else:
            section.setdefault("env", {})[name] = value
    # Some keys are only valid together with others: retry the rest as long as a key is found
    while True:
        left = [each for each in waiting if not _set(section, each, fits, notes)]
        if len(left) == len(waiting):
            break
        waiting = left
    for name, key, _, _ in waiting:
        notes.dropped.append(f"variable {name}: {key} controls it, and cannot set this value")
    return section


def put(section: Config, path: str, value: Any) -> Config:
    """A copy of the section with a value at a path (`auth.defaultRole`)."""
    head, _, tail = path.partition(".")
    inner = section.get(head)
    return {**section, head: put(inner if isinstance(inner, dict) else {}, tail, value) if tail else value}


def _set(section: Config, waiting: tuple[str, str, list[Any], str | None], fits: Fits, notes: Notes) -> bool:
    name, key, candidates, value = waiting
    path = key.partition(".")[2]
    if not path or not key.startswith("airis:"):
        return False
    for candidate in candidates:
        tried = put(section, path, candidate)
        made_up = candidate == {"name": SECRET, "key": name}
        if fits(tried, {} if value is None or made_up else {name: value}):
            section.clear()
            section.update(tried)
            if made_up:
                notes.credentials.append(name)
            return True
    return False


def _reference(source: Mapping[str, Any] | None) -> tuple[str, dict[str, str]] | None:
    kinds = {"secretKeyRef": "secretEnv", "configMapKeyRef": "configMapEnv"}
    for kind, section in kinds.items():
        if source and kind in source and not source[kind].get("optional"):
            return section, {"name": source[kind]["name"], "key": source[kind]["key"]}
    return None


def _candidates(name: str, value: str) -> Iterator[Any]:
    """Values of a key that may set the variable to this text."""
    if not is_credential(name, value):
        if value.lower() in ("true", "false"):
            yield value.lower() == "true"
        if value.isdecimal():
            yield int(value)
        yield from dict.fromkeys((value, value.upper(), value.lower()))
        yield from ([part for part in value.split(mark) if part] for mark in (";", ","))
    yield {"name": SECRET, "key": name}
