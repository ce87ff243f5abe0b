"""The code blocks of README.md and the pages of docs/, and the commands in them."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.unit.drawing import ROOT

PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))

_FENCE = re.compile(r"^(?P<indent> *)```(?P<info>.*)$")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)
_SUBSTITUTION = re.compile(r"\$\(([^()]*)\)")
"""A substitution inside quotes; outside of quotes, its parentheses separate words."""

_SEPARATORS = frozenset("|&;()<>")
_BEFORE = frozenset({"sudo", "export", "$", "!", "do", "then", "else", "if", "while"})
"""Words that may precede a command."""

_LOOPS = frozenset({"for", "done", "fi"})
"""Words of loops, which are not commands."""

_REDIRECTION = frozenset({">", ">>", "<", ">&", "<<<"})


@dataclass(frozen=True)
class Block:
    """A fenced block of code."""

    page: str
    line: int
    """Of its first line of code, from 1."""
    language: str
    title: str
    """Its title on the site: in extending.md, the file that it changes."""
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Command:
    """One command of a block: the program and its arguments, without redirections and variables before it."""

    block: Block
    line: int
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.block.page}:{self.line}: {shlex.join(self.words)}"


def blocks_of(path: Path) -> Iterator[Block]:
    """The blocks of a page. Raises ValueError if a block is not closed."""
    page = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name
    opened: tuple[int, str, str] | None = None
    lines: list[str] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        fence = _FENCE.match(line)
        if fence and opened is None:
            opened, lines = (number + 1, fence["indent"], fence["info"].strip()), []
        elif fence and opened is not None and not fence["info"].strip():
            first, _, info = opened
            language, _, rest = info.partition(" ")
            language = "sh" if language == "bash" else language
            title = re.search(r'title="([^"]*)"', rest)
            yield Block(page, first, language, title[1] if title else "", "\n".join(lines) + "\n")
            opened = None
        elif opened is not None:
            lines.append(line.removeprefix(opened[1]))
    if opened is not None:
        raise ValueError(f"{page}:{opened[0]}: this block is not closed")


@cache
def blocks() -> tuple[Block, ...]:
    """Every block of every page."""
    return tuple(block for path in PAGES for block in blocks_of(path))


def commands_of(block: Block) -> Iterator[Command]:
    """The commands of a shell block in their order, including those inside `$(...)`."""
    line, pending = block.line, ""
    start = line
    for text in block.text.splitlines():
        if not pending:
            start = line
        line += 1
        if text.endswith("\\"):
            pending += text[:-1] + " "
            continue
        for words in commands_in(pending + text):
            yield Command(block, start, words)
        pending = ""


def commands_in(line: str) -> Iterator[tuple[str, ...]]:
    """The commands of one line of shell, each as its words."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;()<>")
    lexer.whitespace_split = True
    words: list[str] = []
    tokens = iter(lexer)
    for token in tokens:
        if token in _REDIRECTION:
            next(tokens, None)  # the file
            if words and words[-1].isdigit():  # 2>
                words.pop()
        elif set(token) <= _SEPARATORS:
            yield from _command(words)
            words = []
        else:
            words.append(token)
            for inside in _SUBSTITUTION.findall(token):
                yield from commands_in(inside)
    yield from _command(words)


def _command(words: list[str]) -> Iterator[tuple[str, ...]]:
    while words and (_ASSIGNMENT.fullmatch(words[0]) or words[0] in _BEFORE):
        words = words[1:]
    if words and words[0] not in _LOOPS:
        yield tuple(words)


@cache
def commands() -> tuple[Command, ...]:
    """Every command of every page."""
    return tuple(command for block in blocks() if block.language == "sh" for command in commands_of(block))
