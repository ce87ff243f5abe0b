"""The folders are those of docs/architecture.md, and imports lead one way: no module imports what imports it."""

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from tests.unit.drawing import ROOT

PACKAGES = ("airis", "components", "policy", "settings")
LIBRARY = ("benchmarks", "documentation", "maintenance", *PACKAGES)
MOST_ENTRIES = 12
"""How many folders a reader of airis/ chooses from (issue 13)."""
MOST_LINES = 400
STANDALONE = {"airis/backup/agent.py", "airis/doctor/probe_script.py"}
"""Scripts whose source is sent into a pod as one file."""


def modules(*packages: str) -> Mapping[str, Path]:
    files = [file for package in packages for file in sorted((ROOT / package).rglob("*.py"))]
    return {".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file for file in files}


@cache
def imports() -> Mapping[str, frozenset[str]]:
    """Every module with the project's own modules that it imports, inside of functions too."""
    known = modules(*PACKAGES)
    return {name: frozenset(_imported(name, file, known)) for name, file in known.items()}


def _imported(name: str, file: Path, known: Mapping[str, Path]) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            named = [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            inner = [f"{node.module}.{each.name}" for each in node.names]
            named = [each if each in known else node.module for each in inner]
        else:
            continue
        yield from (each for each in named if each in known and each != name)


def folder_of(module: str) -> str:
    """The first two folders: `airis.doctor` for `airis.doctor.storage`."""
    return ".".join(module.split(".")[:2])


def cycle_in(graph: Mapping[str, frozenset[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_module_imports_what_imports_it() -> None:
    assert len(imports()) > 200
    assert cycle_in(imports()) == []


def test_no_folder_imports_what_imports_it() -> None:
    folders: dict[str, set[str]] = {}
    for module, imported in imports().items():
        others = {folder_of(each) for each in imported} - {folder_of(module)}
        folders.setdefault(folder_of(module), set()).update(others)
    assert folders["airis.rehearse"] >= {"airis.cluster", "airis.doctor"}
    assert cycle_in({name: frozenset(others) for name, others in folders.items()}) == []


def test_a_circle_is_found() -> None:
    assert cycle_in({"a": frozenset({"b"}), "b": frozenset({"c"}), "c": frozenset({"a"})})


def test_settings_know_nothing_of_pulumi_and_kubernetes() -> None:
    for file in modules("settings").values():
        assert not re.search(r"^\s*(?:from|import) (?:pulumi|airis|components)", file.read_text(), re.MULTILINE), file


def test_the_command_has_a_dozen_folders_and_no_loose_modules() -> None:
    entries = {each.name for each in (ROOT / "airis").iterdir()} - {"__init__.py", "__pycache__"}
    assert len(entries) <= MOST_ENTRIES
    assert [each for each in entries if not (ROOT / "airis" / each).is_dir()] == []


def sentence(package: Path) -> str:
    """The first line of the package's docstring."""
    text = ast.get_docstring(ast.parse((package / "__init__.py").read_text(encoding="utf-8")))
    assert text, f"{package}: no docstring"
    return text.splitlines()[0]


def tree() -> str:
    """The folders as docs/architecture.md shows them."""
    folders = sorted({each.parent for each in modules(*LIBRARY).values() if each.name == "__init__.py"})
    lines = [f"{_place(each):26} {sentence(each)}" for each in folders]
    return "\n".join(lines)


def _place(folder: Path) -> str:
    parts = folder.relative_to(ROOT).parts
    return f"{'  ' * (len(parts) - 1)}{parts[-1]}/"


def test_the_documentation_shows_every_folder_with_the_sentence_of_its_package() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert tree() in page, f"docs/architecture.md must show:\n{tree()}"


def test_no_file_is_longer_than_a_reader_follows() -> None:
    lengths = {
        str(file.relative_to(ROOT)): len(file.read_text(encoding="utf-8").splitlines())
        for file in modules(*LIBRARY).values()
    }
    assert {file for file, lines in lengths.items() if lines > MOST_LINES} == STANDALONE


def test_what_is_longer_says_why() -> None:
    for file in STANDALONE:
        assert "standalone" in (ast.get_docstring(ast.parse((ROOT / file).read_text(encoding="utf-8"))) or ""), file
