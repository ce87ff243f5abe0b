"""The pinned releases of Open WebUI and Ollama, as source: which environment variables they read."""

import ast
import json
import re
import shutil
import sys
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from airis.progress import step
from airis.sandbox import toolchain
from airis.sandbox.locking import held, lock_at
from airis.sandbox.places import cache_root
from tests import pinned

HERE = Path(__file__).parent

_GO_LOOKUP = re.compile(r'\b(?:Var|String|Bool|BoolWithDefault|Uint|Uint64)\("(\w+)"')
_DOCKERFILE_ENV = re.compile(r"^ENV (\w+)=", re.MULTILINE)


@cache
def open_webui_variables() -> frozenset[str]:
    """The names that Open WebUI's own code looks up in its environment."""
    with zipfile.ZipFile(_open_webui_wheel()) as wheel:
        sources = [name for name in wheel.namelist() if name.startswith("open_webui/") and name.endswith(".py")]
        return frozenset(found for name in sources for found in _lookups(wheel.read(name).decode()))


@cache
def ollama_variables() -> frozenset[str]:
    """The names that Ollama's envconfig looks up, and those that its image sets for the container runtime."""
    module = _ollama_module()
    config = (module / "envconfig" / "config.go").read_text(encoding="utf-8")
    image = (module / "Dockerfile").read_text(encoding="utf-8").rpartition("\nFROM ")[2]
    return frozenset(_GO_LOOKUP.findall(config)) | frozenset(_DOCKERFILE_ENV.findall(image))


def ollama_version() -> str:
    """The release of Ollama that is pinned here, as in an image's tag."""
    found = re.search(r"github.com/ollama/ollama v(\S+)", (HERE / "go.mod").read_text(encoding="utf-8"))
    assert found is not None
    return found[1]


def _lookups(source: str) -> Iterator[str]:
    """What stands in `os.getenv("X")`, `os.environ.get("X")` and `os.environ["X"]`."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(
                func=ast.Attribute(attr="getenv" | "get", value=where), args=[ast.Constant(value=str(name)), *_]
            ):
                if ast.unparse(where) in ("os", "os.environ"):
                    yield name
            case ast.Subscript(value=where, slice=ast.Constant(value=str(name))) if ast.unparse(where) == "os.environ":
                yield name


def _open_webui_wheel() -> Path:
    """The wheel alone: with what it depends on it would be 7 GB."""
    requirements = HERE / "requirements.txt"
    folder = pinned.place("releases", "open-webui", requirements.read_bytes())
    with held(lock_at(folder.with_suffix(".lock")), "it downloads Open WebUI"):
        if not folder.exists():
            part = folder.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            with step("Downloading Open WebUI's wheel (106 MB)"):
                pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
                pinned.run(
                    [*pip, "--require-hashes", "--only-binary=:all:", "--dest", part, "-r", str(requirements)],
                    folder=HERE,
                )
            part.rename(folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


def _ollama_module() -> Path:
    """Ollama's Go module, held against go.sum."""
    with step("Downloading Ollama's source (23 MB)"):
        go = toolchain.find_go("1.24", cache_root())
        said = pinned.run([go, "mod", "download", "-json", "github.com/ollama/ollama"], folder=HERE, GOFLAGS="")
    return Path(json.loads(said)["Dir"])
