"""The agent on a folder of this machine: nothing committed is lost, and nothing that was interrupted is a mixture."""

import errno
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest

from airis.backup import agent, archive
from tests.unit.backups import as_json, backed_up, contents, data_folder, listing, rows, run_agent, stream

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ASIDE = "data.before-restore-20260102T030405Z"

WRITER = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
database.execute(f"PRAGMA journal_mode={sys.argv[2]}")
database.execute(f"PRAGMA wal_autocheckpoint={sys.argv[3]}")
database.execute("PRAGMA synchronous=OFF")  # the disk is not what is tested
database.execute("CREATE TABLE total (number INTEGER)")
database.execute("INSERT INTO total VALUES (0)")
database.execute("CREATE TABLE filler AS SELECT zeroblob(8000000)")  # takes its time to copy
database.execute("CREATE TABLE chat (id INTEGER PRIMARY KEY, text TEXT)")
number = 0
while True:
    number += 1
    database.execute("BEGIN IMMEDIATE")
    database.execute("UPDATE total SET number = ?", (number,))
    database.execute("INSERT INTO chat VALUES (?, ?)", (number, str(number) * 200))
    database.execute("COMMIT")
    sys.stdout.write(f"{number}\\n")  # only what the database has acknowledged
    sys.stdout.flush()
