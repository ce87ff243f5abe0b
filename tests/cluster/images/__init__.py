"""The images that a stack's pods need, made from package registries alone and kept in the user's cache.

recipes.py says which images there are; each is an OCI archive for `ctr images import`. `python -m tests.cluster.images`
builds them, with a line of progress for each.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.cluster.images import recipes
from tests.cluster.images.image import Image, build


def references() -> Mapping[str, Image]:
    """The images of the stories by their full references, as containerd names them."""
    return {each.reference: each for each in recipes.IMAGES}


def archive(reference: str) -> Path:
    """Returns the archive of an image, which is built first where it is not cached; also of one for measurements.

    Raises KeyError for a reference that no recipe has, EnvironmentProblem where the image cannot be built.
    """
    measured = {each.reference: each for each in recipes.MEASURED}
    return build({**references(), **measured}[reference])


def ensure(wanted: Iterable[str]) -> list[Path]:
    """Returns the archives of several images, in the order of the references."""
    return [archive(each) for each in wanted]
