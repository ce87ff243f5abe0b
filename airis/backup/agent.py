"""The part of backup and restore that runs in the pod with the data. It must stay one standalone file.

It needs only the standard library. remote.py sends the source of this file to the pod, and the image's `python3` runs it: it
cannot import any other module of airis, and no image has to contain it. With a read-only root filesystem, it writes only to
the data volume. On this machine, `airis` uses the same functions to verify an archive.

An archive is a tar file, compressed with gzip: first `airis-backup.json`, which lists every file with its size and SHA-256,
then the files below `data/`. It contains only regular files, and only regular files are extracted from it.
"""

import contextlib
import fcntl
import gzip
import hashlib
import io
import json
import os
import shutil
import signal
import sqlite3
import sys
import tarfile
import tempfile
import time
import urllib.parse
import zlib
from collections.abc import Callable, Iterator, Mapping, Set
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

FORMAT = 1
APPLICATION = "open-webui"
MANIFEST = "airis-backup.json"
DATA = "data/"
HEAD = "airis-head.json"
TAIL = "airis-tail.json"
"""The first and the last member of the stream from the pod: the expected size, and the list of the files sent."""

REBUILT = ("cache/embedding", "cache/whisper", "cache/tiktoken")
"""Models that Open WebUI downloads again automatically. Everything else in `cache` is kept: chats may refer to it."""

ASIDE = "data.before-restore-"
WORK = ".airis-"
"""Prefix of airis's own folders on the data volume."""

_RESTORE = ".airis-restore"
_BACKUP = ".airis-backup"
_JOURNAL = "journal.json"
_RECEIPT = ".airis-restored"
_NEW = "new"

_CHUNK = 1 << 20
_LOCK_SECONDS = 60.0
_BUSY_SECONDS = 0.2
"""How long SQLite itself waits for a lock. Signals are not handled during this time."""

_SPARE_BYTES = 16 << 20
_SCRATCH_BYTES = 512 << 20
"""The largest copy in the pod's scratch folder: half of what the pod may use before it is evicted."""

_MANIFEST_BYTES = 256 << 20
_SQLITE = b"SQLite format 3\x00"
_SQLITE_SIDES = ("-wal", "-shm", "-journal")


class Refused(Exception):
    """Why nothing was done, and the remedy. Contains names and numbers, never file contents."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


def damaged(why: str) -> Refused:
    """The error for an archive that differs from what was written."""
    return Refused(f"the archive is damaged: {why}", "use another backup")


class Hashing:
    """Reads another stream, and records the SHA-256 and the number of the bytes read.

    It ends after `limit` bytes, if given: the end of a stream does not always reach the pod.
    """

    def __init__(self, source: BinaryIO, limit: int | None = None) -> None:
        self._source = source
        self._limit = limit
        self._digest = hashlib.sha256()
        self.count = 0

    def read(self, size: int = -1) -> bytes:
        """Reads from the underlying stream."""
        if self._limit is not None:
            left = self._limit - self.count
            size = left if size < 0 else min(size, left)
        chunk = self._source.read(size)
        self._digest.update(chunk)
        self.count += len(chunk)
        return chunk

    @property
    def sha256(self) -> str:
        """The digest of everything read so far."""
        return self._digest.hexdigest()


# --- layout of the volume ----------------------------------------------------------------------------------------------


def is_own(name: str) -> bool:
    """Whether a top-level entry of the volume belongs to airis or the filesystem, and not to the application."""
    return name.startswith((WORK, ASIDE)) or name == "lost+found"


def entries(data: Path) -> list[str]:
    """The application's top-level entries of the volume."""
    return [name for name in _names(data) if not is_own(name)]


def _names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def is_safe(name: str) -> bool:
    """Whether a path stays below the target folder, and is unambiguous."""
    parts = name.split("/")
    return bool(name) and "\x00" not in name and not {"", ".", ".."} & set(parts) and not is_own(parts[0])


def inspect(data: Path) -> dict[str, Any]:
    """The state of the volume before a restore: whether it has data, its free space, and whether a restore is unfinished."""
    return {
        "empty": not entries(data),
        "free": _free(data),
        "unfinished": (data / _RESTORE / _JOURNAL).exists(),
    }


def _free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Locks the folder against a second backup or restore. The kernel releases the lock when the process ends in any way."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused("another backup or restore is running on this volume", "wait until it has finished") from None
        except OSError:
            pass  # a filesystem without locks
        yield
    finally:
        os.close(descriptor)