"""


@pytest.fixture(autouse=True)
def power(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not fail here: what a process wrote is there for the next one, waiting for the disk or not."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def restored(data: Path, made: archive.Archive, *, overwrite: bool = False, receipt: str = "") -> dict[str, Any]:
    with made.path.open("rb") as file:
        return agent.restore(data, agent.Hashing(file), made.sha256, overwrite=overwrite, receipt=receipt, now=NOW)


@pytest.mark.parametrize(("mode", "checkpoint"), [("WAL", "1000"), ("WAL", "0"), ("DELETE", "0")])
def test_every_row_committed_before_the_backup_is_in_it_under_write_load(
    mode: str, checkpoint: str, tmp_path: Path
) -> None:
    data, empty = tmp_path / "data", tmp_path / "empty"
    data.mkdir()
    empty.mkdir()
    acknowledged = tmp_path / "acknowledged"
    with acknowledged.open("w") as out:
        writing = [sys.executable, "-I", "-c", WRITER, str(data / "webui.db"), mode, checkpoint]
        writer = subprocess.Popen(writing, stdout=out)
    try:
        while not (before := count(acknowledged)) > 50:
            assert writer.poll() is None
        process = run_agent("backup", str(data))
        made = archive.write(cast(BinaryIO, process.stdout), tmp_path / "a.tar.gz", {}, lambda done, detail: None)
        assert process.wait() == 0
        after = count(acknowledged)
        assert writer.poll() is None, "the backup stopped the writer"
    finally:
        writer.kill()
        writer.wait()
    process = run_agent("restore", str(empty), size(made), made.sha256, "receipt", stdin=made.path.read_bytes())
    assert as_json(process.communicate()[0]) == {"aside": None, "files": 1}

    kept = [number for number, _ in rows(empty / "webui.db")]
    with closing(sqlite3.connect(empty / "webui.db")) as database:
        assert database.execute("SELECT number FROM total").fetchall() == [(len(kept),)], "a transaction was torn"

    assert before < after
    assert kept == list(range(1, len(kept) + 1))
    assert len(kept) >= before
    assert [each["path"] for each in made.manifest["files"]] == ["webui.db"]
    assert [each for each in listing(data) if each.startswith(".airis")] == []


def size(made: archive.Archive) -> str:
    return str(made.path.stat().st_size)


def count(acknowledged: Path) -> int:
    """The last number of which a whole line is there."""
    return acknowledged.read_bytes().count(b"\n")


def test_a_backup_restores_to_the_same_and_leaves_out_what_is_downloaded_again(tmp_path: Path) -> None:
    data = data_folder(tmp_path / "data")
    (data / "link").symlink_to("/etc/passwd")
    (data / "data.before-restore-x").mkdir()
    (data / "data.before-restore-x" / "old").touch()
    empty = tmp_path / "empty"
    (empty / "lost+found").mkdir(parents=True)

    made = backed_up(data, tmp_path / "a.tar.gz")
    result = restored(empty, made)

    assert made.manifest["skipped"] == ["link"]
    assert result == {"aside": None, "files": 5}
    (data / "link").unlink()
    assert contents(empty) == contents(data)
    assert not (empty / "cache" / "embedding").exists()
    assert (made.path.stat().st_mode & 0o777, archive.checksum_path(made.path).stat().st_mode & 0o777) == (0o600, 0o600)
    assert list(made.manifest) == ["format", "application", "stack", "files", "changed", "skipped"]


def test_a_name_that_is_not_utf8_survives(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9 \n.txt")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / name).write_text("text")
    (tmp_path / "empty").mkdir()

    restored(tmp_path / "empty", backed_up(tmp_path / "data", tmp_path / "a.tar.gz"))

    assert contents(tmp_path / "empty") == {name: b"text"}


def test_what_an_unfinished_transaction_wrote_is_not_in_the_backup(tmp_path: Path) -> None:
    data = data_folder(tmp_path / "data")
    with closing(sqlite3.connect(data / "webui.db", isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("INSERT INTO chat (text) VALUES ('committed, and only in the write-ahead log')")
        database.execute("BEGIN IMMEDIATE")
        database.execute("INSERT INTO chat (text) VALUES ('never committed')")
        made = backed_up(data, tmp_path / "a.tar.gz")
    (tmp_path / "empty").mkdir()
    restored(tmp_path / "empty", made)

    texts = [text for _, text in rows(tmp_path / "empty" / "webui.db")]
    assert texts[3:] == ["committed, and only in the write-ahead log"]
    assert not [each for each in made.manifest["files"] if each["path"].endswith(("-wal", "-shm"))]


def test_a_database_that_stays_locked_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = data_folder(tmp_path / "data")
    monkeypatch.setattr(agent, "_LOCK_SECONDS", 0.1)
    monkeypatch.setattr(agent, "_BUSY_SECONDS", 0.01)
    with closing(sqlite3.connect(data / "webui.db", isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        with pytest.raises(agent.Refused, match=r"webui\.db stays locked"):
            agent.backup(data, stream(b""))
    assert not (data / ".airis-backup").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"SQLite format 3\x00" + b"\xff" * 5000, "webui.db"), (b"an encrypted database", "encrypted")],
)
def test_a_database_that_cannot_be_copied_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "webui.db").write_bytes(content)
    with pytest.raises(agent.Refused, match=message):
        agent.backup(tmp_path, stream(b""))
    assert listing(tmp_path) == ["webui.db"]


def test_a_damaged_database_is_not_backed_up_silently(tmp_path: Path) -> None:
    data = data_folder(tmp_path / "data", rows=2000)
    with (data / "webui.db").open("r+b") as file:
        file.seek(2 * 4096 + 5)
        file.write(b"\xff" * 3000)
    with pytest.raises(agent.Refused, match=r"webui.db is damaged already"):
        agent.backup(data, stream(b""))


def test_without_room_on_the_volume_the_copy_goes_to_the_scratch_folder_or_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = data_folder(tmp_path / "data")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(scratch))
    monkeypatch.setattr(agent, "_free", lambda folder: 0 if folder == data else 1 << 30)
    assert len(backed_up(data, tmp_path / "a.tar.gz").manifest["files"]) == 5
    assert listing(scratch) == []

    monkeypatch.setattr(agent, "_SCRATCH_BYTES", 1 << 20)
    with pytest.raises(agent.Refused, match=r"needs 16 MiB, and the volume has 0 MiB left"):
        agent.backup(data, stream(b""))


def test_a_file_that_changes_is_named_and_one_that_shrinks_stops_the_backup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    log = data / "log"
    log.write_bytes(b"x" * 1000)

    def during(change: Callable[[], object]) -> None:
        def read(self: agent.Hashing, size: int = -1) -> bytes:
            if self.count == 0:
                change()
            return original(self, size)

        monkeypatch.setattr(agent.Hashing, "read", read)

    def append() -> None:
        if log.stat().st_size == 1000:
            with log.open("ab") as file:
                file.write(b"more")

    original = agent.Hashing.read
    during(append)
    made = backed_up(data, tmp_path / "a.tar.gz")
    assert made.manifest["changed"] == ["log"]
    assert made.manifest["files"][0]["size"] == 1000
    during(lambda: os.truncate(log, 10))
    with pytest.raises(agent.Refused, match="log shrank"):
        agent.backup(data, stream(b""))


def test_a_backup_that_is_killed_leaves_nothing_in_the_way_of_the_next(tmp_path: Path) -> None:
    data = data_folder(tmp_path / "data")
    (data / "large").write_bytes(os.urandom(1 << 20))  # more than a pipe holds: the agent waits in the middle
    process = run_agent("backup", str(data))
    assert process.stdout is not None
    process.stdout.read(1000)
    second = run_agent("backup", str(data))
    assert b"another backup or restore is at work" in second.communicate()[1]
    assert second.returncode == 1
    process.kill()
    process.wait()
    process.stdout.close()
    (data / ".airis-backup").mkdir()  # killed a little earlier, it leaves its copy behind
    (data / ".airis-backup" / "copy.db").touch()

    assert len(backed_up(data, tmp_path / "a.tar.gz").manifest["files"]) == 6
    assert not (data / ".airis-backup").exists()


def test_an_agent_that_is_told_to_end_removes_its_copy(tmp_path: Path) -> None:
    data = data_folder(tmp_path / "data")
    with closing(sqlite3.connect(data / "webui.db", isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")  # keeps the agent where the copy is there, and not yet whole
        process = run_agent("backup", str(data))
        while not (data / ".airis-backup" / "copy.db").exists():
            assert process.poll() is None
        process.terminate()
        process.communicate()
    assert not (data / ".airis-backup").exists()


def test_data_is_never_replaced_without_being_told(tmp_path: Path) -> None:
    made = backed_up(data_folder(tmp_path / "data"), tmp_path / "a.tar.gz")
    target = tmp_path / "target"
    target.mkdir()
    (target / "webui.db").write_bytes(b"the only copy")

    with pytest.raises(agent.Refused, match="there is data on the volume already") as refused:
        restored(target, made)

    assert "--overwrite" in refused.value.remedy
    assert contents(target) == {"webui.db": b"the only copy"}
    assert listing(target) == ["webui.db"]


def test_old_data_is_kept_aside_and_its_models_serve_the_new_data(tmp_path: Path) -> None:
    made = backed_up(data_folder(tmp_path / "data"), tmp_path / "a.tar.gz")
    target = data_folder(tmp_path / "target", rows=50)
    (target / "kept").mkdir()
    old = contents(target)

    result = restored(target, made, overwrite=True)

    assert result == {"aside": ASIDE, "files": 5}
    assert contents(target) == contents(tmp_path / "data")
    assert (target / "cache" / "embedding" / "models" / "weights").read_bytes() == b"downloaded again"
    assert listing(target) == [".airis-restored", "cache", ASIDE, "uploads", "vector_db", "webui.db"]
    (target / ASIDE).rename(tmp_path / "aside")
    assert contents(tmp_path / "aside") == old
    assert (tmp_path / "aside" / "kept").is_dir()


@pytest.mark.parametrize("old", [{}, {"webui.db": b"old", "webui.db-wal": b"old log"}], ids=["empty", "overwrite"])
def test_killed_before_any_single_step_the_volume_holds_the_old_or_the_new_data(
    old: dict[str, bytes], tmp_path: Path
) -> None:
    new = {"webui.db": b"", "uploads/report.pdf": b"a report"}
    (tmp_path / "new" / "uploads").mkdir(parents=True)
    for name, content in new.items():
        (tmp_path / "new" / name).write_bytes(content)
    made = backed_up(tmp_path / "new", tmp_path / "a.tar.gz")
    outcomes = []
    for step in range(1000):
        volume = tmp_path / f"volume-{step}"
        volume.mkdir()
        for name, content in old.items():
            (volume / name).write_bytes(content)
        if not killed_at(step, partial(restored, volume, made, overwrite=True, receipt="mine")):
            break
        receipt = agent.recover(volume)["receipt"]
        outcomes.append(receipt)
        assert contents(volume) == (new if receipt else old)
        assert [each for each in listing(volume) if each.startswith(".airis")] == [".airis-restored"] * bool(receipt)
        if receipt and old:
            (aside,) = volume.glob("data.before*")
            assert {each.name: each.read_bytes() for each in aside.iterdir()} == old
    assert outcomes == sorted(outcomes), "old up to one moment, new ever after"
    assert min(outcomes.count(""), outcomes.count("mine")) > 5


def killed_at(step: int, work: Callable[[], object]) -> bool:
    """Runs the work in a process that kills itself before its n-th step in the file system; whether it came to that."""
    child = os.fork()
    if child == 0:
        steps = 0

        def hook(event: str, args: tuple[Any, ...]) -> None:
            nonlocal steps
            writes = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
            if writes or event in ("os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.truncate"):
                steps += 1
                if steps > step:
                    os.kill(os.getpid(), signal.SIGKILL)

        with suppress(BaseException):
            sys.addaudithook(hook)
            work()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


@pytest.mark.parametrize("phase", ["clear", "fill"])
def test_what_was_written_after_an_interruption_is_kept_and_never_mixed_in(phase: str, tmp_path: Path) -> None:
    """Somebody starts WebUI on a volume that is not whole: its database and log must not meet the new one."""
    volume = tmp_path / "volume"
    new = volume / ".airis-restore" / "new"
    new.mkdir(parents=True)
    (new / "webui.db").write_bytes(b"new")
    (volume / "uploads").mkdir()
    (volume / ASIDE).mkdir()
    (volume / ASIDE / "webui.db").write_bytes(b"old")
    installed = ["uploads"] if phase == "fill" else []
    agent._write_journal(volume, {"phase": phase, "aside": ASIDE, "new": ["webui.db", *installed], "receipt": "mine"})
    (volume / "webui.db").write_bytes(b"meanwhile")
    (volume / "webui.db-wal").write_bytes(b"meanwhile's log")

    assert agent.inspect(volume)["unfinished"]
    with pytest.raises(agent.Refused, match="interrupted in its last step"):
        agent.backup(volume, stream(b""))
    assert agent.recover(volume) == {"receipt": "mine"}

    assert contents(volume) == {"webui.db": b"new"}
    assert (volume / "uploads").exists() == (phase == "fill")
    assert (volume / ASIDE / "webui.db").read_bytes() == b"old"
    assert (volume / f"{ASIDE}-again" / "webui.db").read_bytes() == b"meanwhile"
    assert agent.recover(volume) == {"receipt": "mine"}


def test_a_log_that_belongs_to_the_restored_database_stays_with_it(tmp_path: Path) -> None:
    """WebUI was started after the new database was in its place, and before the rest was."""
    (tmp_path / ".airis-restore" / "new" / "uploads").mkdir(parents=True)
    agent._write_journal(tmp_path, {"phase": "fill", "aside": ASIDE, "new": ["uploads", "webui.db"], "receipt": "mine"})
    for name in ("webui.db", "webui.db-wal"):
        (tmp_path / name).write_bytes(name.encode())
    agent.recover(tmp_path)
    assert contents(tmp_path) == {"webui.db": b"webui.db", "webui.db-wal": b"webui.db-wal"}
    assert listing(tmp_path) == [".airis-restored", "uploads", "webui.db", "webui.db-wal"]


def test_a_connection_that_breaks_in_the_middle_leaves_the_old_data(tmp_path: Path) -> None:
    made = backed_up(data_folder(tmp_path / "data"), tmp_path / "a.tar.gz")
    volume = data_folder(tmp_path / "volume", rows=9)
    old = contents(volume)
    half = made.path.read_bytes()[: made.path.stat().st_size * 2 // 3]
    cut = run_agent("restore", str(volume), size(made), made.sha256, "mine", "--overwrite", stdin=half)
    assert b"damaged" in cut.communicate()[1]
    assert cut.returncode == 1
    assert contents(volume) == old
    assert agent.recover(volume) == {"receipt": ""}
    assert listing(volume) == ["cache", "uploads", "vector_db", "webui.db"]


@pytest.fixture
def small_volume(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB of its own."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_volume_is_refused_before_and_survived_during_a_restore(
    small_volume: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = data_folder(tmp_path / "data")
    (data / "large").write_bytes(bytes(20 << 20))
    made = backed_up(data, tmp_path / "a.tar.gz")
    (small_volume / "webui.db").write_bytes(b"old" * (3 << 20))

    with pytest.raises(agent.Refused, match=r"needs 36 MiB beside the old data, and the volume has 15 MiB left"):
        restored(small_volume, made, overwrite=True)
    monkeypatch.setattr(agent, "_free", lambda folder: 1 << 40)  # a file system that does not tell
    with pytest.raises(agent.Refused, match="No space left on device"):
        restored(small_volume, made, overwrite=True)

    assert listing(small_volume) == ["webui.db"]
    assert (small_volume / "webui.db").read_bytes() == b"old" * (3 << 20)


def test_a_full_volume_stops_a_backup_and_keeps_no_copy(small_volume: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(sqlite3.connect(small_volume / "webui.db")) as database, database:
        database.execute("CREATE TABLE chat (id INTEGER PRIMARY KEY, text TEXT)")
        database.execute("INSERT INTO chat (text) VALUES (zeroblob(14000000))")
    monkeypatch.setattr(agent, "_free", lambda folder: 1 << 40)
    with pytest.raises(agent.Refused, match=r"webui\.db cannot be copied: database or disk is full"):
        agent.backup(small_volume, stream(b""))
    assert listing(small_volume) == ["webui.db"]


def test_a_disk_that_fails_while_it_unpacks_leaves_the_old_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = backed_up(data_folder(tmp_path / "data"), tmp_path / "a.tar.gz")
    volume = data_folder(tmp_path / "volume", rows=9)
    old = contents(volume)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(agent.Refused, match="cannot be unpacked: No space left on device"):
        restored(volume, made, overwrite=True)
    assert contents(volume) == old
    assert not list(volume.glob(".airis*"))


def test_errors_are_words_and_never_a_traceback(tmp_path: Path) -> None:
    process = run_agent("backup", str(tmp_path / "missing"))
    out, err = process.communicate()
    said = as_json(err)
    assert process.returncode == 1
    assert said["message"].endswith("missing: there is no such folder")
    assert said["refused"]
    assert out == b""
