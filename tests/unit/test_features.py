"""docs/features.md: every "yes" of ours names a setting, a command or a page that exists, and a test that exists."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from airis.stack_file import reference
from tests.unit.drawing import ROOT

pytestmark = pytest.mark.timeout(60)

PAGE = ROOT / "docs" / "features.md"
COLUMNS = ["feature", "reference", "Open WebUI chart", "ollama-helm", "KubeAI", "airis"]
LINK = re.compile(r"\[`([^`]+)`\]\(([^)]+)\)")


class Feature(NamedTuple):
    """A row of the table."""

    name: str
    others: tuple[str, ...]
    here: str


def table_rows() -> Iterator[list[str]]:
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("|"):
            yield [cell.strip() for cell in line.strip().strip("|").split(" | ")]


FEATURES = [
    Feature(cells[0], tuple(cells[1:-1]), cells[-1])
    for cells in table_rows()
    if cells[0] != "feature" and not cells[0].startswith("---")
]


@cache
def anchors(page: Path) -> frozenset[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return frozenset(re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings)


@cache
def functions(file: Path) -> frozenset[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@cache
def keys() -> frozenset[str]:
    """Every key, and everything above one."""
    found: set[str] = set()
    for row in reference.rows():
        parts = row.key.replace("[]", "").split(".")
        found.update(".".join(parts[: length + 1]) for length in range(len(parts)))
    return frozenset(found)


def dead(text: str, target: str) -> str | None:
    """Why a link leads nowhere; none if it does not."""
    path, _, anchor = target.partition("#")
    file = (PAGE.parent / path).resolve()
    if not file.is_file():
        return f"{text}: there is no file {path}"
    if text.startswith("test_"):
        return None if text in functions(file) else f"{text}: not in {path}"
    if text.startswith("airis:") and text not in keys():
        return f"{text}: no such setting"
    return None if not anchor or anchor in anchors(file) else f"{text}: no heading {anchor} in {path}"


def test_the_table_has_its_columns_and_its_rows() -> None:
    rows = list(table_rows())
    assert [row for row in rows if row[0] == "feature"]
    assert all(row == COLUMNS for row in rows if row[0] == "feature")
    assert {len(row) for row in rows if not row[0].startswith("---")} == {len(COLUMNS)}
    assert len(FEATURES) >= 80
    names = [each.name for each in FEATURES]
    assert sorted({name for name in names if names.count(name) > 1}) == []


def test_every_cell_answers() -> None:
    answers = re.compile(r"(?:yes|no|in part|by hand|not read)(?::? .+)?")
    wrong = [
        (each.name, cell) for each in FEATURES for cell in (*each.others, each.here) if not answers.fullmatch(cell)
    ]
    assert wrong == []


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name[:60])
def test_every_yes_of_ours_leads_to_what_does_it_and_to_a_test(feature: Feature) -> None:
    links = LINK.findall(feature.here)
    assert [reason for text, target in links if (reason := dead(text, target))] == []
    if feature.here.startswith(("yes", "in part")):
        texts = [text for text, _ in links]
        assert [text for text in texts if text.startswith("test_")], "no test"
        assert [text for text in texts if not text.startswith("test_")], "no setting, command or page"
    else:
        assert feature.here.startswith("no: "), "a no says why"


def test_dead_links_are_found() -> None:
    assert dead("airis:webui.nothing", "config.md#airiswebui") == "airis:webui.nothing: no such setting"
    assert (
        dead("airis:webui.image", "config.md#airiswebuis") == "airis:webui.image: no heading airiswebuis in config.md"
    )
    assert (
        dead("test_nothing", "../tests/unit/test_features.py") == "test_nothing: not in ../tests/unit/test_features.py"
    )
    assert dead("page", "nothing.md") == "page: there is no file nothing.md"
    assert dead("airis:webui.image", "config.md#airiswebui") is None