# --- backup ------------------------------------------------------------------------------------------------------------


def backup(data: Path, out: BinaryIO) -> None:
    """Writes the data folder to `out` as a tar file: HEAD, the files below `data/`, and TAIL with the list of the files sent.

    Each SQLite database is replaced by a consistent copy with all earlier commits. The copies are temporarily on the data
    volume, or in the scratch folder if the volume is full.
    """
    if not data.is_dir():
        raise Refused(f"{data}: there is no such folder")
    if (data / _RESTORE / _JOURNAL).exists():
        raise Refused("a restore was interrupted in its last step", "run `airis restore` again before the backup")
    with _locked(data), tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        shutil.rmtree(data / _BACKUP, ignore_errors=True)  # from a killed backup
        skipped: list[str] = []
        expected = list(_files(data, skipped))
        _add_json(tar, HEAD, {"bytes": sum(map(_size, expected))})
        sent: list[dict[str, Any]] = []
        changed: list[str] = []

        def add_database(path: Path) -> None:
            with _snapshot(path, data) as copy:
                sent.append(_add(tar, path.relative_to(data), copy, path.stat()))

        # Databases first, then list the files again: an upload is a file before it is a row, so no row lacks its file
        databases = {each for each in expected if _is_sqlite(each)}
        _refuse_encrypted(data / "webui.db", databases)
        for path in sorted(databases):
            add_database(path)
        skipped.clear()
        for path in _files(data, skipped):
            if path in databases or _is_side(path):
                continue
            if _is_sqlite(path):  # new since the first listing
                add_database(path)
                continue
            name = path.relative_to(data)
            try:
                file = path.open("rb")
            except FileNotFoundError:
                continue  # deleted meanwhile
            with file:
                before = os.fstat(file.fileno())
                sent.append(_add(tar, name, file, before))
                after = os.fstat(file.fileno())
            if (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size):
                changed.append(name.as_posix())
        _add_json(tar, TAIL, {"files": sent, "changed": changed, "skipped": skipped})


def _refuse_encrypted(main: Path, databases: Set[Path]) -> None:
    if main not in databases and _size(main):
        raise Refused(
            "webui.db is not a SQLite database, or it is encrypted", "it cannot be copied safely while it is in use"
        )


def _is_side(path: Path) -> bool:
    """Whether a file is a database's journal: the copy of the database already includes it."""
    return any(
        path.name.endswith(side) and _is_sqlite(path.with_name(path.name.removesuffix(side))) for side in _SQLITE_SIDES
    )


def _files(folder: Path, skipped: list[str], top: Path | None = None) -> Iterator[Path]:
    """All regular files for the backup, sorted. Links, sockets and other special files are added to `skipped`."""
    top = top or folder
    try:
        found = sorted(os.scandir(folder), key=lambda each: each.name)
    except FileNotFoundError:
        return  # deleted meanwhile
    for entry in found:
        path = Path(entry.path)
        name = path.relative_to(top).as_posix()
        if (folder == top and is_own(entry.name)) or name in REBUILT:
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _files(path, skipped, top)
        elif entry.is_file(follow_symlinks=False):
            yield path
        else:
            skipped.append(name)


def _is_sqlite(path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        return file.read(len(_SQLITE)) == _SQLITE
    return False


@contextlib.contextmanager
def _snapshot(source: Path, data: Path) -> Iterator[BinaryIO]:
    """Copies a database, and yields the open, already unlinked copy: it disappears with this process."""
    needed = source.stat().st_size + _size(Path(f"{source}-wal")) + _SPARE_BYTES
    if _free(data) >= needed:
        folder = data / _BACKUP
    elif needed <= _SCRATCH_BYTES and _free(scratch := Path(tempfile.gettempdir())) >= needed:
        folder = scratch / _BACKUP
    else:
        raise Refused(
            f"the copy of {source.name} needs {needed >> 20} MiB, but the volume has {_free(data) >> 20} MiB left",
            "enlarge the volume (airis:webui.storage.size can grow), and try again",
        )
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    try:
        copy = folder / "copy.db"
        _copy_database(source, copy)
        file = copy.open("rb")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    with file:
        yield file


def _size(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


def _copy_database(source: Path, copy: Path) -> None:
    """Copies in one step, which is one read transaction: Open WebUI keeps writing (WAL), or waits until the copy is done.

    A copy in several steps restarts after each write of another process, and never finishes under load. The connection is
    read-write, because only that can recover a journal after a crash. Source: sqlite.org, "Online Backup API", "WAL".
    """
    deadline = time.monotonic() + _LOCK_SECONDS

    def progress(status: int, remaining: int, total: int) -> None:
        if status != sqlite3.SQLITE_DONE and time.monotonic() > deadline:
            raise Refused(f"{source.name} was locked for {_LOCK_SECONDS:.0f} s", "back up at a quieter time")

    uri = f"file:{urllib.parse.quote(str(source))}?mode=rw"
    try:
        with (
            contextlib.closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS)) as live,
            contextlib.closing(sqlite3.connect(copy)) as to,
        ):
            to.execute("PRAGMA synchronous=OFF")
            live.backup(to, pages=-1, progress=progress, sleep=0.05)
        with contextlib.closing(
            sqlite3.connect(f"file:{urllib.parse.quote(str(copy))}?immutable=1", uri=True)
        ) as check:
            (verdict,) = check.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        raise Refused(
            f"{source.name} cannot be copied: {error}", "check whether the volume is full or damaged"
        ) from None
    if verdict != "ok":
        raise Refused(f"{source.name} is damaged: {verdict}", "restore an earlier backup, or repair the database")


