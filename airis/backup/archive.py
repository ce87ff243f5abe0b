"""The archive on this side: written from the pod's stream, checked before it is used.

Its SHA-256 lies beside it, in the format of `sha256sum`. A file of the archive's own name is there only when it is whole.
"""

import gzip
import hashlib
import os
import re
import secrets
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from airis.backup import agent
from airis.terminal.errors import AirisError, ExitCode

_CHUNK = 1 << 20
_CHECKSUM = re.compile(r"(?P<sha256>[0-9a-f]{64})(?: [ *].*)?")

Advance = Callable[[float, str], None]


class BrokenStream(AirisError):
    """What came out of the pod is not a whole backup. Why, the pod knows better."""

    exit_code = ExitCode.NOT_READY


@dataclass(frozen=True)
class Archive:
    """An archive that was checked from its first to its last byte."""

    path: Path
    sha256: str
    """Of the whole file."""
    manifest: Mapping[str, Any]

    @property
    def bytes(self) -> int:
        """Size of the files in it."""
        return sum(each["size"] for each in self.manifest["files"])


def checksum_path(path: Path) -> Path:
    """Where the checksum of an archive lies."""
    return path.with_name(f"{path.name}.sha256")


def free_output(path: Path) -> None:
    """Refuses a place that is taken, or that cannot be written to."""
    for each in (path, checksum_path(path)):
        if each.exists():
            raise AirisError(f"{each} exists, and a backup is never overwritten", "choose another name with --output")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise AirisError(f"{path.parent} is no folder that can be written to", "choose another place with --output")


def write(stream: BinaryIO, path: Path, about: Mapping[str, Any], advance: Advance) -> Archive:
    """Writes the pod's stream to `path`, readable by its owner alone, and checks what was written.

    `about` is what the manifest says besides its files. `advance` is told the share that is here. Raises BrokenStream
    when the stream ends early or differs from what the pod says that it sent; then nothing is left behind.
    """
    try:
        with _draft(path) as (draft, name), tempfile.TemporaryFile(dir=path.parent) as rest:
            listed = _copy_members(stream, cast(BinaryIO, rest), advance)
            manifest = {"format": agent.FORMAT, "application": agent.APPLICATION, **about, **listed}
            # The list of files stands in front of them and is known only after them. gzip's members may be joined
            with gzip.GzipFile(filename="", fileobj=draft, mode="wb", mtime=0) as packed:
                info, body = agent.json_member(agent.MANIFEST, manifest)
                packed.write(info.tobuf(tarfile.PAX_FORMAT) + body + b"\0" * (-len(body) % tarfile.BLOCKSIZE))
            rest.seek(0)
            shutil.copyfileobj(rest, draft, _CHUNK)
            draft.flush()
            os.fsync(draft.fileno())
            sha256 = _digest(name)
            _check(name, sha256)
            # The checksum first: alone it does no harm, and the archive never stands there without it
            with _draft(path) as (file, checksum):
                file.write(f"{sha256}  {path.name}\n".encode())
                file.flush()
                os.fsync(file.fileno())
                checksum.rename(checksum_path(path))
            name.rename(path)
        agent.sync(path.parent)
    except OSError as error:
        raise AirisError(
            f"{path}: {error.strerror or error}", "make room, or choose another place with --output"
        ) from None
    return Archive(path, sha256, manifest)


def verify(path: Path) -> Archive:
    """Reads the whole archive, and returns what is in it.

    Raises AirisError where it is damaged, incomplete, not a backup of Open WebUI, or from a newer airis.
    """
    if not path.is_file():
        raise AirisError(f"{path}: there is no such file")
    checksum = checksum_path(path)
    try:
        text = checksum.read_text(encoding="utf-8", errors="replace") if checksum.is_file() else None
        actual = _digest(path)
    except OSError as error:
        raise AirisError(f"{path}: it cannot be read: {error.strerror}") from None
    if text is None:
        raise AirisError(
            f"{path}: its checksum {checksum.name} is missing",
            f"bring it along from where the backup was made; only if it is lost for good: `sha256sum {path.name} > "
            f"{checksum.name}` in the archive's folder",
        )
    found = _CHECKSUM.fullmatch(text.strip())
    if found is None:
        raise AirisError(f"{checksum}: this is no SHA-256 checksum", "it is one line, as `sha256sum` writes it")
    if found["sha256"] != actual:
        raise AirisError(f"{path}: the archive is damaged: its checksum differs", "use another backup")
    return Archive(path, actual, _check(path, actual))


def _check(path: Path, sha256: str) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return agent.unpack(agent.Hashing(file), sha256, None)
    except agent.Refused as refused:
        raise AirisError(f"{path.name}: {refused.message}", refused.remedy) from None


def _copy_members(stream: BinaryIO, out: BinaryIO, advance: Advance) -> dict[str, Any]:
    """Packs the members of the pod's stream; returns what the manifest says of them."""
    received: list[dict[str, Any]] = []
    total, done = 0.0, 0
    try:
        with (
            gzip.GzipFile(filename="", fileobj=out, mode="wb", mtime=0, compresslevel=6) as packed,
            tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
        ):
            for info, file in agent.members(stream):
                if info.name == agent.HEAD:
                    total = float(agent.read_json(info, file)["bytes"])
                elif info.name == agent.TAIL:
                    tail = agent.read_json(info, file)
                    if tail["files"] != received:
                        raise BrokenStream("what arrived is not what the pod sent", "try again; nothing was kept")
                    return tail
                else:
                    name = info.name.removeprefix(agent.DATA)
                    if not info.name.startswith(agent.DATA) or not agent.is_safe(name):
                        raise BrokenStream(f"the pod sent a file with a path that leads elsewhere: {info.name!r}")
                    copy = tarfile.TarInfo(info.name)
                    copy.size, copy.mode, copy.mtime = info.size, info.mode, info.mtime
                    hashing = agent.Hashing(file)
                    tar.addfile(copy, cast(BinaryIO, hashing))
                    vars(tar)["members"].clear()
                    received.append({"path": name, "size": info.size, "sha256": hashing.sha256})
                    done += info.size
                    advance(done / total if total else 0.0, f"{done >> 20} MiB")
    except (agent.Refused, tarfile.TarError, KeyError, TypeError, ValueError):
        pass
    except OSError as error:
        if error.errno is not None:  # writing failed, not reading
            raise
    raise BrokenStream("the connection to the pod broke before everything was here", "try again; nothing was kept")


@contextmanager
def _draft(path: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """A file beside `path` that only its owner can read, and that is gone after the block unless it was renamed."""
    # The name is known before the file exists: an interrupt at any moment leaves nothing behind
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            yield file, draft
    finally:
        draft.unlink(missing_ok=True)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
