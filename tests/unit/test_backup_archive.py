"""Damaged, incomplete, foreign and malicious archives: each is refused, and nothing of it is kept."""

import gzip
import hashlib
import os
import signal
import subprocess
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from airis.backup import agent, archive
from airis.terminal.errors import AirisError
from tests.unit.backups import (
    backed_up,
    crafted,
    data_folder,
    hashing,
    listing,
    member,
    repacked,
    run_agent,
    seal,
    stream,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> archive.Archive:
    """The archive of two small files."""
    folder = tmp_path_factory.mktemp("backup")
    (folder / "data" / "uploads").mkdir(parents=True)
    (folder / "data" / "uploads" / "a.txt").write_bytes(bytes(range(40)))
    (folder / "data" / "settings.json").write_text("{}")
    return backed_up(folder / "data", folder / "a.tar.gz")


def unpacked(content: bytes, sha256: str | None = None) -> dict[str, Any]:
    return agent.unpack(hashing(content), sha256 or hashlib.sha256(content).hexdigest(), None)


def test_a_whole_archive_is_accepted_and_plain_tar_reads_it_too(made: archive.Archive, tmp_path: Path) -> None:
    assert archive.verify(made.path) == made
    listed = subprocess.run(
        ["tar", "--list", "--gzip", "--file", made.path], capture_output=True, text=True, check=True
    )
    assert listed.stdout.split() == ["airis-backup.json", "data/settings.json", "data/uploads/a.txt"]
    subprocess.run(["sha256sum", "--check", "--status", "a.tar.gz.sha256"], cwd=made.path.parent, check=True)


def test_every_flipped_bit_is_detected(made: archive.Archive) -> None:
    content = made.path.read_bytes()
    for position in range(len(content)):
        flipped = bytearray(content)
        flipped[position] ^= 1 << position % 8
        with pytest.raises(agent.Refused):
            unpacked(bytes(flipped), made.sha256)


def test_a_flipped_bit_is_harmless_even_if_the_outer_checksum_matches(made: archive.Archive) -> None:
    """If such an archive is accepted, its content is the same: the bit was in an irrelevant field of the gzip header."""
    content = made.path.read_bytes()
    accepted = 0
    for position in range(len(content)):
        flipped = bytearray(content)
        flipped[position] ^= 1 << position % 8
        try:
            assert unpacked(bytes(flipped)) == made.manifest
            accepted += 1
        except agent.Refused as refused:
            assert "damaged" in refused.message
    assert accepted < 20


def test_every_truncation_is_detected(made: archive.Archive) -> None:
    content = made.path.read_bytes()
    for length in range(len(content)):
        with pytest.raises(agent.Refused):
            unpacked(content[:length])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"data/settings.json", b"data/settinga.json", "damaged"),  # the tar's own header checksum
        (bytes(range(40)), bytes(range(39)) + b"?", "'uploads/a.txt' differs from what was backed up"),
        (b'"size": 40', b'"size": 41', "differs from what was backed up"),
        (b'"path": "settings.json"', b'"path": "../etc/passwd"', "duplicate or unsafe path"),
        (b'"format": 1', b'"format": 9', "format 9, but this airis reads formats up to 1"),
    ],
)
def test_damage_inside_intact_compression_is_detected(
    old: bytes, new: bytes, message: str, made: archive.Archive
) -> None:
    def change(plain: bytearray) -> None:
        at = plain.rindex(old) if old.startswith((b"data", b"\0")) else plain.index(old)
        plain[at : at + len(new)] = new

    with pytest.raises(agent.Refused, match=message):
        unpacked(repacked(made.path.read_bytes(), change))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "damaged"),
        (b"not an archive at all", "damaged"),
        (gzip.compress(b""), "empty|damaged"),
        (gzip.compress(b"text" * 1000), "damaged"),
        (gzip.compress(bytes(10240)), "it is empty"),
        (b"\x28\xb5\x2f\xfd" + bytes(100), "damaged"),
        (crafted([], first="backup.json"), "not an airis backup"),
        (crafted([], {"application": "other"}), "a backup of 'other'"),
        (crafted([], {"format": agent.FORMAT + 1}), "newer airis|reads formats up to"),
        (crafted([], {"format": "1"}), "reads formats up to"),
        (crafted([], {"files": None}), "list of files"),
        (crafted([], {"files": [{"path": "a"}]}), "damaged"),
        (crafted([], {"files": [{"path": "a", "size": 1, "sha256": "0"}]}), "1 files are missing"),
        (crafted([member("data/a")], {"files": []}), "not in its list"),
        (crafted([member("a")]), "not in its list"),
        (crafted([member("data/a"), member("data/a")]), "duplicate or unsafe path"),
        *[
            (crafted([member(f"data/{path}")]), "duplicate or unsafe path")
            for path in (
                "../a",
                "/etc/a",
                "a/../../b",
                "./a",
                "a//b",
                "",
                ".airis-restore/journal.json",
                "lost+found/a",
            )
        ],
        *[
            (crafted([member("data/a", kind=kind, target="/etc/passwd")]), "not a regular file")
            for kind in (
                tarfile.SYMTYPE,
                tarfile.LNKTYPE,
                tarfile.CHRTYPE,
                tarfile.BLKTYPE,
                tarfile.FIFOTYPE,
                tarfile.DIRTYPE,
            )
        ],
        (crafted([member("data/a")]) + b"more", "damaged"),
        (crafted([member("data/a")]) + gzip.compress(b"more"), "there is data after its end"),
    ],
    ids=lambda value: None if isinstance(value, str) else "archive",  # the bytes hold the time
)
def test_foreign_and_malicious_archives_are_refused(content: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(agent.Refused, match=message):
        agent.unpack(hashing(content), hashlib.sha256(content).hexdigest(), tmp_path / "inside")
    assert not [each for each in tmp_path.rglob("*") if each.is_file() and each.name != "a"]
    with pytest.raises(AirisError, match=r"^a\.tar\.gz: "):
        archive.verify(seal(tmp_path / "a.tar.gz", content))


def test_the_checksum_must_exist_be_valid_and_match(made: archive.Archive, tmp_path: Path) -> None:
    path = seal(tmp_path / "a.tar.gz", made.path.read_bytes())
    checksum = archive.checksum_path(path)
    checksum.write_text("0" * 64 + "  a.tar.gz\n")
    with pytest.raises(AirisError, match="its checksum differs"):
        archive.verify(path)
    checksum.write_text("what\n")
    with pytest.raises(AirisError, match="not a SHA-256"):
        archive.verify(path)
    checksum.unlink()
    with pytest.raises(AirisError, match=r"a\.tar\.gz\.sha256 is missing"):
        archive.verify(path)
    path.unlink()
    with pytest.raises(AirisError, match="no such file"):
        archive.verify(path)


def test_a_stream_that_ends_early_leaves_no_file(tmp_path: Path) -> None:
    data = data_folder(tmp_path / "data")
    out, err = run_agent("backup", str(data)).communicate()
    assert err == b""
    places = tmp_path / "out"
    places.mkdir()
    for length in [*range(0, len(out) - 10240, 4001), out.index(b"airis-tail.json") + 600]:
        with pytest.raises(archive.BrokenStream):
            archive.write(stream(out[:length]), places / "a.tar.gz", {}, lambda done, detail: None)
        assert listing(places) == []


def test_a_stream_that_was_changed_on_its_way_leaves_no_file(tmp_path: Path) -> None:
    out, _ = run_agent("backup", str(data_folder(tmp_path / "data"))).communicate()
    (tmp_path / "out").mkdir()
    for old, new in ((b"a cat", b"a dog"), (b"data/uploads/empty", b"data/../a/b/empty")):
        with pytest.raises(archive.BrokenStream):
            changed = out.replace(old.ljust(len(new), b"\0"), new, 1)
            archive.write(stream(changed), tmp_path / "out" / "a.tar.gz", {}, lambda done, detail: None)
        assert listing(tmp_path / "out") == []


def test_a_backup_is_never_overwritten(made: archive.Archive, tmp_path: Path) -> None:
    with pytest.raises(AirisError, match="never overwritten"):
        archive.free_output(made.path)
    with pytest.raises(AirisError, match="not a writable folder"):
        archive.free_output(tmp_path / "missing" / "a.tar.gz")


def test_a_full_local_disk_is_reported_and_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    (tmp_path / "out").mkdir()
    with pytest.raises(AirisError, match="No space left on device"):
        backed_up(data_folder(tmp_path / "data"), tmp_path / "out" / "a.tar.gz")
    assert listing(tmp_path / "out") == []


def test_a_kill_leaves_no_file_that_looks_complete(tmp_path: Path) -> None:
    out, _ = run_agent("backup", str(data_folder(tmp_path / "data"))).communicate()
    places = tmp_path / "out"
    places.mkdir()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writing)
        with os.fdopen(reading, "rb") as source:
            archive.write(source, places / "a.tar.gz", {}, lambda done, detail: None)
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        pipe.write(out[:-20000])
        pipe.flush()
        while not listing(places):
            time.sleep(0.01)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    (left,) = listing(places)
    assert left.startswith(".a.tar.gz.")
    assert left.endswith(".part")