def _add(tar: tarfile.TarFile, name: PurePosixPath | Path, file: BinaryIO, like: os.stat_result) -> dict[str, Any]:
    """Adds one open file with its current size; data that is appended later is left for the next backup."""
    info = tarfile.TarInfo(f"{DATA}{name.as_posix()}")
    info.size = os.fstat(file.fileno()).st_size
    info.mode, info.mtime = like.st_mode & 0o777, int(like.st_mtime)
    hashing = Hashing(file)
    try:
        tar.addfile(info, cast(BinaryIO, hashing))
    except OSError as error:
        if error.errno is not None or hashing.count == info.size:  # an error of the stream
            raise
        raise Refused(
            f"{name.as_posix()} shrank while it was read",
            "try again, or use --stop to stop Open WebUI during the backup",
        ) from None
    _forget(tar)
    return {"path": name.as_posix(), "size": info.size, "sha256": hashing.sha256}


def _add_json(tar: tarfile.TarFile, name: str, content: Mapping[str, Any]) -> None:
    info, body = json_member(name, content)
    tar.addfile(info, io.BytesIO(body))


def json_member(name: str, content: Mapping[str, Any]) -> tuple[tarfile.TarInfo, bytes]:
    """A JSON member: its header and its body."""
    body = json.dumps(content, indent=1).encode()
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(body), 0o600
    return info, body


def _forget(tar: tarfile.TarFile) -> None:
    """Drops the list of members, which tarfile keeps for random access, and which would grow with every file."""
    vars(tar)["members"].clear()


# --- reading an archive ------------------------------------------------------------------------------------------------


def members(stream: BinaryIO) -> Iterator[tuple[tarfile.TarInfo, BinaryIO]]:
    """Each member of a tar stream, with its content. Refuses anything that is not a regular file."""
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        while (info := tar.next()) is not None:
            if not info.isreg() or info.issparse():
                raise damaged(f"{info.name!r} is not a regular file")
            file = tar.extractfile(info)
            if file is None:
                raise damaged(f"{info.name!r} cannot be read")
            yield info, cast(BinaryIO, file)
            _forget(tar)


def read_json(info: tarfile.TarInfo, file: BinaryIO) -> dict[str, Any]:
    """The content of a JSON member."""
    if info.size > _MANIFEST_BYTES:
        raise damaged(f"{info.name} is too large")
    try:
        content = json.loads(file.read())
    except (ValueError, RecursionError):
        raise damaged(f"{info.name} is not JSON") from None
    if not isinstance(content, dict):
        raise damaged(f"{info.name} is not a JSON object")
    return content


def unpack(
    whole: Hashing, sha256: str, into: Path | None, ready: Callable[[dict[str, Any]], None] = lambda manifest: None
) -> dict[str, Any]:
    """Verifies every byte of an archive, and writes its files below `into`, if given. Returns the manifest.

    `sha256` is the digest of the whole archive. `ready` is called with the manifest before the first file. Raises Refused if
    the archive differs in any way from what a backup writes.
    """
    try:
        with gzip.GzipFile(fileobj=cast(BinaryIO, whole), mode="rb") as plain:
            manifest = _unpack(cast(BinaryIO, plain), into, ready)
            while rest := plain.read(_CHUNK):  # up to gzip's last checksum
                if rest.strip(b"\x00"):
                    raise damaged("there is data after its end")
    except (tarfile.TarError, zlib.error, gzip.BadGzipFile, EOFError, UnicodeError, ValueError) as error:
        raise damaged(str(error) or type(error).__name__) from None
    if whole.sha256 != sha256:
        raise damaged("its checksum differs")
    return manifest


