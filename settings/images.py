"""Whether an image reference always means the same image."""

import re

_PINNED_TAG = re.compile(r"v?\d+\.\d+\.\d+[-.\w]*|git-[0-9a-f]{7,40}")


def is_mutable(image: str) -> bool:
    """Whether the image behind the reference may change: no digest, and no tag that names one release.

    `latest`, `main` and `0.12` move; `0.12.4`, `v0.12.4-slim` and `git-1a2b3c4` do not, by the habit of the projects that
    publish them (Open WebUI and Ollama among them). Only a digest is a promise.
    """
    if "@sha256:" in image:
        return False
    tag = image.rpartition("/")[2].partition(":")[2]
    return _PINNED_TAG.fullmatch(tag) is None
