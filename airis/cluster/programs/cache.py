"""The cache folder of the sandbox."""

import os
from pathlib import Path

from platformdirs import user_cache_path


def cache_root() -> Path:
    """The cache folder: $AIRIS_CACHE, or `airis` in the user's cache folder."""
    if chosen := os.environ.get("AIRIS_CACHE"):
        return Path(chosen).expanduser().resolve()
    return user_cache_path("airis")
