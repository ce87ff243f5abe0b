"""The images of the stories: the content of archives, that each is built once, and that they match the settings."""

import hashlib
import json
import tarfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from settings.ollama.ollama import OllamaSettings
from settings.state.redis import RedisServerSettings
from settings.types import releases
from settings.webui.webui import WebUISettings
from tests.cluster import images
from tests.cluster.images import recipes
from tests.cluster.images.image import Image, build, full
from tests.cluster.images.layer import Layer, folder
from tests.cluster.images.python import locked
from tests.cluster.images.tools import LOCKS


class Small(Layer):
    """A layer of one file, which counts how often it is written."""

    name = "small"

    def __init__(self, content: str = "hello", during: Callable[[], None] = lambda: None) -> None:
        self.content = content
        self.during = during
        self.filled = 0

    def inputs(self) -> Iterable[bytes]:
        return [self.content.encode()]

    def fill(self, root: Path) -> None:
        (root / "usr").mkdir()
        (root / "usr/hello").write_text(self.content)
        self.filled += 1
        self.during()


def image(*layers: Layer) -> Image:
    return Image("registry.example.com/a/small:1.2", layers, entrypoint=["/usr/hello"], workdir="/usr", env={"A": "b"})


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    monkeypatch.setenv("AIRIS_CACHE", str(tmp_path))
    yield folder()


def kept(cache: Path) -> list[str]:
    """The files in the cache, except for locks."""
    return sorted(each.name for each in cache.iterdir() if ".lock" not in each.suffixes)


class Archive:
    """Reads an archive like containerd."""

    def __init__(self, path: Path) -> None:
        with tarfile.open(path) as tar:
            self.files = {each.name: tar.extractfile(each).read() for each in tar if each.isfile()}  # type: ignore[union-attr]

    def blob(self, descriptor: Any) -> bytes:
        """The blob of a descriptor; asserts its digest and size."""
        content = self.files["blobs/" + descriptor["digest"].replace(":", "/")]
        assert descriptor["digest"] == "sha256:" + hashlib.sha256(content).hexdigest()
        assert descriptor["size"] == len(content)
        return content


def test_an_archive_is_an_oci_layout_that_names_its_reference(cache: Path) -> None:
    archive = Archive(build(image(Small("below"), Small("above"))))
    assert json.loads(archive.files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    (described,) = json.loads(archive.files["index.json"])["manifests"]
    assert described["annotations"]["io.containerd.image.name"] == "registry.example.com/a/small:1.2"
    manifest = json.loads(archive.blob(described))
    config = json.loads(archive.blob(manifest["config"]))
    assert config["config"]["Entrypoint"] == ["/usr/hello"]
    assert config["config"]["WorkingDir"] == "/usr"
    assert "A=b" in config["config"]["Env"]
    layers = [archive.blob(each) for each in manifest["layers"]]
    assert config["rootfs"]["diff_ids"] == [each["digest"] for each in manifest["layers"]]
    for layer, content in zip(layers, ("below", "above"), strict=True):
        path = cache / "layer.tar"
        path.write_bytes(layer)
        with tarfile.open(path) as tar:
            file = tar.extractfile("usr/hello")
            assert file is not None
            assert file.read() == content.encode()
            assert {(each.uid, each.gid, each.mtime) for each in tar} == {(0, 0, 0)}


def test_the_second_call_builds_nothing() -> None:
    layer = Small()
    assert build(image(layer)) == build(image(layer))
    assert layer.filled == 1


def test_images_share_their_layers() -> None:
    layer = Small()
    one, other = build(image(layer)), build(image(layer, Small("further")))
    assert one != other
    assert layer.filled == 1


def test_another_input_makes_another_layer() -> None:
    one, other = build(image(Small("one"))), build(image(Small("other")))
    assert one.read_bytes() != other.read_bytes()


def interrupt() -> None:
    raise KeyboardInterrupt


def test_an_interrupted_build_leaves_nothing(cache: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        build(image(Small(during=interrupt)))
    assert kept(cache) == []
    layer = Small()
    build(image(layer))
    assert layer.filled == 1


def test_the_next_build_removes_leftovers_of_a_killed_one(cache: Path) -> None:
    layer = Small()
    left = cache / f".{layer.key}.tar-killed"
    (left / "root").mkdir(parents=True)
    (left / "layer.tar").write_text("half")
    archive = build(image(layer))
    assert kept(cache) == sorted([f"{layer.key}.tar", archive.name])


@pytest.mark.parametrize(
    ("short", "whole"),
    [
        ("redis:8", "docker.io/library/redis:8"),
        ("ollama/ollama:1", "docker.io/ollama/ollama:1"),
        ("ghcr.io/a/b:1", "ghcr.io/a/b:1"),
        ("localhost/a:1", "localhost/a:1"),
        ("registry:5000/a:1", "registry:5000/a:1"),
    ],
)
def test_references_are_normalized_as_in_containerd(short: str, whole: str) -> None:
    assert full(short) == whole


def test_each_reference_has_one_recipe() -> None:
    assert len(images.references()) == len(recipes.IMAGES)
    assert all(full(each) == each for each in images.references())


def test_an_unknown_reference_is_an_error() -> None:
    with pytest.raises(KeyError, match=r"example\.com/no:1"):
        images.archive("example.com/no:1")


@pytest.mark.parametrize("settings", [WebUISettings, OllamaSettings, RedisServerSettings])
def test_the_defaults_of_the_settings_have_an_image(settings: type[Any]) -> None:
    assert full(settings().image) in images.references()


def test_the_pins_match_the_default_images() -> None:
    before, now = recipes.RELEASE_BEFORE.version, recipes.RELEASE.version
    assert now == releases.OPEN_WEBUI.version
    assert releases.release(before) < releases.release(now)
    assert recipes.WEBUI.replace(now, before) == recipes.WEBUI_BEFORE
    assert recipes.OLLAMA_PROGRAM.version == f"v{releases.OLLAMA.version}"


def test_excluded_packages_are_in_no_lock_file() -> None:
    listed = (LOCKS / "without.txt").read_text(encoding="utf-8").splitlines()
    without = {line for line in listed if line and not line.startswith("#")}
    assert "torch" in without
    for name in ("open-webui-requirements.txt", "open-webui-before.txt"):
        assert not without & set(locked(LOCKS / name))
