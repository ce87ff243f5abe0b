"""Every key that decides on a variable has a test of its effect in the real application, or is listed as having none."""

import pytest

from settings import OllamaSettings, WebUISettings
from settings.types.secrets import SecretsSettings
from settings.types.variables import declared
from tests.app.effects import PLACES, TESTS, keys, without
from tests.app.test_administrators_pages import said
from tests.unit.drawing import ROOT
from tests.unit.test_features import functions

pytestmark = pytest.mark.timeout(60)

MODELS = {"airis:webui": WebUISettings, "airis:ollama": OllamaSettings, "airis:secrets": SecretsSettings}


def test_the_keys_are_all_that_decide_on_a_variable() -> None:
    found = set(keys())
    deciding = {key for section, model in MODELS.items() for key in declared(model, section).values()}
    sections = {key.rpartition(".")[0] for key in found}
    above = {".".join(each.split(".")[:length]) for each in sections for length in range(1, each.count(".") + 2)}
    assert deciding - found - above == set()
    assert len(found) > 200


def test_each_key_has_one_test_or_is_listed_as_having_none() -> None:
    listed = without()
    shown = PLACES.keys() | TESTS.keys()
    assert PLACES.keys() & TESTS.keys() == set(), "in two tables"
    assert sorted(shown & set(listed)) == [], "has a test: take it off the list"
    assert sorted((shown | set(listed)) - set(keys())) == [], "no such key"
    assert sorted(set(keys()) - shown - set(listed)) == [], "needs a test of its effect"
    assert listed == sorted(set(listed)), "sorted, and each once"


@pytest.mark.parametrize("key", PLACES)
def test_each_key_of_a_page_has_a_value_in_the_stack_of_that_page(key: str) -> None:
    said(PLACES[key].stack, key)  # a KeyError here is one in `make test-app`


@pytest.mark.parametrize("test", sorted(set(TESTS.values())))
def test_the_tests_that_are_named_exist_and_name_the_keys(test: str) -> None:
    path, _, function = test.partition("::")
    assert function in functions(ROOT / path)
    folder = (ROOT / path).parent
    text = "".join(each.read_text(encoding="utf-8") for each in folder.glob("*.py") if each.name != "effects.py")
    missing = [key for key, named in TESTS.items() if named == test and f'"{key.rpartition(".")[2]}"' not in text]
    assert missing == []
