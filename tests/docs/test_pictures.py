"""The pictures in docs/img/: up to date, self-contained, and shown with an alternative text."""

import re
from pathlib import Path
from xml.etree import ElementTree as XML

import pytest

from documentation import pictures, samples
from tests.docs.blocks import PAGES
from tests.unit.drawing import ROOT

pytestmark = pytest.mark.timeout(60)

IMAGES = sorted((ROOT / "docs" / "img").iterdir())
_SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def drawn() -> dict[Path, str]:
    return pictures.pictures(ROOT)


def test_the_pictures_are_what_make_pictures_draws(drawn: dict[Path, str]) -> None:
    assert len(drawn) >= 3
    assert [path.name for path, content in drawn.items() if path.read_text(encoding="utf-8") != content] == []


def test_pictures_do_not_depend_on_where_they_are_drawn(
    drawn: dict[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("NO_COLOR", "1"), ("COLUMNS", "40"), ("GITHUB_ACTIONS", "true"), ("TERM", "dumb")):
        monkeypatch.setenv(name, value)
    assert pictures.pictures(ROOT) == drawn


def test_a_picture_shows_text_and_colors() -> None:
    shown = pictures.svg("x", "airis check", pictures.printed(lambda: print("\x1b[31mno\x1b[0m way")))
    texts = [each.text for each in XML.fromstring(shown).iter(f"{_SVG}text")]  # noqa: S314
    assert {"airis\N{NO-BREAK SPACE}check", "no", "\N{NO-BREAK SPACE}way"} <= set(texts)
    assert "fill: #f07178" in shown


@pytest.mark.parametrize("path", [each for each in IMAGES if each.suffix == ".svg"], ids=lambda path: path.name)
def test_pictures_are_self_contained(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    root = XML.fromstring(text)  # noqa: S314  (a file of this project)
    assert {each.tag.removeprefix(_SVG) for each in root.iter()} & {"script", "image", "foreignObject"} == set()
    assert re.findall(r"@import|@font-face|url\([^#]", text) == []
    assert [value for each in root.iter() for name, value in each.items() if name.endswith("href")] == []


def test_every_picture_is_used_with_an_alternative_text() -> None:
    shown = [
        match for path in PAGES for match in re.findall(r"!\[([^\]]*)\]\(([^)]*)\)", path.read_text(encoding="utf-8"))
    ]
    assert {Path(target).name for _, target in shown} == {path.name for path in IMAGES}
    assert [target for words, target in shown if len(words) < 20] == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("rehearse", "Stack gpu comes up: 21 of 21 objects and pods"),
        ("rehearse-failing", samples.LACKING.partition(": ")[0]),
        ("rehearse-failing", "Stack gpu does not come up: 4 of 21"),
        ("diff", "grows in place from 30Gi to 60Gi"),
        ("diff", "Ollama is unavailable until its only pod is ready again"),
        ("doctor", "no node offers nvidia.com/gpu"),
        ("doctor", "there is no default StorageClass"),
        ("help", "rehearse"),
    ],
)
def test_a_picture_contains_the_text_that_the_pages_mention(drawn: dict[Path, str], name: str, words: str) -> None:
    root = XML.fromstring(drawn[ROOT / pictures.FOLDER / f"{name}.svg"])  # noqa: S314
    shown = "".join(str(each.text) for each in root.iter(f"{_SVG}text")).replace("\N{NO-BREAK SPACE}", " ")
    assert words in shown
