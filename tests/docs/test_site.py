"""The site of docs/: it builds in strict mode, works offline, and links to existing files."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from tests.unit.drawing import ROOT

pytestmark = pytest.mark.timeout(120)


def build(config: Path, target: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", str(config), "--site-dir", str(target)],
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole site, built once."""
    target = tmp_path_factory.mktemp("site")
    built = build(ROOT / "mkdocs.yml", target)
    assert built.returncode == 0, built.stderr
    return target


def test_every_page_is_in_the_site_and_its_navigation(site: Path) -> None:
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert pages == {path.relative_to(site).as_posix() for path in site.rglob("*.html")} - {"404.html"} - shown_files(
        site
    )
    front = (site / "index.html").read_text(encoding="utf-8")
    assert sorted(page for page in pages - {"index.html"} if f'href="{page}"' not in front) == []


def shown_files(site: Path) -> set[str]:
    return {path.relative_to(site).as_posix() for path in (site / "files").rglob("*.html")}


class _Loaded(HTMLParser):
    """The resources that a browser loads for a page."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag in ("script", "img", "iframe", "source") and named.get("src"):
            self.addresses.append(str(named["src"]))
        if tag == "link" and named.get("rel") not in ("canonical", "next", "prev"):
            self.addresses.append(str(named.get("href")))


def loaded(page: str) -> list[str]:
    parser = _Loaded()
    parser.feed(page)
    return [each for each in parser.addresses if re.match(r"(?:\w+:)?//", each)]


def test_the_site_loads_no_external_resources(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    assert {path.name: found for path in pages if (found := loaded(path.read_text(encoding="utf-8")))} == {}
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert styles
    assert re.findall(r"(?:@import|url\()\s*[\"']?(?:\w+:)?//[^\"')]*", styles) == []


def test_external_resources_of_a_page_are_found() -> None:
    assert loaded('<img src="https://example.com/x.png"><script src="//example.com/x.js"></script>') == [
        "https://example.com/x.png",
        "//example.com/x.js",
    ]
    assert loaded('<img src="img/x.svg"><a href="https://example.com">there</a>') == []


def test_files_of_the_project_are_pages_of_the_site(site: Path) -> None:
    shown = shown_files(site)
    assert "files/Pulumi.production.yaml.html" in shown
    assert "chat.example.com" in (site / "files" / "Pulumi.production.yaml.html").read_text(encoding="utf-8")
    assert 'href="files/Pulumi.production.yaml.html"' in (site / "production.html").read_text(encoding="utf-8")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A project with the same configuration and one page, `docs/index.md`, to be written; returns its mkdocs.yml."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "known.py").write_text('"""Known."""\n', encoding="utf-8")
    config = {
        "INHERIT": str(ROOT / "mkdocs.yml"),
        "docs_dir": "docs",
        "hooks": [str(ROOT / "documentation" / "site.py")],
        "nav": [{"Home": "index.md"}],
    }
    (tmp_path / "mkdocs.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return tmp_path / "mkdocs.yml"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[known](../known.py), [here](#there)\n\n## There\n", ""),
        ("[unknown](../unknown.py)", "../unknown.py"),
        ("[page](other.md)", "other.md"),
        ("[heading](#nowhere)", "#nowhere"),
        ("![picture](img/none.svg)", "img/none.svg"),
    ],
)
def test_broken_links_fail_the_build(small: Path, tmp_path: Path, text: str, words: str) -> None:
    (small.parent / "docs" / "index.md").write_text(f"# Home\n\n{text}\n", encoding="utf-8")
    built = build(small, tmp_path / "site")
    assert (built.returncode == 0) is (words == ""), built.stderr
    assert words in built.stderr
