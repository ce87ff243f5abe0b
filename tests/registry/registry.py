"""A real container registry on loopback (main.go), and images for it."""

import hashlib
import json
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import requests

from tests import pinned

HERE = Path(__file__).parent
_INDEX = "application/vnd.oci.image.index.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_SECONDS = 30


@dataclass(frozen=True)
class Registry:
    """Its addresses."""

    plain: str
    """Address and port without TLS, for anonymous access."""
    proxy: str
    """URL of a proxy that serves the same images for every host name, with TLS and tokens."""
    authorities: Path
    """The bundle with the authority of its certificate."""

    def push(self, name: str, tag: str, *platforms: str) -> str:
        """Pushes an image for these platforms, as an index if there are several; returns its digest."""
        manifests = [self._one(name, each) for each in platforms]
        kind, body = _MANIFEST, manifests[0][0]
        if len(manifests) > 1:
            attestation = {"os": "unknown", "architecture": "unknown"}
            entries = [
                {**_described(one, _MANIFEST), "platform": platform}
                for (one, _), platform in zip(manifests, map(_platform, platforms), strict=True)
            ]
            kind = _INDEX
            body = _index([*entries, {**_described(manifests[0][0], _MANIFEST), "platform": attestation}])
        self._manifest(name, tag, kind, body)
        return _digest(body)

    def _one(self, name: str, platform: str) -> tuple[bytes, str]:
        config = json.dumps({**_platform(platform), "rootfs": {"type": "layers", "diff_ids": []}}).encode()
        place = self._ask("POST", f"/v2/{name}/blobs/uploads/").headers["Location"]
        joint = "&" if urlsplit(place).query else "?"
        self._ask("PUT", f"{urlsplit(place).path}?{urlsplit(place).query}{joint}digest={_digest(config)}", config)
        body = json.dumps(
            {"schemaVersion": 2, "mediaType": _MANIFEST, "config": _described(config, _CONFIG), "layers": []}
        ).encode()
        self._manifest(name, _digest(body), _MANIFEST, body)
        return body, _digest(body)

    def _manifest(self, name: str, version: str, kind: str, body: bytes) -> None:
        self._ask("PUT", f"/v2/{name}/manifests/{version}", body, kind)

    def _ask(self, method: str, path: str, body: bytes = b"", kind: str = "") -> requests.Response:
        headers = {"Content-Type": kind} if kind else {}
        answer = requests.request(
            method, f"http://{self.plain}{path}", data=body, headers=headers, timeout=_SECONDS, proxies={"http": ""}
        )
        answer.raise_for_status()
        return answer


@contextmanager
def running(names: Sequence[str]) -> Iterator[Registry]:
    """A registry, also for these host names. Raises EnvironmentProblem if it cannot be built."""
    program = pinned.go_program("registry", "airis/tests/registry", HERE)
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            [program, folder, *names], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process,
    ):
        try:
            assert process.stdout is not None
            said = json.loads(process.stdout.readline())
            authorities = Path(folder) / "authorities.pem"
            authorities.write_text(said["authorities"], encoding="utf-8")
            yield Registry(said["plain"], said["proxy"], authorities)
        finally:
            process.kill()


def _platform(words: str) -> dict[str, str]:
    system, _, architecture = words.partition("/")
    return {"os": system, "architecture": architecture}


def _index(entries: list[dict[str, object]]) -> bytes:
    return json.dumps({"schemaVersion": 2, "mediaType": _INDEX, "manifests": entries}).encode()


def _described(body: bytes, kind: str) -> dict[str, object]:
    return {"mediaType": kind, "digest": _digest(body), "size": len(body)}


def _digest(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"
