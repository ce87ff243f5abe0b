"""Asks Ollama's own code, built with Go at the release of the default image, what it makes of what airis renders."""

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from airis.progress import step
from airis.sandbox import toolchain
from airis.sandbox.locking import held, lock_at
from airis.sandbox.places import cache_root
from tests import pinned

HERE = Path(__file__).parent


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
    *, modelfiles: Sequence[str] = (), environments: Sequence[Mapping[str, str]] = (), names: Sequence[str] = ()
) -> Answer:
    """Raises EnvironmentProblem where there is no Go, nor a way to Ollama's source."""
    asked = json.dumps({"modelfiles": modelfiles, "environments": environments, "names": names})
    result = subprocess.run([_program()], input=asked, capture_output=True, text=True, timeout=60, check=True)
    told = json.loads(result.stdout)
    return Answer(told["requests"] or (), told["values"] or (), told["full_names"] or (), told["parameters"])


@cache
def _program() -> Path:
    pins = b"".join((HERE / name).read_bytes() for name in ("go.mod", "go.sum", "main.go"))
    program = pinned.place("ollama", "asking", pins) / "asking"
    with held(lock_at(program.parent.with_suffix(".lock")), "it builds Ollama's parser"):
        if not program.exists():
            minimum = re.search(r"^go (\S+)$", (HERE / "go.mod").read_text(encoding="utf-8"), re.MULTILINE)
            assert minimum is not None
            with step("Building Ollama's parser"):
                go = toolchain.find_go(minimum[1], cache_root())
                part = program.with_suffix(".part")
                flags = ("-mod=readonly", "-trimpath", "-ldflags=-s -w")
                pinned.run([go, "build", *flags, "-o", part, "."], folder=HERE, CGO_ENABLED="0", GOFLAGS="")
            part.replace(program)
    return program
