"""The half of backup and restore that runs in a pod, beside the data. Needs nothing but Python's own library.

It is sent to the pod as text and run by the image's own `python3`, so that no image has to carry it; on a read-only root it
writes to the data volume alone. `airis` itself uses the same functions to check an archive.

An archive is a tar, compressed with gzip: first `airis-backup.json`, which lists every file with its size and SHA-256, then
the files themselves below `data/`. Nothing but plain files is ever put into it, or taken out of it.
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
"""First and last member of the stream from the pod: what to expect, and what was sent."""

REBUILT = ("cache/embedding", "cache/whisper", "cache/tiktoken")
"""Models that Open WebUI downloads again by itself. Everything else in `cache` is kept: chats may point to it."""

ASIDE = "data.before-restore-"
WORK = ".airis-"
"""Beginning of the names of our own folders on the data volume."""

_RESTORE = ".airis-restore"
_BACKUP = ".airis-backup"
_JOURNAL = "journal.json"
_RECEIPT = ".airis-restored"
_NEW = "new"

_CHUNK = 1 << 20
_LOCK_SECONDS = 60.0
_BUSY_SECONDS = 0.2
"""How long SQLite itself waits for a lock, deaf to signals."""

_SPARE_BYTES = 16 << 20
_SCRATCH_BYTES = 512 << 20
"""The most that a copy may take of the pod's scratch folder: half of what the pod may use before it is evicted."""

_MANIFEST_BYTES = 256 << 20
_SQLITE = b"SQLite format 3\x00"
_SQLITE_SIDES = ("-wal", "-shm", "-journal")


class Refused(Exception):
    """Why nothing was done, and what would help. Holds names and numbers, never a content."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


def damaged(why: str) -> Refused:
    """An archive that is not what was once written."""
    return Refused(f"the archive is damaged: {why}", "use another backup")


class Hashing:
    """Reads another stream, and keeps the SHA-256 and the number of the bytes that went through.

    It ends after `limit` bytes, if given: the end of a stream does not always come through to a pod.
    """

    def __init__(self, source: BinaryIO, limit: int | None = None) -> None:
        self._source = source
        self._limit = limit
        self._digest = hashlib.sha256()
        self.count = 0

    def read(self, size: int = -1) -> bytes:
        """Reads like the stream below."""
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


# --- what is where on the volume ---------------------------------------------------------------------------------------


def is_own(name: str) -> bool:
    """Whether an entry at the top of the volume is ours or the filesystem's, and not the application's."""
    return name.startswith((WORK, ASIDE)) or name == "lost+found"


def entries(data: Path) -> list[str]:
    """The application's entries at the top of the volume."""
    return [name for name in _names(data) if not is_own(name)]


def _names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def is_safe(name: str) -> bool:
    """Whether a path stays below the folder that it is unpacked into, and means the same to everybody."""
    parts = name.split("/")
    return bool(name) and "\x00" not in name and not {"", ".", ".."} & set(parts) and not is_own(parts[0])


def inspect(data: Path) -> dict[str, Any]:
    """What a restore would find: whether there is data, how much room, and whether an earlier restore is unfinished."""
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
    """Holds the folder against a second backup or restore. The kernel lets go when the process dies, however it dies."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused("another backup or restore is at work on this volume", "wait until it has ended") from None
        except OSError:
            pass  # a filesystem without locks
        yield
    finally:
        os.close(descriptor)


# --- backup ------------------------------------------------------------------------------------------------------------


def backup(data: Path, out: BinaryIO) -> None:
    """Writes the data directory to `out` as a tar: HEAD, the files below `data/`, and TAIL with what was sent.

    Each SQLite database is replaced by a consistent copy of itself: everything that was committed before is in it. The
    copies lie on the data volume for a moment, or in the scratch folder where the volume is full.
    """
    if not data.is_dir():
        raise Refused(f"{data}: there is no such folder")
    if (data / _RESTORE / _JOURNAL).exists():
        raise Refused("a restore was interrupted in its last step", "run `airis restore` again, then back up")
    with _locked(data), tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        shutil.rmtree(data / _BACKUP, ignore_errors=True)  # of a backup that was killed
        skipped: list[str] = []
        expected = list(_files(data, skipped))
        _add_json(tar, HEAD, {"bytes": sum(map(_size, expected))})
        sent: list[dict[str, Any]] = []
        changed: list[str] = []

        def add_database(path: Path) -> None:
            with _snapshot(path, data) as copy:
                sent.append(_add(tar, path.relative_to(data), copy, path.stat()))

        # Databases first, then a second look: an upload is a file before it is a row, so no row lacks its file
        databases = {each for each in expected if _is_sqlite(each)}
        _refuse_encrypted(data / "webui.db", databases)
        for path in sorted(databases):
            add_database(path)
        skipped.clear()
        for path in _files(data, skipped):
            if path in databases or _is_side(path):
                continue
            if _is_sqlite(path):  # new since the first look
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
            "webui.db is not a SQLite database, or it is encrypted", "it cannot be copied safely while it is used"
        )


def _is_side(path: Path) -> bool:
    """Whether a file is a database's journal: what it says is in the copy of the database already."""
    return any(
        path.name.endswith(side) and _is_sqlite(path.with_name(path.name.removesuffix(side))) for side in _SQLITE_SIDES
    )


