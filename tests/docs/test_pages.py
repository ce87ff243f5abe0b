"""The code blocks of the pages: each has a language, and a test in this folder that checks it."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

from tests.docs.blocks import PAGES, Block, blocks, blocks_of
from tests.unit.drawing import ROOT

pytestmark = pytest.mark.timeout(60)

CHECKED_ELSEWHERE = {
    "sh": "test_commands.py",
    "yaml": "test_yaml.py",
    "python": "here: it compiles",
    "diff": "test_extending.py",
    "text": "output, and no command: here",
}
"""The allowed languages of blocks, and the test that checks each."""

GENERATED = ("docs/config.md",)
"""Generated pages."""


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_block_has_a_known_language(path: Path) -> None:
    assert [
        f"{each}: {each.language or 'no language'}"
        for each in blocks_of(path)
        if each.language not in CHECKED_ELSEWHERE
    ] == []


@pytest.mark.parametrize(
    "path", [each for each in PAGES if str(each.relative_to(ROOT)) not in GENERATED], ids=lambda path: path.name
)
def test_every_block_has_a_fence(path: Path) -> None:
    """Indented lines are also blocks in Markdown, but have no language, so no test would check them."""
    assert indented(path.read_text(encoding="utf-8")) == []


def indented(text: str) -> list[str]:
    """The lines of Markdown that form a block by indentation: after an empty line, outside of fences and lists."""
    found, fenced, in_list, before = [], False, False, ""
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced and line.strip():
            if re.match(r" {0,3}(?:[-*+]|\d+\.) ", line):
                in_list = True
            elif not line.startswith(" "):
                in_list = False
            elif line.startswith("    ") and not in_list and not before.strip():
                found.append(f"{number}: {line.strip()}")
        before = line
    return found


@pytest.mark.parametrize("block", [each for each in blocks() if each.language == "sh"], ids=str)
def test_shell_blocks_are_shell(block: Block) -> None:
    checked = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True, timeout=30, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize("block", [each for each in blocks() if each.language == "python"], ids=str)
def test_python_blocks_are_python(block: Block) -> None:
    ast.parse(block.text)


@pytest.mark.parametrize("block", [each for each in blocks() if each.language == "text"], ids=str)
def test_commands_do_not_hide_in_output(block: Block) -> None:
    hidden = re.findall(
        r"^(?:[$#] )?((?:\.venv/bin/)?(?:make|airis|pulumi|kubectl|helm|git) [a-z-].*)$", block.text, re.MULTILINE
    )
    assert [line for line in hidden if not line.startswith("airis: ")] == []


def test_blocks_without_a_fence_are_found() -> None:
    assert indented("Text:\n\n    make up\n") == ["3: make up"]
    assert indented("- item\n\n    more of it\n") == []
    assert indented("```sh\n\n    make up\n```\n") == []


def test_a_block_that_is_not_closed_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```sh\nmake up\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"page\.md:2: this block is not closed"):
        list(blocks_of(page))