def _unpack(plain: BinaryIO, into: Path | None, ready: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    manifest: dict[str, Any] | None = None
    left: dict[str, tuple[int, str]] = {}
    for info, file in members(plain):
        if manifest is None:
            manifest, left = _manifest(info, file)
            ready(manifest)
            continue
        name = info.name.removeprefix(DATA)
        wanted = left.pop(name, None) if info.name.startswith(DATA) else None
        if wanted is None:
            raise damaged(f"{info.name!r} is not in its list of files")
        hashing = Hashing(file)
        _drain(hashing, into / name if into else None, info)
        if (hashing.count, hashing.sha256) != wanted:
            raise damaged(f"{name!r} differs from what was backed up")
    if manifest is None:
        raise Refused("this is not an airis backup: it is empty")
    if left:
        raise damaged(f"{len(left)} files are missing, including {next(iter(left))!r}")
    return manifest


def _manifest(info: tarfile.TarInfo, file: BinaryIO) -> tuple[dict[str, Any], dict[str, tuple[int, str]]]:
    """The manifest, which must be the first member, and the size and digest of each file in it."""
    if info.name != MANIFEST:
        raise Refused("this is not an airis backup", "pass the .tar.gz file that `airis backup` wrote")
    manifest = read_json(info, file)
    if manifest.get("application") != APPLICATION:
        raise Refused(f"this is a backup of {manifest.get('application')!r}, not of Open WebUI")
    version = manifest.get("format")
    if not isinstance(version, int) or version > FORMAT:
        raise Refused(
            f"the archive has format {version!r}, but this airis reads formats up to {FORMAT}", "use a newer airis"
        )
    left: dict[str, tuple[int, str]] = {}
    listed = manifest.get("files")
    for each in listed if isinstance(listed, list) else [None]:
        match each:
            case {"path": str(path), "size": int(size), "sha256": str(sha256)} if is_safe(path) and path not in left:
                left[path] = (size, sha256)
            case {"path": str(path)}:
                raise damaged(f"its list of files has a duplicate or unsafe path: {path!r}")
            case _:
                raise damaged("its list of files is invalid")
    return manifest, left


def _drain(source: Hashing, path: Path | None, info: tarfile.TarInfo) -> None:
    if path is None:
        while source.read(_CHUNK):
            pass
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        while chunk := source.read(_CHUNK):
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    path.chmod(info.mode & 0o777 | 0o600)
    os.utime(path, (info.mtime, info.mtime))


# --- restore -----------------------------------------------------------------------------------------------------------


def restore(
    data: Path, source: Hashing, sha256: str, *, overwrite: bool = False, receipt: str = "", now: datetime
) -> dict[str, Any]:
    """Unpacks and verifies the archive on the data volume, and only then replaces the old files.

    Until then, the old data is untouched, whatever happens. From then on, a journal on the volume records the steps, and
    `recover` finishes them: old and new data are never mixed. The old files are moved to `data.before-restore-<time>`.
    `receipt` stays on the volume, and shows which data is there if the agent's answer is lost.
    """
    with _locked(data):
        finished = _recover(data)
        if entries(data) and not overwrite:
            raise Refused(
                "the volume already has data"
                + (", from an earlier restore, which is now complete" if finished else ""),
                "use --overwrite to replace it; the old data is then kept in another folder on the volume",
            )
        folder = data / _RESTORE
        folder.mkdir(mode=0o700)
        try:
            new = folder / _NEW
            new.mkdir()

            def ready(manifest: dict[str, Any]) -> None:
                needed = sum(each["size"] for each in manifest["files"]) + _SPARE_BYTES
                if needed > _free(data):
                    raise no_room(needed, _free(data))

            manifest = unpack(source, sha256, new, ready)
            _sync_folders(folder)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise Refused(f"the backup cannot be unpacked: {error.strerror or error}") from None
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        aside = f"{ASIDE}{now:%Y%m%dT%H%M%SZ}"
        replaced = bool(entries(data))
        # From here on, an interrupted restore continues with the new data
        _write_journal(data, {"phase": "clear", "aside": aside, "new": _names(new), "receipt": receipt})
        _recover(data)
        return {"aside": aside if replaced else None, "files": len(manifest["files"])}


def no_room(needed: int, free: int) -> Refused:
    """The error for a volume that is too small for both old and new data."""
    return Refused(
        f"the backup needs {needed >> 20} MiB in addition to the old data, but the volume has {free >> 20} MiB left",
        "enlarge the volume (airis:webui.storage.size can grow), or delete the old data of earlier restores",
    )


def recover(data: Path) -> dict[str, Any]:
    """Makes the volume consistent after an interruption: with the old data, or the new data if all of it was unpacked."""
    with _locked(data):
        _recover(data)
        receipt = data / _RECEIPT
        return {"receipt": receipt.read_text(encoding="utf-8") if receipt.exists() else ""}


def _recover(data: Path) -> bool:
    """Finishes an interrupted restore that has a journal; each step may be repeated. Drops one without a journal."""
    folder = data / _RESTORE
    journal = folder / _JOURNAL
    if not journal.exists():
        shutil.rmtree(folder, ignore_errors=True)
        return False
    plan = json.loads(journal.read_text(encoding="utf-8"))
    new, aside = folder / _NEW, data / plan["aside"]
    if plan["phase"] == "clear":
        for name in entries(data):
            _move(data / name, aside)
        sync(data)
        _write_journal(data, {**plan, "phase": "fill"})
    installed = set(plan["new"]) - set(_names(new))
    for name in entries(data):
        # Something wrote to the volume after an interruption. A foreign write-ahead log would corrupt the restored database
        if not {name, *(name.removesuffix(side) for side in _SQLITE_SIDES)} & installed:
            _move(data / name, aside)
    for name in _names(new):
        (new / name).rename(data / name)
    sync(data)
    _carry_over(aside, data)
    (data / _RECEIPT).write_text(plan["receipt"], encoding="utf-8")
    journal.unlink()
    shutil.rmtree(folder)
    sync(data)
    return True


def _move(path: Path, folder: Path) -> None:
    """Moves an entry into a folder, or into another folder if its name is taken: never overwrites anything."""
    while (folder / path.name).exists():
        folder = folder.with_name(f"{folder.name}-again")
    folder.mkdir(mode=0o700, exist_ok=True)
    path.rename(folder / path.name)
    sync(folder)


def _carry_over(aside: Path, data: Path) -> None:
    """Moves downloaded models to the new data: backups do not contain them."""
    for name in REBUILT:
        if (aside / name).is_dir() and not (data / name).exists():
            (data / name).parent.mkdir(parents=True, exist_ok=True)
            (aside / name).rename(data / name)


def _write_journal(data: Path, plan: Mapping[str, Any]) -> None:
    draft = data / _RESTORE / f"{_JOURNAL}.new"
    with draft.open("w", encoding="utf-8") as file:
        json.dump(plan, file)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(data / _RESTORE / _JOURNAL)
    sync(data / _RESTORE)


def sync(folder: Path) -> None:
    """Flushes a folder's entries to disk, so that they survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folders(top: Path) -> None:
    for folder, _, _ in os.walk(top):
        sync(Path(folder))


# --- in the pod --------------------------------------------------------------------------------------------------------


def main(arguments: list[str]) -> int:
    """`backup DATA`, `inspect DATA`, `recover DATA`, or `restore DATA BYTES SHA256 RECEIPT [--overwrite]` with stdin."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(128 + signal.SIGTERM))  # cleans up on exit
    operation, data, *rest = arguments
    try:
        match operation:
            case "backup":
                backup(Path(data), sys.stdout.buffer)
                sys.stdout.buffer.flush()
                return 0
            case "inspect":
                result = inspect(Path(data))
            case "recover":
                result = recover(Path(data))
            case _:
                size, sha256, receipt, *options = rest
                result = restore(
                    Path(data),
                    Hashing(sys.stdin.buffer, int(size)),
                    sha256,
                    overwrite="--overwrite" in options,
                    receipt=receipt,
                    now=datetime.now(UTC),
                )
    except Refused as refused:
        return _fail(refused.message, refused.remedy, refused=True)
    except OSError as error:
        where = Path(error.filename).name if isinstance(error.filename, str) else data
        return _fail(f"{where}: {error.strerror or error}", "", refused=False)
    print(json.dumps(result))
    return 0


def _fail(message: str, remedy: str, *, refused: bool) -> int:
    """Prints the error on stderr. `refused` guarantees that the data is unchanged."""
    print(json.dumps({"message": message, "remedy": remedy, "refused": refused}), file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
