"""checkov and kube-score: pinned, installed once into the user's cache, and run on manifests."""

import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from airis.cluster.programs.locking import held, lock_at
from airis.terminal.progress import step
from tests import pinned

HERE = Path(__file__).parent

_CHECKOV = """
import os, sys
from checkov.main import Checkov
for file in sys.argv[1:]:
    child = os.fork()
    if not child:
        try:
            Checkov(["--framework=kubernetes", "--skip-download", "-o=json", "-f", file]).run()
        finally:
            sys.stdout.flush()
            os._exit(0)
    os.waitpid(child, 0)
"""
"""checkov spends most of its time on its start, and keeps findings between files: so it starts once, and forks for each."""

_PIP_INSTALL = (
    "install",
    "--quiet",
    "--no-compile",
    "--disable-pip-version-check",
    "--require-hashes",
    "--requirement",
)
_SECONDS = 600.0
"""Seconds; the first run compiles checkov's modules."""

_CRITICAL = 1
"""kube-score's lowest grade; 5 is a warning."""


class Finding(NamedTuple):
    """A check that an object fails."""

    scanner: str
    check: str
    object: str


def checkov(manifests: Mapping[str, str]) -> Iterator[tuple[str, Finding]]:
    """The failed checks of checkov's Kubernetes policies, by the key of the manifests."""
    for key, answer in zip(manifests, _scan([_checkov(), "-c", _CHECKOV], manifests.values()), strict=True):
        for each in answer["results"]["failed_checks"]:
            kind, _, name, *_ = each["resource"].split(".")  # StatefulSet.<namespace>.<name>
            yield key, Finding("checkov", each["check_id"], f"{kind}/{name}")


def kube_score(manifests: Mapping[str, str]) -> Iterator[tuple[str, Finding]]:
    """kube-score's critical findings: one per comment, as in its own summary."""
    for key, text in manifests.items():
        (answer,) = _scan([_kube_score(), "score", "-o=json"], [text])
        for each in answer:
            for check in each["checks"]:
                if check["grade"] == _CRITICAL and not check["skipped"]:
                    object_ = f"{each['type_meta']['kind']}/{each['object_meta']['name']}"
                    yield from [(key, Finding("kube-score", check["check"]["id"], object_))] * len(check["comments"])


def _scan(command: Sequence[Path | str], manifests: Collection[str]) -> Iterator[Any]:
    """The output of a scanner for these manifests, as files: a sequence of JSON values."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{number}.yaml" for number in range(len(manifests))]
        for file, text in zip(files, manifests, strict=True):
            file.write_text(text, encoding="utf-8")
        result = subprocess.run(
            [*command, *files], cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    left = result.stdout.strip()
    while left:
        try:
            answer, end = json.JSONDecoder().raw_decode(left)
        except ValueError:
            raise AssertionError(f"{command[0]} printed no JSON: {left[-500:]}{result.stderr[-500:]}") from None
        yield answer
        left = left[end:].lstrip()


def _checkov() -> Path:
    """The Python with checkov, in a separate environment, because checkov pins many packages."""
    requirements = HERE / "requirements.txt"
    folder = pinned.place("scanners", "checkov", requirements.read_bytes() + sys.version.encode())
    python = folder / "bin" / "python"
    done = folder / "installed"
    with held(lock_at(folder.with_suffix(".lock")), "it installs checkov"):
        if not done.exists():
            with step("Installing checkov"):
                venv.create(folder, clear=True, with_pip=True)
                pinned.run([python, "-m", "pip", *_PIP_INSTALL, str(requirements)], folder=HERE)
            done.touch()
    return python


def _kube_score() -> Path:
    return pinned.go_program("scanners", "github.com/zegl/kube-score/cmd/kube-score", HERE)
