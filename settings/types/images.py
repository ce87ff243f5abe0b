"""Image references: mutable tags, registries, and their names in a mirror."""

import re

DOCKER_HUB = "docker.io"
"""The registry of references without one."""

_PINNED_TAG = re.compile(r"v?\d+\.\d+\.\d+[-.\w]*|git-[0-9a-f]{7,40}")


def is_mutable(image: str) -> bool:
    """Whether the image behind the reference may change: no digest, and no tag that names one release.

    `latest`, `main` and `0.12` are mutable; `0.12.4`, `v0.12.4-slim` and `git-1a2b3c4` are not, by the convention of the
    projects that publish them (Open WebUI and Ollama among them). Only a digest is a guarantee.
    """
    if "@sha256:" in image:
        return False
    return _PINNED_TAG.fullmatch(_parts(image)[1]) is None


def own_tag(image: str, repository: str) -> str | None:
    """The tag of an image of `repository` (`ollama/ollama`), in any registry or mirror.

    `latest` for a reference without tag and digest, "" for one with only a digest, and None for every other image.
    """
    name, tag = _parts(image)
    if not f"/{name}".endswith(f"/{repository}"):
        return None
    return tag or ("" if "@" in image else "latest")


def _parts(image: str) -> tuple[str, str]:
    """The name with its registry, and the tag; "" if there is none."""
    before, slash, last = image.partition("@")[0].rpartition("/")
    name, _, tag = last.partition(":")
    return f"{before}{slash}{name}", tag


def located(image: str) -> tuple[str, str]:
    """The registry of a reference, and the rest of it: `redis:8` is `library/redis:8` in `docker.io`.

    Source: the grammar of github.com/distribution/reference: the part before the first / is a registry if it has a dot or a
    port, or is localhost. Otherwise the image is on Docker Hub, whose official images are in `library`.
    """
    first, slash, rest = image.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost"):
        first, rest = DOCKER_HUB, image
    if first in (DOCKER_HUB, f"index.{DOCKER_HUB}"):
        return DOCKER_HUB, rest if "/" in rest else f"library/{rest}"
    return first, rest


def mirrored(image: str, prefix: str | None) -> str:
    """The reference of the same image in a mirror: `prefix` replaces the registry.

    `ollama/ollama:0.34.4` becomes `registry.example.com/mirror/ollama/ollama:0.34.4`, `ghcr.io/a/b:1` becomes
    `registry.example.com/mirror/a/b:1`, and Docker Hub's official images are in `library`.
    """
    return image if prefix is None else f"{prefix}/{located(image)[1]}"
