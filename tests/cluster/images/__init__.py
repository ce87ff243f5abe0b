"""The images for a stack's pods, built only from package registries and kept in the user's cache.

recipes.py lists the images; each is an OCI archive for `ctr images import`. `python -m tests.cluster.images`
builds them, and prints its progress.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.cluster.images import recipes
from tests.cluster.images.image import Image, build


def references() -> Mapping[str, Image]:
    """The images of the stories by their full references, as containerd names them."""
    return {each.reference: each for each in recipes.IMAGES}


def archive(reference: str) -> Path:
    """Returns the archive of an image, also of one for measurements. Builds it first if it is not cached.

    Raises KeyError for a reference without a recipe, EnvironmentProblem if the image cannot be built.
    """
    measured = {each.reference: each for each in recipes.MEASURED}
    return build({**references(), **measured}[reference])


def ensure(wanted: Iterable[str]) -> list[Path]:
    """Returns the archives of several images, in the order of the references."""
    return [archive(each) for each in wanted]
