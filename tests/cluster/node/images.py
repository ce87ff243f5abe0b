"""Images on a node: imported once into containerd's store, which is cached between runs."""

import json
import tarfile
from collections.abc import Iterable
from pathlib import Path

from airis.terminal.progress import step
from tests.cluster import images
from tests.cluster.node.node import Node


def load(node: Node, references: Iterable[str]) -> None:
    """Imports images that are missing on the node or differ from those there; builds them first if they are not cached.

    Raises KeyError for a reference without a recipe, EnvironmentProblem if an image cannot be built.
    """
    there = _present(node)
    for reference in dict.fromkeys(references):  # the containers of a pod often share an image
        with node.outside():
            archive = images.archive(reference)
        if there.get(reference) != _digest(archive):
            with step(f"Importing {reference}"), archive.open("rb") as file:
                node.ctr("images", "import", "-", stdin=file)


def _present(node: Node) -> dict[str, str]:
    """The digest of each image by its reference."""
    lines = node.ctr("images", "list").splitlines()[1:]
    return {reference: digest for reference, _, digest, *_ in map(str.split, lines)}


def _digest(archive: Path) -> str:
    with tarfile.open(archive) as tar:
        content = tar.extractfile("index.json")
        assert content is not None, f"{archive} is not in the OCI image layout"
        (manifest,) = json.load(content)["manifests"]
    return str(manifest["digest"])
