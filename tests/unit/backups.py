"""Data folders, and archives of them with one modification each."""

import gzip
import hashlib
import io
import json
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO, cast

from airis.backup import agent, archive
from airis.backup.archive import Archive
from airis.backup.remote import START

SOURCE = Path(agent.__file__).read_bytes()


def data_folder(folder: Path, rows: int = 3) -> Path:
    """A small data folder with every kind of file that matters."""
    for each in ("uploads", "vector_db", "cache/embedding/models", "cache/image/generations"):
        (folder / each).mkdir(parents=True)
    for name in ("webui.db", "vector_db/chroma.sqlite3"):
        with closing(sqlite3.connect(folder / name)) as database, database:
            database.execute("CREATE TABLE chat (id INTEGER PRIMARY KEY, text TEXT)")
            database.executemany("INSERT INTO chat (text) VALUES (?)", [(f"{name} {row}",) for row in range(rows)])
    (folder / "uploads" / "report äß.pdf").write_bytes(bytes(range(256)) * 20)
    (folder / "uploads" / "empty").touch()
    (folder / "cache" / "image" / "generations" / "cat.png").write_bytes(b"a cat")
    (folder / "cache" / "embedding" / "models" / "weights").write_bytes(b"downloaded again")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Every file by its path, as a backup keeps it: our own folders and what is downloaded again are left out.

    A database stands there with what it says, because its bytes differ from copy to copy.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not agent.is_own(name.split("/")[0]) and not name.startswith(agent.REBUILT):
            found[name] = path.read_bytes()
            if found[name].startswith(b"SQLite format 3"):
                found[name] = repr(rows(path)).encode()
    return found


def listing(folder: Path) -> list[str]:
    """The names in a folder."""
    return sorted(each.name for each in folder.iterdir())


def rows(database: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return connection.execute("SELECT id, text FROM chat ORDER BY id").fetchall()


def run_agent(*arguments: str, stdin: bytes = b"", **options: Any) -> "subprocess.Popen[bytes]":
    """The agent in a separate process, started exactly as in a pod; `stdin` follows the agent's source."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-B", "-c", START, str(len(SOURCE)), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )
    assert process.stdin is not None
    process.stdin.write(SOURCE + stdin)
    process.stdin.close()
    process.stdin = None
    return process


def backed_up(data: Path, path: Path) -> Archive:
    """Backs up a local folder in this process."""
    with io.BytesIO() as stream:
        agent.backup(data, stream)
        stream.seek(0)
        return archive.write(stream, path, {"stack": "test"}, lambda done, detail: None)


def seal(path: Path, content: bytes) -> Path:
    """Writes an archive with a matching checksum, as an attacker would."""
    path.write_bytes(content)
    archive.checksum_path(path).write_text(f"{hashlib.sha256(content).hexdigest()}  {path.name}\n")
    return path


def crafted(
    members: Iterable[tuple[tarfile.TarInfo, bytes]],
    manifest: dict[str, Any] | None = None,
    first: str = agent.MANIFEST,
) -> bytes:
    """An archive of these members. Its manifest is correct, except for the keys in `manifest`."""
    made = list(members)
    listed = [
        {"path": info.name.removeprefix(agent.DATA), "size": len(body), "sha256": hashlib.sha256(body).hexdigest()}
        for info, body in made
    ]
    whole = {"format": agent.FORMAT, "application": agent.APPLICATION, "files": listed, **(manifest or {})}
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w|") as tar:
        for info, body in [agent.json_member(first, whole), *made]:
            tar.addfile(info, io.BytesIO(body))
    return out.getvalue()


def member(name: str, body: bytes = b"text", kind: bytes = tarfile.REGTYPE, target: str = "") -> Any:
    """A member of a tar, of any type."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    info.size = len(body) if kind == tarfile.REGTYPE else 0
    return info, body if kind == tarfile.REGTYPE else b""


def repacked(content: bytes, change: Callable[[bytearray], None]) -> bytes:
    """The archive with modified uncompressed bytes, and correct gzip checksums."""
    plain = bytearray(gzip.decompress(content))
    change(plain)
    return gzip.compress(bytes(plain), mtime=0)


def as_json(text: bytes) -> dict[str, Any]:
    return dict(json.loads(text))


def hashing(content: bytes) -> agent.Hashing:
    return agent.Hashing(io.BytesIO(content))


def stream(content: bytes) -> BinaryIO:
    return cast(BinaryIO, io.BytesIO(content))
