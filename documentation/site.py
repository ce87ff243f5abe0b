"""An mkdocs hook: links to files outside of docs/ show the file as a page of the site.

Pages link to files of the project (`../settings/types/releases.py`). On the forge such a link works, but the site contains
nothing outside of docs/. So each linked file becomes a page below `files/`: the site is self-contained,
and shows the files of its own version. A link to a file that does not exist fails the strict build.
"""

import posixpath
import re
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

_LINK = re.compile(r"(?<=\]\()(?P<path>(?:\.\./)+[\w./-]+)(?P<anchor>#[\w-]*)?(?=\))")
_LANGUAGES = {".md": "markdown", ".py": "python", ".sh": "sh", ".toml": "toml", ".yaml": "yaml", ".yml": "yaml"}
_FOLDER = "files"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds a page for each linked file of the project."""
    root = Path(config.config_file_path).parent
    wanted = {
        path
        for page in files.documentation_pages()
        for match in _LINK.finditer(page.content_string)
        if (path := _outside(page.src_uri, match["path"])) is not None and (root / path).is_file()
    }
    for path in sorted(wanted):
        source = (root / path).read_text(encoding="utf-8")
        page = File.generated(config, _page(path), content=_shown(path, source), inclusion=InclusionLevel.NOT_IN_NAV)
        files.append(page)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrites the links to those pages. A link to a missing file is not changed, and mkdocs reports it."""
    here = page.file.src_uri

    def lead(match: re.Match[str]) -> str:
        path = _outside(here, match["path"])
        if path is None or files.get_file_from_path(_page(path)) is None:
            return match[0]
        return posixpath.relpath(_page(path), posixpath.dirname(here) or ".")

    return markdown if here.startswith(f"{_FOLDER}/") else _LINK.sub(lead, markdown)


def _outside(page: str, link: str) -> str | None:
    """The path from the project's root, if the link points outside of docs/."""
    inside = posixpath.normpath(posixpath.join(posixpath.dirname(page), link))
    return inside.removeprefix("../") if inside.startswith("../") else None


def _page(path: str) -> str:
    return f"{_FOLDER}/{path}.md"


def _shown(path: str, source: str) -> str:
    """The file as a page: one block of code, excluded from the search."""
    longest = max((len(fence) for fence in re.findall(r"`{3,}", source)), default=2)
    fence = "`" * (longest + 1)
    language = _LANGUAGES.get(PurePosixPath(path).suffix, "text")
    return f"---\ntitle: {path}\nsearch: {{exclude: true}}\n---\n\n# {path}\n\n{fence}{language}\n{source}\n{fence}\n"
