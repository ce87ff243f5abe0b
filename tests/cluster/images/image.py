"""Images: layers with a configuration, written as an archive in OCI's image layout."""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airis.cluster.programs.locking import held, lock_at
from airis.terminal.progress import step
from tests.cluster.images.layer import Layer, folder, scratch

_OCI = "application/vnd.oci.image"


@dataclass(frozen=True)
class Image:
    """An image: its full reference, its layers from the lowest to the highest, and what its container runs.

    `entrypoint`, `cmd`, `workdir`, `user`, `stop_signal` and `env` are the fields of that name in the image's configuration
    (OCI image specification, config.md).
    """

    reference: str
    layers: Sequence[Layer]
    entrypoint: Sequence[str] = ()
    cmd: Sequence[str] = ()
    workdir: str = "/"
    user: str = ""
    stop_signal: str = ""
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def config(self) -> dict[str, Any]:
        """The configuration as the specification has it."""
        fields = {
            "Entrypoint": list(self.entrypoint),
            "Cmd": list(self.cmd),
            "WorkingDir": self.workdir,
            "User": self.user,
            "StopSignal": self.stop_signal,
            "Env": [f"{name}={value}" for name, value in ({"PATH": _PATH} | dict(self.env)).items()],
        }
        return {name: value for name, value in fields.items() if value}

    @property
    def key(self) -> str:
        """A name for the cache: another one as soon as a layer, the configuration or the format is."""
        parts = (self.reference, json.dumps(self.config), *(each.key for each in self.layers))
        digest = hashlib.sha256(Path(__file__).read_bytes() + "\n".join(parts).encode()).hexdigest()
        return f"{self.reference.rpartition('/')[2].replace(':', '-')}-{digest[:12]}"


_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def full(reference: str) -> str:
    """Returns a reference as containerd names it: `redis:8` is `docker.io/library/redis:8`.

    Source of the grammar: github.com/distribution/reference.
    """
    first, slash, _ = reference.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return reference
    return f"docker.io/{reference}" if slash else f"docker.io/library/{reference}"


def build(image: Image) -> Path:
    """Returns the image's archive, which is written first where it is not cached."""
    archive = folder() / f"{image.key}.oci.tar"
    with held(lock_at(archive.with_suffix(".lock")), f"it builds the image {image.reference}"):
        if not archive.exists():
            layers = [each.tar() for each in image.layers]
            with step(f"Writing the image {image.reference}"), scratch(archive) as temporary:
                part = temporary / "image.tar"
                _write(part, image, layers)
                part.replace(archive)
    return archive


def _write(archive: Path, image: Image, layers: Sequence[Path]) -> None:
    digests = [_sha256(each) for each in layers]
    config = _json(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": image.config,
            "rootfs": {"type": "layers", "diff_ids": digests},
            "history": [{"created_by": each.name} for each in image.layers],
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": f"{_OCI}.manifest.v1+json",
            "config": _descriptor("config.v1+json", config),
            "layers": [
                {"mediaType": f"{_OCI}.layer.v1.tar", "digest": digest, "size": each.stat().st_size}
                for digest, each in zip(digests, layers, strict=True)
            ],
        }
    )
    described = {
        **_descriptor("manifest.v1+json", manifest),
        "platform": {"architecture": "amd64", "os": "linux"},
        "annotations": {  # the first is containerd's, the second the specification's
            "io.containerd.image.name": image.reference,
            "org.opencontainers.image.ref.name": image.reference.rpartition(":")[2],
        },
    }
    index = {"schemaVersion": 2, "mediaType": f"{_OCI}.index.v1+json", "manifests": [described]}
    with tarfile.open(archive, "w") as tar:
        _add(tar, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
        _add(tar, "index.json", _json(index))
        for blob in (config, manifest):
            _add(tar, _blob("sha256:" + hashlib.sha256(blob).hexdigest()), blob)
        for digest, each in zip(digests, layers, strict=True):
            tar.add(each, arcname=_blob(digest))


def _descriptor(kind: str, blob: bytes) -> dict[str, Any]:
    digest = "sha256:" + hashlib.sha256(blob).hexdigest()
    return {"mediaType": f"{_OCI}.{kind}", "digest": digest, "size": len(blob)}


def _blob(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


def _json(content: Any) -> bytes:
    return json.dumps(content).encode()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
