"""checkov and kube-score: pinned, installed once into the user's cache, and what they find in manifests."""

import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from airis.progress import step
from airis.sandbox.locking import held, lock_at
from tests import pinned

HERE = Path(__file__).parent

_CHECKOV = "import sys; from checkov.main import Checkov; sys.exit(Checkov().run())"
_PIP_INSTALL = (
    "install",
    "--quiet",
    "--no-compile",
    "--disable-pip-version-check",
    "--require-hashes",
    "--requirement",
)
_CRITICAL = 1
"""kube-score's lowest grade; 5 is a warning."""


class Finding(NamedTuple):
    """A check that an object fails."""

    scanner: str
    check: str
    object: str


def checkov(manifests: str) -> Iterator[Finding]:
    """The failed checks of checkov's Kubernetes policies."""
    options = ("--framework=kubernetes", "--skip-download", "-o=json", "-f")
    for each in _scan([_checkov(), "-c", _CHECKOV, *options], manifests)["results"]["failed_checks"]:
        kind, _, name, *_ = each["resource"].split(".")  # StatefulSet.<namespace>.<name>
        yield Finding("checkov", each["check_id"], f"{kind}/{name}")


def kube_score(manifests: str) -> Iterator[Finding]:
    """What kube-score calls critical: one for each comment, as its own summary counts them."""
    for each in _scan([_kube_score(), "score", "-o=json"], manifests):
        for check in each["checks"]:
            if check["grade"] == _CRITICAL and not check["skipped"]:
                object_ = f"{each['type_meta']['kind']}/{each['object_meta']['name']}"
                yield from [Finding("kube-score", check["check"]["id"], object_)] * len(check["comments"])


def _scan(command: Sequence[Path | str], manifests: str) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "stack.yaml"
        file.write_text(manifests, encoding="utf-8")
        result = subprocess.run([*command, file], cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    try:
        return json.loads(result.stdout)
    except ValueError:
        raise AssertionError(f"{command[0]} printed no JSON: {result.stdout[-500:]}{result.stderr[-500:]}") from None


def _checkov() -> Path:
    """The Python with checkov, in an environment of its own: it pins many packages, and none of them is airis's."""
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
