"""Where the sandbox keeps what it needs between runs."""

import os
from pathlib import Path

from platformdirs import user_cache_path


def cache_root() -> Path:
    """The cache folder: $AIRIS_CACHE, or `airis` in the user's own cache folder."""
    if chosen := os.environ.get("AIRIS_CACHE"):
        return Path(chosen).expanduser().resolve()
    return user_cache_path("airis")
