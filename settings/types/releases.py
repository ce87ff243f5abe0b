"""Which releases of an application support a setting, and which release an image holds."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from settings.types.base import Broken, Settings, models_in
from settings.types.images import own_tag

Release = tuple[int, int, int]
"""A release as numbers, which compare as releases do: (0, 34, 4)."""

_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(?:[-.].*)?")


def release(version: str) -> Release:
    """The release of a version or tag that names one: `0.34.4`, `v0.12.4`, `0.34.4-rocm`. Raises ValueError for others."""
    if (found := _VERSION.fullmatch(version)) is None:
        raise ValueError(f"{version} is no release")
    return int(found[1]), int(found[2]), int(found[3])


@dataclass(frozen=True)
class Supported:
    """Marks a field, or some of its values, that only certain releases support. Without the mark, all do."""

    since: str = "0.0.0"
    """The first release that supports it."""
    before: str | None = None
    """The first release that no longer does; None while the newest does."""
    values: tuple[object, ...] = ()
    """The values that the mark is about; none for the field as a whole."""

    def by(self, which: Release) -> bool:
        """Whether that release supports it."""
        return release(self.since) <= which and (self.before is None or which < release(self.before))

    def __str__(self) -> str:
        """The releases in words: `before 0.30.0`."""
        first = "" if self.since == "0.0.0" else f"from {self.since} on"
        return " and ".join(filter(None, (first, self.before and f"before {self.before}")))


class Application(NamedTuple):
    """An application whose releases differ in what they support."""

    name: str
    """As people call it."""
    repository: str
    """How the names of the images end that it publishes, in whatever registry or mirror."""
    image: str
    """The default image, at one release. An image that does not tell its release is taken for that one."""

    @property
    def version(self) -> str:
        """The release of the default image."""
        return ".".join(map(str, release(self.image.rpartition(":")[2])))


OLLAMA = Application("Ollama", "ollama/ollama", "ollama/ollama:0.34.4")
OPEN_WEBUI = Application("Open WebUI", "open-webui", "ghcr.io/open-webui/open-webui:v0.12.4")


def release_of(image: str, application: Application) -> Release | None:
    """The release in the application's own image, or a mirror of it, by its tag.

    None for images of somebody else, which may hold anything, and for those without a tag or with one that moves.
    """
    tag = own_tag(image, application.repository)
    return release(tag) if tag and _VERSION.fullmatch(tag) else None


def unsupported_rules(settings: Settings, image: str, application: Application) -> Iterator[Broken]:
    """What is set, and not supported by the release in `image`. Nothing where the image does not tell its release."""
    which = release_of(image, application)
    if which is None:
        return
    told = f"{application.name} {'.'.join(map(str, which))}"
    for key, value, mark in _unsupported(settings, which):
        instead = "another value" if mark.values else "null"
        allowed = f"{instead}: {told}, the release in image, does not support it; releases {mark} do"
        yield Broken(key, value, allowed, ("image",))


def unsupported_warnings(settings: Settings, image: str, application: Application) -> Iterator[tuple[str, str]]:
    """The same, as keys and words, where the image does not tell its release: the default image's decides then."""
    if release_of(image, application) is not None:
        return
    told = f"{application.name} {application.version}"
    for key, _, mark in _unsupported(settings, release(application.version)):
        yield (
            re.sub(r"\.(\d+)", r"[\1]", key),
            f"{told} does not support it, releases {mark} do; {image} does not tell its release",
        )


def marks(metadata: list[object]) -> tuple[Supported, ...]:
    """The marks of a field, from its metadata."""
    return tuple(each for each in metadata if isinstance(each, Supported))


def _unsupported(settings: Settings, which: Release, prefix: str = "") -> Iterator[tuple[str, object, Supported]]:
    """What these settings set that the release does not support, nested settings included: key, value, and the mark."""
    for name, alias, found in _marked(type(settings)):
        value, key = getattr(settings, name), f"{prefix}{alias}"
        if isinstance(value, Settings):
            yield from _unsupported(value, which, f"{key}.")
        elif isinstance(value, tuple) and value and isinstance(value[0], Settings):
            for index, item in enumerate(value):
                yield from _unsupported(item, which, f"{key}.{index}.")
        elif value is not None and value != ():
            for mark in found:
                if not mark.by(which) and (not mark.values or value in mark.values):
                    yield key, value, mark


@cache
def _marked(model: type[Settings]) -> tuple[tuple[str, str, tuple[Supported, ...]], ...]:
    """The fields of the model that have marks, or further settings: name, key, marks."""
    return tuple(
        (name, field.alias or name, found)
        for name, field in model.model_fields.items()
        if (found := marks(field.metadata)) or models_in(field.annotation)
    )
