"""docs/troubleshooting.md: the quoted output is what the command prints."""

import re

import pytest

from airis.cluster import image_pulls
from airis.deploy import watch
from tests.docs.blocks import Block, blocks
from tests.unit.drawing import ROOT

pytestmark = pytest.mark.timeout(60)

PAGE = ROOT / "docs" / "troubleshooting.md"
TOLD = re.compile(r"^(?P<what>\w+/[\w-]+) does not start: (?P<reason>.+)\n  (?P<remedy>.+)$", re.MULTILINE)
OUTPUT = [each for each in blocks() if each.language == "text" and TOLD.search(each.text)]

SEED = ["Volume binding", "Image pulls", "Ingress"]
"""The first headings, in the order of the Kustomize deployment's troubleshooting guide."""


def test_the_page_begins_with_volumes_images_and_ingress() -> None:
    assert re.findall(r"^## (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)[:3] == SEED


def test_there_is_such_output() -> None:
    assert len([each for each in OUTPUT if each.page == "docs/troubleshooting.md"]) >= 4


def printed(what: str, reason: str) -> str:
    """What `up` prints about it."""
    waiting, _, message = reason.partition(", ")
    if waiting not in image_pulls.REASONS:
        return str(watch._trouble(what, reason))
    name, image = what.partition("/")[2], re.findall(r'image "([^"]+)"', message)[0]
    (found,) = watch.troubles(
        [
            {
                "kind": "Pod",
                "metadata": {"name": name, "labels": {"app.kubernetes.io/name": name.partition("-")[0]}},
                "spec": {"nodeName": "a", "containers": [{"name": "c", "image": image}]},
                "status": {
                    "containerStatuses": [{"name": "c", "state": {"waiting": {"reason": waiting, "message": message}}}]
                },
            }
        ]
    )
    return str(found)


@pytest.mark.parametrize("block", OUTPUT, ids=str)
def test_the_remedy_is_the_one_that_is_printed(block: Block) -> None:
    for told in TOLD.finditer(block.text):
        assert printed(told["what"], told["reason"]) == told[0]
