"""The archive on this machine: writes it from the pod's stream, and verifies it before use.

Its SHA-256 is in a file next to it, in the format of `sha256sum`. The archive gets its final name only when it is complete.
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
    """The pod's stream is not a complete backup. The agent's error, if any, is more specific."""

    exit_code = ExitCode.NOT_READY


@dataclass(frozen=True)
class Archive:
    """A completely verified archive."""

    path: Path
    sha256: str
    """The digest of the whole file."""
    manifest: Mapping[str, Any]

    @property
    def bytes(self) -> int:
        """The total size of the files in it."""
        return sum(each["size"] for each in self.manifest["files"])


def checksum_path(path: Path) -> Path:
    """The path of an archive's checksum file."""
    return path.with_name(f"{path.name}.sha256")


def free_output(path: Path) -> None:
    """Raises AirisError if the file exists, or its folder is not writable."""
    for each in (path, checksum_path(path)):
        if each.exists():
            raise AirisError(f"{each} exists, and a backup is never overwritten", "choose another name with --output")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise AirisError(f"{path.parent} is not a writable folder", "choose another folder with --output")


def write(stream: BinaryIO, path: Path, about: Mapping[str, Any], advance: Advance) -> Archive:
    """Writes the pod's stream to `path`, readable only by its owner, and verifies the result.

    `about` are the manifest's keys in addition to its files. `advance` gets the received share. Raises BrokenStream if the
    stream ends early, or differs from the pod's list of sent files; then no file is left.
    """
    try:
        with _draft(path) as (draft, name), tempfile.TemporaryFile(dir=path.parent) as rest:
            listed = _copy_members(stream, cast(BinaryIO, rest), advance)
            manifest = {"format": agent.FORMAT, "application": agent.APPLICATION, **about, **listed}
            # The list of files comes first, but is known only at the end. Concatenated gzip members are valid
            with gzip.GzipFile(filename="", fileobj=draft, mode="wb", mtime=0) as packed:
                info, body = agent.json_member(agent.MANIFEST, manifest)
                packed.write(info.tobuf(tarfile.PAX_FORMAT) + body + b"\0" * (-len(body) % tarfile.BLOCKSIZE))
            rest.seek(0)
            shutil.copyfileobj(rest, draft, _CHUNK)
            draft.flush()
            os.fsync(draft.fileno())
            sha256 = _digest(name)
            _check(name, sha256)
            # The checksum first: alone it is harmless, and the archive never exists without it
            with _draft(path) as (file, checksum):
                file.write(f"{sha256}  {path.name}\n".encode())
                file.flush()
                os.fsync(file.fileno())
                checksum.rename(checksum_path(path))
            name.rename(path)
        agent.sync(path.parent)
    except OSError as error:
        raise AirisError(
            f"{path}: {error.strerror or error}", "free space, or choose another folder with --output"
        ) from None
    return Archive(path, sha256, manifest)


def verify(path: Path) -> Archive:
    """Verifies the whole archive, and returns it.

    Raises AirisError if it is damaged, incomplete, not a backup of Open WebUI, or from a newer airis.
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
            f"copy it from where the backup was made; only if it is permanently lost, run `sha256sum {path.name} > "
            f"{checksum.name}` in the archive's folder",
        )
    found = _CHECKSUM.fullmatch(text.strip())
    if found is None:
        raise AirisError(f"{checksum}: not a SHA-256 checksum", "it must be one line in the format of `sha256sum`")
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
    """Packs the members of the pod's stream; returns the manifest's keys on them."""
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
                        raise BrokenStream(f"the pod sent a file with an unsafe path: {info.name!r}")
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
    raise BrokenStream("the connection to the pod broke before the end of the backup", "try again; nothing was kept")


@contextmanager
def _draft(path: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """A temporary file next to `path` that only its owner can read. It is deleted after the block, unless renamed."""
    # The name is known before the file exists: an interrupt at any moment leaves no file
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            yield file, draft
    finally:
        draft.unlink(missing_ok=True)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
