"""Tiny models, created in an Ollama through its API, without a registry."""

import hashlib
import sys
from pathlib import Path
from typing import Any, NamedTuple

import requests

from airis.cluster.programs.cache import cache_root
from tests.cluster.images import model
from tests.cluster.images.layer import run
from tests.cluster.images.tools import tools
from tests.cluster.target import Target

_SECONDS = 60.0


class Tiny(NamedTuple):
    """A model of tests/cluster/images/model.py: its size, and the other arguments of that script."""

    layers: int
    width: int
    arguments: tuple[str, ...] = ()


NAME = "tiny:latest"
ANSWER = (
    "A Deployment keeps as many Pods running as you ask for. It starts another one where a Pod fails, and replaces them "
    "when their image changes."
)
TALKING = Tiny(1, 128, ("says", ANSWER))
"""Its answer to everything is `ANSWER`."""
EMBEDDER = "tiny-embeddings:latest"
EMBEDDINGS = Tiny(1, 64, ("embeddings",))
"""Returns embeddings of 64 numbers."""


def written(tiny: Tiny) -> Path:
    """The GGUF file of a model; it is written once."""
    code = Path(model.__file__)
    digest = hashlib.sha256(code.read_bytes() + repr(tiny).encode()).hexdigest()[:12]
    path = cache_root() / "images" / f"tiny-{digest}.gguf"
    if not path.exists():
        part = path.with_suffix(".part")
        part.parent.mkdir(parents=True, exist_ok=True)
        run([sys.executable, code, part, str(tiny.layers), str(tiny.width), *tiny.arguments], PYTHONPATH=str(tools()))
        part.rename(path)
    return path


def give(cluster: Target, url: str, name: str = NAME, tiny: Tiny = TALKING) -> None:
    """Creates the model in the Ollama at `url`. Raises requests.HTTPError with the response if it is refused."""
    with cluster.outside():  # the first call installs the package that writes it
        content = written(tiny).read_bytes()
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    _post(f"{url}/api/blobs/{digest}", data=content)
    body: dict[str, Any] = {
        "model": name,
        "files": {"tiny.gguf": digest},
        # Open WebUI sends its own tools with every chat, which Ollama refuses for a model whose template has none
        "template": "{{ if .Tools }}{{ end }}{{ .Prompt }}",
        "parameters": {"num_predict": 64},
        "stream": False,
    }
    _post(f"{url}/api/create", json=body)


def _post(url: str, **how: Any) -> None:
    answer = requests.post(url, timeout=_SECONDS, **how)
    if not answer.ok:
        raise requests.HTTPError(f"{url}: {answer.status_code} {answer.text[:300]}", response=answer)
