"""Runs the parsers of several releases of Ollama, built with Go, on values that airis renders.

`go.mod` pins the release of the default image; `<release>.mod` and its `.sum` pin an older release.
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
"""Every pinned release, the newest one last."""


class Answer(NamedTuple):
    """The results of Ollama's parsers."""

    requests: Sequence[Mapping[str, Any]]
    """For each Modelfile, `request`: the request that `ollama create` would send; or `error`."""
    values: Sequence[Mapping[str, str]]
    """For each environment, the value of every variable, as Ollama parses it."""
    full_names: Sequence[str]
    """For each model, its full name; empty if the name is invalid."""
    parameters: Sequence[str]
    """Every parameter of models."""


def ask(
    version: str,
    *,
    modelfiles: Sequence[str] = (),
    environments: Sequence[Mapping[str, str]] = (),
    names: Sequence[str] = (),
) -> Answer:
    """Runs the parsers of that release. Raises EnvironmentProblem without Go or access to Ollama's source."""
    asked = json.dumps({"modelfiles": modelfiles, "environments": environments, "names": names})
    result = subprocess.run([_program(version)], input=asked, capture_output=True, text=True, timeout=60, check=True)
    told = json.loads(result.stdout)
    return Answer(told["requests"] or (), told["values"] or (), told["full_names"] or (), told["parameters"])


@cache
def source(version: str) -> Path:
    """The folder with the verified source of that release. Raises EnvironmentProblem, as `ask` does."""
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
