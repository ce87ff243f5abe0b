"""airis parses YAML like the Pulumi engine and kubectl, and they parse the YAML that airis writes: tested with their code."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from airis.stack_file.yaml_writer import dump, dump_line
from airis.terminal.errors import EnvironmentProblem
from settings.reading.yaml_file import YamlError, kubectl_documents, read_yaml
from settings.reading.yaml_scalars import MERGE
from tests.yaml_readers.asking import KEY, TABLE, Refused, ask, table_text
from tests.yaml_texts import TEXTS

pytestmark = pytest.mark.timeout(600)  # the first run builds the parsers

many = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.generate],  # the examples are batches, which take minutes to shrink
)

CHARACTERS = st.characters(exclude_categories=["Cs"])
NUMERIC = st.text("0123456789_+-.:eExXoObBTtZ aAfFnNiI", min_size=1, max_size=9)
WORDS = st.one_of(NUMERIC, st.text("yYnNoOfFtTrRuUeEsSlL~<>=", min_size=1, max_size=5), st.sampled_from(TEXTS))
SYNTAX = st.sampled_from(
    [
        "a",
        "b",
        ": ",
        "- ",
        "\n",
        "\n  ",
        "\n    ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "&a ",
        "*a",
        "<<",
        "'",
        '"',
        "1e3",
        "? ",
        "|",
        ">",
        "#",
        "!!str ",
    ]
)


def asked(stacks: Sequence[str] = (), manifests: Sequence[str] = ()) -> tuple[list[Any], list[Any]]:
    try:
        return ask(stacks, manifests)
    except EnvironmentProblem as problem:
        pytest.skip(f"NOT ASKED, because the parsers cannot be built here: {problem.message}")


def engine_reading(text: str, folder: Path) -> Any:
    """The reader's values of a stack file."""
    file = folder / "Pulumi.x.yaml"
    file.write_bytes(text.encode())
    try:
        return read_yaml(file)["config"][KEY]
    except YamlError as error:
        return error


def kubectl_reading(text: str) -> Any:
    try:
        return kubectl_documents(text)[0]
    except YamlError as error:
        return error


def exactly(value: Any) -> str:
    """The value as text, in which 1, 1.0 and true differ."""
    return json.dumps(value, sort_keys=True)


def assert_the_same(text: str, mine: Any, theirs: Any) -> None:
    """Either the reader refuses the input, or the program reads the same value."""
    if not isinstance(mine, YamlError):
        assert not isinstance(theirs, Refused), (text, str(theirs))
        assert exactly(mine) == exactly(theirs), text


def test_the_table_of_the_unit_tests_is_up_to_date() -> None:
    asked()
    assert TABLE.read_text(encoding="utf-8") == table_text(), "python -m tests.yaml_readers.asking writes it"


@many
@given(scalars=st.lists(WORDS, min_size=50, max_size=100))
def test_plain_scalars_are_read_as_the_engine_and_kubectl_read_them(scalars: list[str], tmp_path: Path) -> None:
    stacks = [f"config:\n  {KEY}:\n    k: {each}\n" for each in scalars]
    manifests = [f"k: {each}\n" for each in scalars]
    theirs, kubectls = asked(stacks, manifests)
    for text, read in zip(stacks, theirs, strict=True):
        assert_the_same(text, engine_reading(text, tmp_path), read)
    for text, read in zip(manifests, kubectls, strict=True):
        assert_the_same(text, kubectl_reading(text), read)


@pytest.mark.parametrize("numeric", ["1e3", "0o14", "+.5", "08", "1234e56", "1_000", "18446744073709551615", "-0b1"])
def test_no_number_is_refused_that_they_accept(numeric: str, tmp_path: Path) -> None:
    text = f"config:\n  {KEY}:\n    k: {numeric}\n"
    (read,), _ = asked([text])
    assert engine_reading(text, tmp_path) == read != {"k": numeric}


@many
@given(documents=st.lists(st.lists(SYNTAX, min_size=1, max_size=12).map("".join), min_size=50, max_size=100))
def test_documents_are_read_as_the_engine_reads_them(documents: list[str], tmp_path: Path) -> None:
    stacks = [f"config: {{{KEY}: [{each}]}}\n" for each in documents]
    stacks += [f"config:\n  {KEY}:\n    - " + each.replace("\n", "\n      ") + "\n" for each in documents]
    theirs, _ = asked(stacks)
    for text, read in zip(stacks, theirs, strict=True):
        assert_the_same(text, engine_reading(text, tmp_path), read)


def test_kubectl_reads_texts_that_the_engine_changes() -> None:
    texts = [MERGE, "\n", "\na", "\ta\n"]
    config = {KEY: {"keys": {each: each for each in texts}, "list": texts}}
    written = dump({"config": config})
    (engine,), (kubectl,) = asked([written], [written])
    assert kubectl == {"config": config} == kubectl_reading(written)
    assert engine != config[KEY]


@pytest.mark.parametrize("text", ["k: '\n\n  a'", 'k: "\\ta\\n"', "'<<': {a: b}"])
def test_texts_that_the_engine_changes_are_refused(text: str, tmp_path: Path) -> None:
    written = f"config:\n  {KEY}:\n    {text}\n"
    assert isinstance(engine_reading(written, tmp_path), YamlError)
    (read,), _ = asked([written])
    assert isinstance(read, Refused) or read != yaml.safe_load(written)["config"][KEY]


@many
@given(texts=st.lists(st.one_of(WORDS, st.text(CHARACTERS), st.lists(st.text(CHARACTERS)).map("\n".join)), min_size=1))
def test_texts_stay_texts(texts: list[str], tmp_path: Path) -> None:
    texts = [text for text in [*TEXTS, *texts] if text != MERGE and not ("\n" in text and text[0] in "\n\t")]
    config = {KEY: {"keys": {each: each for each in texts}, "list": texts}}
    written = dump({"config": config})
    line = f"config: {dump_line(config)}\n"
    narrow = dump({"config": config}, width=20)
    assert yaml.safe_load(written) == yaml.safe_load(line) == yaml.safe_load(narrow) == {"config": config}
    engines, kubectls = asked([written, line, narrow], [written, line, narrow])
    assert engines == [config[KEY]] * 3
    assert kubectls == [{"config": config}] * 3
    assert engine_reading(written, tmp_path) == engine_reading(line, tmp_path) == config[KEY]
    assert kubectl_reading(written) == {"config": config}