def _files(folder: Path, skipped: list[str], top: Path | None = None) -> Iterator[Path]:
    """Every plain file that belongs to a backup, sorted. Links, sockets and the like go to `skipped`."""
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
    """Copies a database, and yields the open copy, which has no name any more: it goes with this process."""
    needed = source.stat().st_size + _size(Path(f"{source}-wal")) + _SPARE_BYTES
    if _free(data) >= needed:
        folder = data / _BACKUP
    elif needed <= _SCRATCH_BYTES and _free(scratch := Path(tempfile.gettempdir())) >= needed:
        folder = scratch / _BACKUP
    else:
        raise Refused(
            f"the copy of {source.name} needs {needed >> 20} MiB, and the volume has {_free(data) >> 20} MiB left",
            "give the volume more room (airis:webui.storage.size may grow), and try again",
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
    """Copies in one step, which is one read transaction: WebUI goes on writing meanwhile (WAL), or waits for it.

    Several steps would start anew after each write of somebody else, and never end under load. Read-write, because only
    that can make sense of a journal that a crash left behind. Source: sqlite.org, "Online Backup API", "WAL".
    """
    deadline = time.monotonic() + _LOCK_SECONDS

    def progress(status: int, remaining: int, total: int) -> None:
        if status != sqlite3.SQLITE_DONE and time.monotonic() > deadline:
            raise Refused(f"{source.name} stays locked for {_LOCK_SECONDS:.0f} s", "back up at a quieter time")

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
        raise Refused(f"{source.name} cannot be copied: {error}", "see whether the volume is full or damaged") from None
    if verdict != "ok":
        raise Refused(f"{source.name} is damaged already: {verdict}", "restore an earlier backup, or mend the database")


def _add(tar: tarfile.TarFile, name: PurePosixPath | Path, file: BinaryIO, like: os.stat_result) -> dict[str, Any]:
    """Adds one open file as large as it is now; what is appended meanwhile is left for the next backup."""
    info = tarfile.TarInfo(f"{DATA}{name.as_posix()}")
    info.size = os.fstat(file.fileno()).st_size
    info.mode, info.mtime = like.st_mode & 0o777, int(like.st_mtime)
    hashing = Hashing(file)
    try:
        tar.addfile(info, cast(BinaryIO, hashing))
    except OSError as error:
        if error.errno is not None or hashing.count == info.size:  # the stream's own trouble
            raise
        raise Refused(
            f"{name.as_posix()} shrank while it was read", "try again, or with --stop, which stops WebUI meanwhile"
        ) from None
    _forget(tar)
    return {"path": name.as_posix(), "size": info.size, "sha256": hashing.sha256}


def _add_json(tar: tarfile.TarFile, name: str, content: Mapping[str, Any]) -> None:
    info, body = json_member(name, content)
    tar.addfile(info, io.BytesIO(body))


def json_member(name: str, content: Mapping[str, Any]) -> tuple[tarfile.TarInfo, bytes]:
    """A member that holds JSON: its header and its body."""
    body = json.dumps(content, indent=1).encode()
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(body), 0o600
    return info, body


def _forget(tar: tarfile.TarFile) -> None:
    """Drops the list of members, which tarfile keeps for look-ups that a stream does not allow."""
    vars(tar)["members"].clear()


# --- reading an archive ------------------------------------------------------------------------------------------------


def members(stream: BinaryIO) -> Iterator[tuple[tarfile.TarInfo, BinaryIO]]:
    """Each member of a tar that is being read, with its content. Refuses whatever is not a plain file."""
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        while (info := tar.next()) is not None:
            if not info.isreg() or info.issparse():
                raise damaged(f"{info.name!r} is not a plain file")
            file = tar.extractfile(info)
            if file is None:
                raise damaged(f"{info.name!r} cannot be read")
            yield info, cast(BinaryIO, file)
            _forget(tar)


def read_json(info: tarfile.TarInfo, file: BinaryIO) -> dict[str, Any]:
    """The content of a member that holds JSON."""
    if info.size > _MANIFEST_BYTES:
        raise damaged(f"{info.name} is too large")
    try:
        content = json.loads(file.read())
    except (ValueError, RecursionError):
        raise damaged(f"{info.name} is not JSON") from None
    if not isinstance(content, dict):
        raise damaged(f"{info.name} is not what it should be")
    return content


def unpack(
    whole: Hashing, sha256: str, into: Path | None, ready: Callable[[dict[str, Any]], None] = lambda manifest: None
) -> dict[str, Any]:
    """Checks every byte of an archive, and writes its files below `into`, if given. Returns the manifest.

    `sha256` is the digest of the whole archive. `ready` is called with the manifest before the first file. Raises
    Refused for anything that is not exactly what a backup wrote.
    """
    try:
        with gzip.GzipFile(fileobj=cast(BinaryIO, whole), mode="rb") as plain:
            manifest = _unpack(cast(BinaryIO, plain), into, ready)
            while rest := plain.read(_CHUNK):  # up to the last checksum of gzip's own
                if rest.strip(b"\x00"):
                    raise damaged("something follows its end")
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
            raise damaged(f"{name!r} is not what was backed up")
    if manifest is None:
        raise Refused("this is not a backup made by airis: it is empty")
    if left:
        raise damaged(f"{len(left)} files are missing, {next(iter(left))!r} among them")
    return manifest


def _manifest(info: tarfile.TarInfo, file: BinaryIO) -> tuple[dict[str, Any], dict[str, tuple[int, str]]]:
    """The manifest, which must be the first member, and what it says of each file: size and digest."""
    if info.name != MANIFEST:
        raise Refused("this is not a backup made by airis", "give the .tar.gz that `airis backup` wrote")
    manifest = read_json(info, file)
    if manifest.get("application") != APPLICATION:
        raise Refused(f"this is a backup of {manifest.get('application')!r}, not of Open WebUI")
    version = manifest.get("format")
    if not isinstance(version, int) or version > FORMAT:
        raise Refused(
            f"the archive has format {version!r}, and this airis reads up to {FORMAT}", "restore it with a newer airis"
        )
    left: dict[str, tuple[int, str]] = {}
    listed = manifest.get("files")
    for each in listed if isinstance(listed, list) else [None]:
        match each:
            case {"path": str(path), "size": int(size), "sha256": str(sha256)} if is_safe(path) and path not in left:
                left[path] = (size, sha256)
            case {"path": str(path)}:
                raise damaged(f"its list of files has a path that is twice there, or leads elsewhere: {path!r}")
            case _:
                raise damaged("its list of files is not what it should be")
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
    """Unpacks and checks the archive on the data volume, and only then puts its files in the place of the old ones.

    Up to that point the old data is untouched, whatever happens. From there on a journal on the volume says what is
    meant, and `recover` finishes it: there is never a mixture. The old files are moved to `data.before-restore-<time>`.
    `receipt` stays on the volume and tells, when the answer was lost on its way, whose data it holds.
    """
    with _locked(data):
        finished = _recover(data)
        if entries(data) and not overwrite:
            raise Refused(
                "there is data on the volume already" + (", an earlier restore's, now complete" if finished else ""),
                "--overwrite puts the backup in its place; the old data is then kept aside on the volume",
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
        # From here on the new data counts
        _write_journal(data, {"phase": "clear", "aside": aside, "new": _names(new), "receipt": receipt})
        _recover(data)
        return {"aside": aside if replaced else None, "files": len(manifest["files"])}


def no_room(needed: int, free: int) -> Refused:
    """A volume on which old and new data do not fit side by side."""
    return Refused(
        f"the backup needs {needed >> 20} MiB beside the old data, and the volume has {free >> 20} MiB left",
        "give the volume more room (airis:webui.storage.size may grow), or delete what earlier restores kept aside",
    )


def recover(data: Path) -> dict[str, Any]:
    """Makes the volume whole after an interruption: the old data, or, once all of the new was there, the new data."""
    with _locked(data):
        _recover(data)
        receipt = data / _RECEIPT
        return {"receipt": receipt.read_text(encoding="utf-8") if receipt.exists() else ""}


def _recover(data: Path) -> bool:
    """Brings a restore that has a journal to its end; each step may be repeated. Drops one that has none."""
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
        # Somebody was here after an interruption. A strange write-ahead log would ruin the database that comes beside it
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
    """Moves an entry into a folder, and into another one beside it where its name is taken: nothing is ever replaced."""
    while (folder / path.name).exists():
        folder = folder.with_name(f"{folder.name}-again")
    folder.mkdir(mode=0o700, exist_ok=True)
    path.rename(folder / path.name)
    sync(folder)


def _carry_over(aside: Path, data: Path) -> None:
    """Models are in no backup: those that are on the volume already serve the new data as well."""
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
    """Makes the names in a folder survive a power failure."""
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
        signal.signal(number, lambda *_: sys.exit(128 + signal.SIGTERM))  # clears up on the way out
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
    """Says why on stderr. `refused` promises that the data is as it was."""
    print(json.dumps({"message": message, "remedy": remedy, "refused": refused}), file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
