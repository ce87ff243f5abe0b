"""Every setting that is named in a sentence of a page exists."""

import re
from pathlib import Path

import pytest

from tests.docs.blocks import PAGES
from tests.unit.drawing import ROOT
from tests.unit.test_features import keys

pytestmark = pytest.mark.timeout(60)

_NAMED = re.compile(r"`(airis:[A-Za-z][\w.\[\]]*)")
FREE = ("airis:secrets.values.",)
"""Prefixes below which the names are the user's."""

MADE_UP = {"docs/extending.md": ("airis:tika",), "docs/architecture.md": ("airis:releases",)}
"""Settings that a page adds, or explains why they do not exist."""


def unknown(page: str, text: str) -> list[str]:
    named = {each.rstrip(".").replace("[]", "") for each in _NAMED.findall(text)}
    return sorted(each for each in named - keys() - {*MADE_UP.get(page, ())} if not each.startswith(FREE))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_settings_in_sentences_exist(path: Path) -> None:
    assert unknown(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) == []


def test_a_nonexistent_setting_is_found() -> None:
    assert unknown("x.md", "Set `airis:webui.replicas: 2`, `airis:webui.replica`.") == ["airis:webui.replica"]
