"""Which releases of an application support a setting, and which release an image contains."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from settings.types.base import Broken, Settings, models_in
from settings.types.images import own_tag

Release = tuple[int, int, int]
"""A release as numbers, which compare like releases: (0, 34, 4)."""

_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(?:[-.].*)?")


def release(version: str) -> Release:
    """The release of a version or tag: `0.34.4`, `v0.12.4`, `0.34.4-rocm`. Raises ValueError if it names none."""
    if (found := _VERSION.fullmatch(version)) is None:
        raise ValueError(f"{version} is not a release")
    return int(found[1]), int(found[2]), int(found[3])


@dataclass(frozen=True)
class Supported:
    """Marks a field, or some of its values, that only certain releases support. Unmarked fields are supported by all."""

    since: str = "0.0.0"
    """The first release that supports it."""
    before: str | None = None
    """The first release that no longer supports it; None if the newest one does."""
    values: tuple[object, ...] = ()
    """The values that the mark applies to; empty for the whole field."""

    def by(self, which: Release) -> bool:
        """Whether this release supports it."""
        return release(self.since) <= which and (self.before is None or which < release(self.before))

    def __str__(self) -> str:
        """The releases as text: `before 0.30.0`."""
        first = "" if self.since == "0.0.0" else f"from {self.since} on"
        return " and ".join(filter(None, (first, self.before and f"before {self.before}")))


class Application(NamedTuple):
    """An application whose releases differ in what they support."""

    name: str
    """Display name."""
    repository: str
    """Suffix of the names of its published images, in any registry or mirror."""
    image: str
    """The default image, pinned to a release. An image of unknown release is treated like that release."""

    @property
    def version(self) -> str:
        """The release of the default image."""
        return ".".join(map(str, release(self.image.rpartition(":")[2])))


OLLAMA = Application("Ollama", "ollama/ollama", "ollama/ollama:0.34.4")
OPEN_WEBUI = Application("Open WebUI", "open-webui", "ghcr.io/open-webui/open-webui:v0.12.4")


def release_of(image: str, application: Application) -> Release | None:
    """The release in the application's own image, or a mirror of it, by its tag.

    None for other images, and for images without a tag or with a mutable one.
    """
    tag = own_tag(image, application.repository)
    return release(tag) if tag and _VERSION.fullmatch(tag) else None


def unsupported_rules(settings: Settings, image: str, application: Application) -> Iterator[Broken]:
    """Settings that the release in `image` does not support. None if the release of the image is unknown."""
    which = release_of(image, application)
    if which is None:
        return
    told = f"{application.name} {'.'.join(map(str, which))}"
    for key, value, mark in _unsupported(settings, which):
        instead = "another value" if mark.values else "null"
        allowed = f"{instead}: {told}, the release in image, does not support it; releases {mark} do"
        yield Broken(key, value, allowed, ("image",))


def unsupported_warnings(settings: Settings, image: str, application: Application) -> Iterator[tuple[str, str]]:
    """Settings that the default image's release does not support, if the release of `image` is unknown: keys and texts."""
    if release_of(image, application) is not None:
        return
    told = f"{application.name} {application.version}"
    for key, _, mark in _unsupported(settings, release(application.version)):
        yield (
            re.sub(r"\.(\d+)", r"[\1]", key),
            f"{told} does not support it, releases {mark} do; the release of {image} is unknown",
        )


def marks(metadata: list[object]) -> tuple[Supported, ...]:
    """The marks of a field, from its metadata."""
    return tuple(each for each in metadata if isinstance(each, Supported))


def _unsupported(settings: Settings, which: Release, prefix: str = "") -> Iterator[tuple[str, object, Supported]]:
    """Settings that the release does not support, nested settings included: key, value and mark."""
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
    """The fields of the model with marks or nested settings: name, key, marks."""
    return tuple(
        (name, field.alias or name, found)
        for name, field in model.model_fields.items()
        if (found := marks(field.metadata)) or models_in(field.annotation)
    )
