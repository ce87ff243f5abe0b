"""A layer with models for Ollama, in the storage of the CNCF's registry server (github.com/distribution/distribution)."""

import hashlib
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tests.cluster.images import model
from tests.cluster.images.layer import Layer, run
from tests.cluster.images.tools import LOCKS, tools

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


class Model(NamedTuple):
    """A random model, and its repository, such as `library/tiny`."""

    repository: str
    layers: int
    width: int
    embeddings: bool = False


@dataclass(frozen=True)
class Models(Layer):
    """Models with the tag `latest`.

    The layout of the storage is that of distribution's registry/storage/paths.go; that of the manifest is what `ollama
    push` sends (github.com/ollama/ollama, manifest/manifest.go).
    """

    models: tuple[Model, ...]
    name = "models"

    def inputs(self) -> Iterable[bytes]:
        """The sizes, and the code that writes a model."""
        return [
            repr(self.models).encode(),
            Path(model.__file__).read_bytes(),
            (LOCKS / "build-requirements.txt").read_bytes(),
        ]

    def fill(self, root: Path) -> None:
        """Writes the models, and what the registry keeps beside them."""
        storage = root / "var/lib/registry/docker/registry/v2"
        for each in self.models:
            file = root.parent / "model.gguf"
            size = (str(each.layers), str(each.width), *(["embeddings"] if each.embeddings else []))
            run([sys.executable, model.__file__, file, *size], PYTHONPATH=str(tools()))
            _push(storage, each.repository, file.read_bytes())


def _push(storage: Path, repository: str, weights: bytes) -> None:
    links = storage / "repositories" / repository

    def keep(kind: str, content: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        _write(storage / "blobs/sha256" / digest[:2] / digest / "data", content)
        _write(links / "_layers/sha256" / digest / "link", f"sha256:{digest}".encode())
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)}

    layers = [
        keep("application/vnd.ollama.image.model", weights),
        keep("application/vnd.ollama.image.template", b"{{ .Prompt }}"),
    ]
    config = {
        "model_format": "gguf",
        "model_family": "llama",
        "model_families": ["llama"],
        "model_type": "tiny",
        "file_type": "F16",
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [each["digest"] for each in layers]},
    }
    described = keep("application/vnd.docker.container.image.v1+json", json.dumps(config).encode())
    content = {"schemaVersion": 2, "mediaType": _MANIFEST, "config": described, "layers": layers}
    digest = keep(_MANIFEST, json.dumps(content).encode())["digest"]
    name, link = digest.replace(":", "/"), digest.encode()
    _write(links / "_manifests/revisions" / name / "link", link)
    _write(links / "_manifests/tags/latest/current/link", link)
    _write(links / "_manifests/tags/latest/index" / name / "link", link)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
