"""Builds the default images, or the named ones."""

import sys

from airis.terminal.errors import AirisError
from tests.cluster import images

if __name__ == "__main__":
    try:
        for path in images.ensure(sys.argv[1:] or list(images.references())):
            print(path)
    except AirisError as problem:
        sys.exit(f"error: {problem}")
