"""The environment variables that the pinned releases of Open WebUI and Ollama read, from their source.

`requirements.txt` pins the release of Open WebUI in the default image, `<release>.txt` an older one. Ollama's releases are in
`tests/ollama`.
"""

import ast
import re
import shutil
import sys
import zipfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from airis.cluster.programs.locking import held, lock_at
from airis.terminal.progress import step
from settings.types.releases import release
from tests import pinned
from tests.ollama.asking import source

HERE = Path(__file__).parent

_GO_LOOKUP = re.compile(r'\b(?:Var|String|Bool|BoolWithDefault|Uint|Uint64)\("(\w+)"')
_DOCKERFILE_ENV = re.compile(r"^ENV (\w+)=", re.MULTILINE)
_REFUSED_PARAMETER = re.compile(
    r'if r\.Parameters\["(\w+)"\] != nil \{\n\t\tc\.AbortWithStatusJSON\(http\.StatusBadRequest'
)
_LIBRARY = re.compile(r'"OLLAMA_RUNNER_DIR": "(\w+)"')


def _pinned_version(requirements: Path) -> str:
    found = re.match(r"open-webui==(\S+) ", requirements.read_text(encoding="utf-8"))
    assert found is not None, requirements
    return found[1]


OPEN_WEBUI_PINS: Mapping[str, Path] = {_pinned_version(each): each for each in HERE.glob("*.txt")}
"""The file that pins each release of Open WebUI."""
OPEN_WEBUI_VERSIONS = sorted(OPEN_WEBUI_PINS, key=release)
"""Every pinned release, the newest one last."""


@cache
def open_webui_variables(version: str) -> frozenset[str]:
    """The names of the variables that Open WebUI's own code reads."""
    with zipfile.ZipFile(_open_webui_wheel(version)) as wheel:
        sources = [name for name in wheel.namelist() if name.startswith("open_webui/") and name.endswith(".py")]
        return frozenset(found for name in sources for found in _lookups(wheel.read(name).decode()))


def open_webui_source(version: str, folder: Path) -> Path:
    """Unpacks Open WebUI's own code into the folder; returns the folder of the package."""
    with zipfile.ZipFile(_open_webui_wheel(version)) as wheel:
        wheel.extractall(folder, [each for each in wheel.namelist() if each.endswith(".py")])
    return folder / "open_webui"


@cache
def ollama_variables(version: str) -> frozenset[str]:
    """The names of the variables that Ollama's envconfig reads, and of those that its image sets for the container runtime."""
    module = source(version)
    config = (module / "envconfig" / "config.go").read_text(encoding="utf-8")
    image = (module / "Dockerfile").read_text(encoding="utf-8").rpartition("\nFROM ")[2]
    return frozenset(_GO_LOOKUP.findall(config)) | frozenset(_DOCKERFILE_ENV.findall(image))


@cache
def ollama_libraries(version: str) -> frozenset[str]:
    """The names of Ollama's GPU libraries."""
    presets = source(version).rglob("CMakePresets.json")
    return frozenset(found for each in presets for found in _LIBRARY.findall(each.read_text(encoding="utf-8")))


@cache
def refused_parameters(version: str) -> frozenset[str]:
    """The parameters that Ollama supports in old models, but refuses in new ones."""
    return frozenset(_REFUSED_PARAMETER.findall((source(version) / "server" / "create.go").read_text(encoding="utf-8")))


def _lookups(text: str) -> Iterator[str]:
    """The names in `os.getenv("X")`, `os.environ.get("X")` and `os.environ["X"]`."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Call(
                func=ast.Attribute(attr="getenv" | "get", value=where), args=[ast.Constant(value=str(name)), *_]
            ):
                if ast.unparse(where) in ("os", "os.environ"):
                    yield name
            case ast.Subscript(value=where, slice=ast.Constant(value=str(name))) if ast.unparse(where) == "os.environ":
                yield name


def _open_webui_wheel(version: str) -> Path:
    """Only the wheel: with its dependencies it would be 7 GB."""
    requirements = OPEN_WEBUI_PINS[version]
    folder = pinned.place("releases", "open-webui", requirements.read_bytes())
    with held(lock_at(folder.with_suffix(".lock")), "it downloads Open WebUI"):
        if not folder.exists():
            part = folder.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            with step(f"Downloading the wheel of Open WebUI {version} (106 MB)"):
                pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
                pinned.run(
                    [*pip, "--require-hashes", "--only-binary=:all:", "--dest", part, "-r", str(requirements)],
                    folder=HERE,
                )
            part.rename(folder)
    (wheel,) = folder.glob("*.whl")
    return wheel
