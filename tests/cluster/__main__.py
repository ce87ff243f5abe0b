"""Builds the programs of the node and the images before the tests, and prints its progress."""

import os
import sys

from airis.terminal.errors import AirisError
from tests.cluster import browser, images, target
from tests.cluster.node import packages, programs

if __name__ == "__main__":
    if reason := target.obstacle():
        print(f"Skipped the builds for tests/cluster: {reason}.", file=sys.stderr)
        sys.exit()
    try:
        if target.KUBECONFIG not in os.environ:
            packages.ensure()
            programs.folders()
        browser.ensure()
        images.ensure(images.references())
    except AirisError as problem:
        sys.exit(f"error: {problem}")
