"""YAML that is read as the Pulumi engine and kubectl read it, and written so that every program reads it the same.

tests/yaml_readers holds both against the programs' own code.
"""

import ast
import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from airis.stack_file import yaml_writer
from airis.stack_file.stacks import project_root, read_stack, settings_of
from airis.stack_file.yaml_writer import dump, dump_all, dump_line
from settings.reading.yaml_file import YamlError, kubectl_documents, read_document, read_yaml
from settings.reading.yaml_scalars import ENGINE, KUBECTL, TEXT, looks_like_text, resolve
from tests.unit.conftest import Refuse
from tests.yaml_readers.asking import TABLE
from tests.yaml_texts import PLAIN, TEXTS

pytestmark = pytest.mark.timeout(60)

READERS = {"engine": ENGINE, "kubectl": KUBECTL}
ROOT = project_root(Path(__file__))
OF_THE_PROGRAM = (
    "airis",
    "settings",
    "components",
    "maintenance",
    "documentation",
    "policy",
    "benchmarks",
    ".github",
    "examples",
)


@pytest.mark.parametrize("program", READERS)
def test_plain_scalars_are_read_as_the_program_reads_them(program: str) -> None:
    expected = json.loads(TABLE.read_text(encoding="utf-8"))[program]
    assert set(expected) < set(PLAIN)
    assert len(expected) > len(PLAIN) - 10
    for text in PLAIN:
        value = resolve(text, READERS[program]).value
        if text in expected:
            assert json.dumps(value) == json.dumps(expected[text]), text
        else:
            assert isinstance(value, float), text
            assert not math.isfinite(value), text


def test_unambiguous_texts_are_not_quoted() -> None:
    plain = [
        "a",
        "0.34.4-rocm",
        "1Gi",
        "100m",
        "ollama/ollama:0.34.4",
        "/data",
        "_x",
        "nvidia.com/gpu",
        "Not yet",
        "Größe",
    ]
    assert [dump_line(each) for each in plain] == plain


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_stays_a_text(text: str, tmp_path: Path) -> None:
    value = {"values": {"a": text, "b": [text, [text]]}, text: text}
    for written in (dump(value), dump(value, width=20), f"a: {dump_line(text)}\nb: {dump_line(value)}\n"):
        read = yaml.safe_load(written)
        assert read in (value, {"a": text, "b": value})
        assert kubectl_documents(written) == [read]
    if looks_like_text(text):
        assert {resolve(text, table).kind for table in READERS.values()} == {TEXT}


@given(
    st.recursive(
        st.one_of(st.text(), st.integers(-(2**63), 2**63), st.booleans(), st.none(), st.floats(-1e9, 1e9)),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_every_value_round_trips(value: Any) -> None:
    written = dump_all([value, value])
    assert list(yaml.safe_load_all(written)) == [value, value]
    assert kubectl_documents(written) == [value, value]


def test_it_is_written_the_same_without_libyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    class Pure(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    Pure.add_representer(str, yaml_writer._represent)
    value = {"map": {each: each for each in TEXTS if each.isprintable() and each}, "list": TEXTS}
    written = dump(value)
    monkeypatch.setattr(yaml_writer, "_Dumper", Pure)
    assert dump(value) == written


def test_a_script_is_written_line_by_line() -> None:
    assert dump({"run": "set -e\n\nif true; then\n  exit 1\nfi\n"}) == (
        "run: |\n  set -e\n\n  if true; then\n    exit 1\n  fi\n"
    )


def test_no_other_module_reads_or_writes_yaml_directly() -> None:
    """airis/diff/registered.py runs with the code of other revisions, too, which may not have the reader."""
    using = set()
    for folder in OF_THE_PROGRAM:
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                if any(name.partition(".")[0] in ("yaml", "ruamel", "_yaml") for name in names):
                    using.add(file.relative_to(ROOT).as_posix())
    assert using == {"settings/reading/yaml_file.py", "airis/stack_file/yaml_writer.py", "airis/diff/registered.py"}
    assert "dump" not in (ROOT / "airis" / "diff" / "registered.py").read_text(encoding="utf-8").replace(
        "json.dump", ""
    )


def test_merge_keys_and_aliases(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(
        "x: {b: &b {<<: &a {k: 1e3, l: 2}, l: 3}}\nc: {<<: *b, m: 4}\nd: {<<: [{k: 5}, *b]}\ne: {k: text, <<: *a}\n"
    )
    document = read_document(file)
    assert document.value == {
        "x": {"b": {"k": 1000, "l": 3}},
        "c": {"k": 1000, "l": 3, "m": 4},
        "d": {"k": 5, "l": 3},
        "e": {"k": "text", "l": 2},
    }
    assert document.written["c", "k"] == "1e3"
    assert ("e", "k") not in document.written


def test_an_alias_bomb_is_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"] + [
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)
    ]
    (tmp_path / "a.yaml").write_text("\n".join(lines))
    with pytest.raises(YamlError, match="aliases"):
        read_yaml(tmp_path / "a.yaml")


def test_a_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read_yaml(tmp_path / "a.yaml") == {"a": 1}


def test_kubectl_reads_keys_as_text_and_the_last_duplicate() -> None:
    assert kubectl_documents("{1: a, y: b, x: c, x: d}\n---\n- 2026-01-01") == [
        {"1": "a", "true": "b", "x": "d"},
        ["2026-01-01"],
    ]


def test_a_quoted_date_is_text_and_so_is_the_engines_timestamp(project: Path, refuse: Refuse) -> None:
    made = "2026-01-01 00:00:00 +0000 UTC"
    file = project / "Pulumi.test.yaml"
    file.write_text(f'config: {{airis:webui: {{env: {{A: "2026-01-01", B: "{made}"}}}}}}')
    assert settings_of(read_stack("test", project)).webui.env == {"A": "2026-01-01", "B": made}
    said = refuse("airis:webui: {env: {A: 2026-01-01}}")
    assert said.splitlines()[1:] == [
        "  airis:webui.env.A",
        "    given    [not shown]",
        "    allowed  text in quotes: without them, YAML reads a date",
    ]
