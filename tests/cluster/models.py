"""The tiny random model, given to an Ollama by its API: it needs no registry."""

import hashlib
import sys
from pathlib import Path
from typing import Any

import requests

from airis.sandbox.places import cache_root
from tests.cluster.images import model
from tests.cluster.images.layer import run
from tests.cluster.images.tools import tools
from tests.cluster.target import Target

NAME = "tiny:latest"

_SECONDS = 60.0


def tiny(layers: int = 2, width: int = 64) -> Path:
    """A GGUF file of that size; it is written once."""
    code = Path(model.__file__)
    digest = hashlib.sha256(code.read_bytes()).hexdigest()[:12]
    path = cache_root() / "images" / f"tiny-{layers}-{width}-{digest}.gguf"
    if not path.exists():
        part = path.with_suffix(".part")
        part.parent.mkdir(parents=True, exist_ok=True)
        run([sys.executable, code, part, str(layers), str(width)], PYTHONPATH=str(tools()))
        part.rename(path)
    return path


def give(cluster: Target, url: str, name: str = NAME, layers: int = 2, width: int = 64) -> None:
    """Makes the model in the Ollama at `url`. Raises requests.HTTPError where it refuses."""
    with cluster.outside():  # the first time, the package that writes it is installed
        content = tiny(layers, width).read_bytes()
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    requests.post(f"{url}/api/blobs/{digest}", data=content, timeout=_SECONDS).raise_for_status()
    body: dict[str, Any] = {
        "model": name,
        "files": {"tiny.gguf": digest},
        # Open WebUI offers its own tools with every chat, which Ollama refuses for a model whose template names none
        "template": "{{ if .Tools }}{{ end }}{{ .Prompt }}",
        "parameters": {"num_predict": 32},
        "stream": False,
    }
    requests.post(f"{url}/api/create", json=body, timeout=_SECONDS).raise_for_status()
