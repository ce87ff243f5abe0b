"""Asks the code of several releases of Ollama, built with Go, what it makes of what airis renders.

`go.mod` pins the release of the default image; `<release>.mod` and its `.sum` pin an older one for the same program.
"""

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from airis.cluster.programs import toolchain
from airis.cluster.programs.cache import cache_root
from airis.cluster.programs.locking import held, lock_at
from airis.terminal.progress import step
from settings.types.releases import release
from tests import pinned

HERE = Path(__file__).parent
MODULE = "github.com/ollama/ollama"


def _pinned_version(mod: Path) -> str:
    found = re.search(rf"^require {MODULE} v(\S+)$", mod.read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None, mod
    return found[1]


PINS: Mapping[str, Path] = {_pinned_version(mod): mod for mod in HERE.glob("*.mod")}
"""The file that pins each release."""
VERSIONS = sorted(PINS, key=release)
"""Every release that is pinned, the newest one last."""


class Answer(NamedTuple):
    """What Ollama says."""

    requests: Sequence[Mapping[str, Any]]
    """For each Modelfile, `request`: what `ollama create` would ask the server for; or `error`."""
    values: Sequence[Mapping[str, str]]
    """For each environment, the value of every variable, as Ollama understands it."""
    full_names: Sequence[str]
    """For each model, its full name; nothing for what is no name."""
    parameters: Sequence[str]
    """Every parameter there is."""


def ask(
    version: str,
    *,
    modelfiles: Sequence[str] = (),
    environments: Sequence[Mapping[str, str]] = (),
    names: Sequence[str] = (),
) -> Answer:
    """Asks that release. Raises EnvironmentProblem where there is no Go, nor a way to Ollama's source."""
    asked = json.dumps({"modelfiles": modelfiles, "environments": environments, "names": names})
    result = subprocess.run([_program(version)], input=asked, capture_output=True, text=True, timeout=60, check=True)
    told = json.loads(result.stdout)
    return Answer(told["requests"] or (), told["values"] or (), told["full_names"] or (), told["parameters"])


@cache
def source(version: str) -> Path:
    """The folder with the source of that release, held against its checksum. Raises EnvironmentProblem, as `ask` does."""
    mod = PINS[version]
    with step(f"Downloading the source of Ollama {version} (23 MB)"):
        go, flag = _go(mod), f"-modfile={mod.name}"
        said = pinned.run([go, "mod", "download", flag, "-json", MODULE], folder=HERE, GOFLAGS="")
    return Path(json.loads(said)["Dir"])


@cache
def _program(version: str) -> Path:
    mod = PINS[version]
    pins = b"".join(each.read_bytes() for each in (mod, mod.with_suffix(".sum"), HERE / "main.go"))
    program = pinned.place("ollama", "asking", pins) / "asking"
    with held(lock_at(program.parent.with_suffix(".lock")), f"it builds the parser of Ollama {version}"):
        if not program.exists():
            with step(f"Building the parser of Ollama {version}"):
                part = program.with_suffix(".part")
                flags = ("-mod=readonly", f"-modfile={mod.name}", "-trimpath", "-ldflags=-s -w")
                pinned.run([_go(mod), "build", *flags, "-o", part, "."], folder=HERE, CGO_ENABLED="0", GOFLAGS="")
            part.replace(program)
    return program


def _go(mod: Path) -> Path:
    minimum = re.search(r"^go (\S+)$", mod.read_text(encoding="utf-8"), re.MULTILINE)
    assert minimum is not None, mod
    return toolchain.find_go(minimum[1], cache_root())
