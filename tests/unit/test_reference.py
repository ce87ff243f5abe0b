"""The files that are generated from the settings models are up to date and complete."""

import pytest

from airis.stack_file import reference
from airis.stack_file.reference import Row
from tests.unit.drawing import ROOT

pytestmark = pytest.mark.timeout(60)


def row(key: str) -> Row:
    (found,) = [each for each in reference.rows() if each.key == key]
    return found


@pytest.mark.parametrize("path", reference.files(ROOT), ids=lambda path: path.name)
def test_committed_files_are_what_make_reference_writes(path: object) -> None:
    written = reference.files(ROOT)
    (file,) = [each for each in written if each == path]
    assert file.read_text(encoding="utf-8") == written[file]


def test_every_key_is_listed_once_with_an_effect_and_a_version() -> None:
    keys = [each.key for each in reference.rows()]
    assert len(set(keys)) == len(keys) > 130
    assert [each.key for each in reference.rows() if not each.effect.strip()] == []
    assert reference.since(ROOT).keys() == set(keys)


@pytest.mark.parametrize(
    ("key", "unit"),
    [
        ("airis:webui.storage.size", "bytes"),
        ("airis:webui.resources.limits.memory", "bytes"),
        ("airis:webui.resources.limits.cpu", "cores"),
        ("airis:ollama.modelPullSeconds", "s"),
        ("airis:webui.tolerations[].tolerationSeconds", "s"),
        ("airis:webui.replicas", ""),
    ],
)
def test_units(key: str, unit: str) -> None:
    assert row(key).unit == unit


def test_a_key_names_the_variable_that_it_sets() -> None:
    assert row("airis:webui.logging.format").effect.endswith("Sets `LOG_FORMAT`.")
    assert "Sets" not in row("airis:webui.replicas").effect


def test_references_are_one_row() -> None:
    assert row("airis:webui.sessionKeyFrom").type == "reference (Secret) or null"
    assert [each.key for each in reference.rows() if each.key.startswith("airis:webui.sessionKeyFrom.")] == []


def test_old_keys_keep_their_version_and_new_ones_get_the_current_one() -> None:
    versions = reference.since(ROOT)
    assert versions["airis:webui.image"] == "0.1.0"
    assert versions["airis:proxy.url"] == "0.2.0"
