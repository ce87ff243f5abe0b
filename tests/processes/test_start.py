"""Startup of the WebUI's pods: preparation of the database, the lock of the volume, and the commands."""

import asyncio
import errno
import fcntl
import json
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airis.render.program import Rendering
from components import one_process, prepare
from components.start import is_preparing
from tests.unit.drawing import ROOT, draw, draw_once, env, manifest, names, pod_spec

pytestmark = pytest.mark.timeout(60)

COMPONENTS = ROOT / "components"
ONE_PROCESS, PREPARE = COMPONENTS / "one_process.py", COMPONENTS / "prepare.py"

POSTGRES: dict[str, Any] = {"host": "postgres.data.svc", "passwordFrom": {"name": "postgres", "key": "password"}}
SHARED: dict[str, Any] = {
    "database": POSTGRES,
    "redis": {"bundled": {}},
    "vectorStore": "pgvector",
    "objectStorage": {"bucket": "uploads", "workloadIdentity": True},
}
ALONE = ["python3", "/etc/airis/start/one_process.py", "/app/backend/data/.airis-lock"]


def containers(drawn: Rendering) -> tuple[dict[str, Any], dict[str, Any]]:
    """The prepare container and the server's."""
    spec = pod_spec(manifest(drawn, "Deployment", "airis-deployment"))
    (first,), (server,) = spec["initContainers"], spec["containers"]
    return first, server


def test_on_sqlite_one_process_at_a_time_uses_the_volume() -> None:
    first, server = containers(draw_once())
    assert first["command"] == [*ALONE, "python3", "/etc/airis/start/prepare.py"]
    assert server["command"] == [*ALONE, "bash", "start.sh"]


@pytest.mark.parametrize(
    ("webui", "alone"),
    [
        ({"database": POSTGRES}, True),  # Chroma's files are on the volume
        ({"database": POSTGRES, "vectorStore": "pgvector"}, False),
        (SHARED, False),
        ({**SHARED, "replicas": 2}, False),
    ],
)
def test_without_files_on_the_volume_the_images_command_is_used(webui: dict[str, Any], alone: bool) -> None:
    first, server = containers(draw(webui=webui))
    assert ("command" in server) is alone
    assert (first["command"] == ["python3", "/etc/airis/start/prepare.py"]) is not alone


def test_the_prepare_container_has_the_servers_image_and_environment() -> None:
    first, server = containers(draw(webui={**SHARED, "image": "example.com/webui:1", "imagePullPolicy": "Always"}))
    for field in ("image", "imagePullPolicy", "env", "volumeMounts", "securityContext"):
        assert first[field] == server[field], field
    assert first["resources"] == server["resources"]  # does not raise the requests of the pod


def test_the_prepare_container_has_no_probes() -> None:
    first, _ = containers(draw_once())
    assert not {"startupProbe", "livenessProbe", "readinessProbe", "restartPolicy"} & first.keys()
    assert first["terminationMessagePolicy"] == "FallbackToLogsOnError"


def test_the_pod_mounts_the_scripts_unchanged() -> None:
    drawn = draw_once()
    spec = pod_spec(manifest(drawn, "Deployment", "airis-deployment"))
    (volume,) = [each for each in spec["volumes"] if each["name"] == "start"]
    (name,) = [each for each in names(drawn, "ConfigMap") if each.startswith("airis-start-")]
    config_map = manifest(drawn, "ConfigMap", name)
    assert volume["configMap"]["name"] == name
    assert config_map["immutable"] is True
    assert config_map["data"] == {each.name: each.read_text(encoding="utf-8") for each in (ONE_PROCESS, PREPARE)}


class Holder:
    """A process that holds the lock of the volume until it is stopped."""

    def __init__(self, file: Path, *command: str) -> None:
        command = command or ("bash", "-c", "echo begins; exec sleep 60")
        self.process = subprocess.Popen(
            [sys.executable, str(ONE_PROCESS), str(file), *command], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.first_line = self.process.stdout.readline().strip()

    def end(self, number: int) -> None:
        self.process.send_signal(number)
        self.process.wait(10)


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / ".airis-lock"


@pytest.fixture
def holder(lock: Path) -> Iterator[Holder]:
    holder = Holder(lock)
    yield holder
    holder.process.kill()
    holder.process.communicate()


WAITS = "airis: another pod still uses the volume: waiting until it stops"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_second_process_starts_when_the_first_has_ended(number: int, holder: Holder, lock: Path) -> None:
    second = Holder(lock, "echo", "second")
    assert (holder.first_line, second.first_line) == ("begins", WAITS)
    time.sleep(0.3)
    assert second.process.poll() is None
    holder.end(number)
    assert second.process.communicate(timeout=10)[0] == "second\n"


def test_a_waiting_process_stops_on_sigterm(holder: Holder, lock: Path) -> None:
    """As the first process of a container, it would get no signal that it does not ask for."""
    second = Holder(lock, "echo", "second")
    second.end(signal.SIGTERM)
    assert second.process.returncode == 128 + signal.SIGTERM
    assert holder.process.poll() is None


def test_a_lock_file_of_another_user_can_be_locked(
    lock: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The pod ran as root before, so its lock file is read-only."""
    lock.touch()
    real = os.open

    def refusing(path: str, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_RDWR:
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", refusing)
    one_process.hold(str(lock))
    monkeypatch.undo()
    with lock.open() as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_without_file_locks_the_command_runs_with_a_message(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ONE_PROCESS), str(tmp_path / "none" / "lock"), "echo", "runs"],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    said, ran = done.stdout.splitlines()
    assert said.endswith("a second pod could use the volume at the same time: [Errno 2] No such file or directory: "
                         f"'{tmp_path}/none/lock'")  # fmt: skip
    assert ran == "runs"


CONFIG = """\
import os, sqlite3
print("imported with", os.environ["ENABLE_DB_MIGRATIONS"])
def run_migrations():
    print("Running migrations")
    {migration}
    there = sqlite3.connect(os.environ["DATA_DIR"] + "/webui.db")
    there.executescript("create table if not exists alembic_version (version_num text); delete from alembic_version;"
                        "insert into alembic_version values ('b'); create table if not exists config (key text primary key)")
DEFAULT_CONFIG = {{
    'ui.name': 1,
    'oauth.client.timeout': 2,
}}
async def seed_registered_defaults():
    there = sqlite3.connect(os.environ["DATA_DIR"] + "/webui.db")
    there.execute("insert or ignore into config (key) values ('ui.name')")
    there.commit()
"""
DB = """\
class engine:
    class dialect:
        name = "sqlite"
"""


class Image:
    """An image with a release of Open WebUI of two revisions, and a volume."""

    def __init__(self, folder: Path, migration: str = "pass") -> None:
        self.workdir, self.data = folder / "backend", folder / "data"
        versions = self.workdir / "open_webui" / "migrations" / "versions"
        for each in (versions, self.workdir / "open_webui" / "internal", self.data):
            each.mkdir(parents=True)
        files = {
            "__init__.py": "raise SystemExit('it takes long to import')" if migration == "untouched" else "",
            "config.py": CONFIG.format(migration=migration),
            "internal/db.py": DB,
            "migrations/versions/1_first.py": "revision: str = 'a'\ndown_revision: str | None = None\n",
            "migrations/versions/2_second.py": 'import nothing\nrevision = "b"\ndown_revision = "a"\n',
        }
        for name, text in files.items():
            (self.workdir / "open_webui" / name).write_text(text, encoding="utf-8")

    def database(self, revision: str, *keys: str) -> None:
        with sqlite3.connect(self.data / "webui.db") as there:
            there.execute("create table alembic_version (version_num text)")
            there.execute("insert into alembic_version values (?)", [revision])
            there.execute("create table config (key text primary key)")
            there.executemany("insert into config values (?)", [[each] for each in keys])

    def keys(self) -> list[str]:
        with sqlite3.connect(self.data / "webui.db") as there:
            return [row[0] for row in there.execute("select key from config")]

    def prepare(self, **variables: str) -> "subprocess.CompletedProcess[str]":
        given = {"DATA_DIR": str(self.data), "PATH": os.environ["PATH"], **variables}
        return subprocess.run(
            [sys.executable, str(PREPARE)],
            cwd=self.workdir,
            env=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )


def test_a_new_database_is_migrated_and_seeded_once(tmp_path: Path) -> None:
    image = Image(tmp_path)

    done = image.prepare()

    assert (done.returncode, done.stderr) == (0, "")
    first, pending, imported, migrated, last = done.stdout.splitlines()
    assert first == "airis: preparing the database for this release"
    assert pending == "airis: revisions to run: 2"
    assert imported == "imported with false"  # otherwise, the import would migrate before this pod has the lock
    assert migrated == "Running migrations"
    assert last.startswith("airis: the database is at revision b, after ")
    assert image.keys() == ["ui.name"]
    assert image.prepare().stdout == "airis: the database is up to date, at revision b\n"


def test_a_database_that_is_up_to_date_needs_no_import(tmp_path: Path) -> None:
    image = Image(tmp_path, migration="untouched")
    image.database("b", "ui.name")
    done = image.prepare()
    assert (done.returncode, done.stdout) == (0, "airis: the database is up to date, at revision b\n")


@pytest.mark.parametrize(
    ("variables", "complete"),
    [
        ({}, False),
        ({"ENABLE_PERSISTENT_CONFIG": "False"}, True),  # nothing is seeded
        ({"ENABLE_OAUTH_PERSISTENT_CONFIG": "True"}, False),
    ],
)
def test_new_settings_without_a_migration_are_written(
    variables: dict[str, str], complete: bool, tmp_path: Path
) -> None:
    """Such as 0.12.4 after 0.12.3: two pods that seed at once violate a unique key."""
    image = Image(tmp_path)
    image.database("b", *(["ui.name"] if "ENABLE_OAUTH_PERSISTENT_CONFIG" in variables else []))
    done = image.prepare(**variables)
    assert done.returncode == 0
    assert ("Running migrations" not in done.stdout) is complete


def test_a_release_whose_settings_cannot_be_read_is_prepared(tmp_path: Path) -> None:
    image = Image(tmp_path)
    image.database("b", "ui.name")
    config = image.workdir / "open_webui" / "config.py"
    config.write_text(config.read_text(encoding="utf-8").replace("DEFAULT_CONFIG", "OTHER"), encoding="utf-8")
    assert "Running migrations" in image.prepare().stdout


UPGRADE = (
    'import logging; logging.getLogger("alembic.runtime.migration").warning("Running %s", "upgrade a -> b, add it")'
)


@pytest.mark.parametrize(("before", "during"), [("pass", ""), (UPGRADE, " (Running upgrade a -> b, add it)")])
def test_a_migration_that_fails_fails_the_pod_with_its_reason(before: str, during: str, tmp_path: Path) -> None:
    image = Image(tmp_path, migration=f'{before}; raise RuntimeError("column is missing\\nin line 2")')
    done = image.prepare()
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"airis: the database could not be prepared: RuntimeError: column is missing{during}"
    )


def test_an_error_after_the_last_revision_names_no_revision(tmp_path: Path) -> None:
    image = Image(tmp_path, migration=UPGRADE)
    config = image.workdir / "open_webui" / "config.py"
    config.write_text(f"{config.read_text(encoding='utf-8')}    raise RuntimeError('no seed')\n", encoding="utf-8")
    assert image.prepare().stderr.splitlines()[-1] == "airis: the database could not be prepared: RuntimeError: no seed"


def test_an_import_error_fails_the_pod_with_its_reason(tmp_path: Path) -> None:
    image = Image(tmp_path, migration="untouched")
    (image.workdir / "open_webui" / "__init__.py").write_text("raise ValueError('SQLCipher is not supported')")
    done = image.prepare()
    assert (done.returncode, done.stderr) == (
        1,
        "airis: the database could not be prepared: ValueError: SQLCipher is not supported\n",
    )


@pytest.mark.parametrize("url", ["postgresql://ada:private@db/x", "http://private@db", "http://ada:pri@vate@db:1"])
def test_the_reason_has_no_credentials(url: str, tmp_path: Path) -> None:
    said = Image(tmp_path, migration=f"raise ValueError('illegal URL: {url}')").prepare().stderr.splitlines()[-1]
    assert "illegal URL: " in said
    assert "://[secret]@db" in said
    assert "pri" not in said.partition("URL")[2]


def test_the_log_shows_the_progress_of_a_long_migration(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(prepare, "TELL_SECONDS", 0.2)
    alembic = logging.getLogger("alembic.runtime.migration")
    with prepare.Progress(3):
        for step in ("upgrade a -> b, add it", "upgrade b -> c, take it"):
            alembic.warning("Running %s", step)
        alembic.warning("Context impl SQLiteImpl.")
        time.sleep(0.5)
    first, *told = capsys.readouterr().out.splitlines()
    assert first == "airis: revisions to run: 3"
    assert 1 <= len(told) <= 2
    assert set(told) <= {f"airis: preparing the database for {seconds} s, 2 of 3: Running upgrade b -> c, take it"
                         for seconds in (0, 1)}  # fmt: skip
    assert "preparing the database" not in capsys.readouterr().out  # it stops with the block


CHAIN: dict[str, set[str]] = {"a": set(), "b": {"a"}, "c": {"a"}, "d": {"b", "c"}, "e": {"d"}}


@pytest.mark.parametrize(
    ("there", "lacking"),
    [(set(), set(CHAIN)), ({"a"}, {"b", "c", "d", "e"}), ({"b", "c"}, {"d", "e"}), ({"e"}, set()), ({"?"}, set(CHAIN))],
)
def test_pending_revisions_are_those_that_the_database_lacks(there: set[str], lacking: set[str]) -> None:
    assert prepare.pending(CHAIN, there) == lacking
    assert prepare.ends(CHAIN) == {"e"}


VECTORS = """\
import open_webui.env
print("made with", open_webui.env.ENABLE_DB_MIGRATIONS)
"""


@pytest.mark.parametrize(
    ("store", "migrations", "made"),
    [("milvus", "true", "made with True"), ("milvus", "False", None), ("qdrant", "true", None)],
)
def test_milvus_collections_are_migrated_before_the_server_starts(
    store: str, migrations: str, made: str | None, tmp_path: Path
) -> None:
    """Only the application knows whether they must be: the database itself is up to date."""
    image = Image(tmp_path)
    image.database("b", "ui.name")
    for name, text in {"env.py": "ENABLE_DB_MIGRATIONS = False", "retrieval/vector/factory.py": VECTORS}.items():
        file = image.workdir / "open_webui" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    done = image.prepare(VECTOR_DB=store, ENABLE_DB_MIGRATIONS=migrations)
    assert done.returncode == 0
    assert [each for each in done.stdout.splitlines() if each.startswith("made with")] == ([made] if made else [])


def test_a_database_of_a_newer_release_is_an_error(tmp_path: Path) -> None:
    image = Image(tmp_path)
    image.database("c")
    done = image.prepare()
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(
        "airis: the database is at revision c, which is unknown to this release of Open WebUI"
    )
    # if something else migrates, the database may be ahead for a while
    assert image.prepare(ENABLE_DB_MIGRATIONS="False").returncode == 0


def test_migrations_can_be_disabled(tmp_path: Path) -> None:
    image = Image(tmp_path)
    image.database("b")
    done = image.prepare(ENABLE_DB_MIGRATIONS="False")
    assert done.returncode == 0
    assert "Running migrations" not in done.stdout
    assert image.keys() == ["ui.name"]


class Kept:
    """The settings in a database, as prepare.py reads them."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    async def get_many(self, *keys: str) -> dict[str, Any]:
        return {key: self.settings[key] for key in keys if key in self.settings}

    async def upsert(self, changes: dict[str, Any]) -> None:
        self.settings.update(changes)


OLD, NEW, OTHER = "http://open-webui-ollama.chat.svc:11434", "http://ollama-service.chat.svc:11434", "http://gpu:11434"
TAGS, KEY = {"tags": ["old"]}, {"key": "k"}
Servers = tuple[list[str], dict[str, Any]]


@pytest.mark.parametrize(
    ("before", "now", "after"),
    [
        (([OLD], {}), NEW, ([NEW], {})),
        (([f"{OLD}/"], {}), NEW, ([NEW], {})),
        (([OTHER, OLD], {"0": KEY, "1": TAGS}), NEW, ([OTHER, NEW], {"0": KEY, "1": TAGS})),
        # several replace one: the options of the following servers move along
        (([OLD, OTHER], {"1": KEY}), "http://a;http://b", (["http://a", "http://b", OTHER], {"2": KEY})),
        (([OLD, OTHER], {OTHER: KEY}), f"{NEW};{OTHER}", ([NEW, OTHER], {"1": KEY})),
        (([NEW, OLD], {"0": KEY}), NEW, ([NEW], {"0": KEY})),
        # a server that was removed in the browser stays removed
        (([OTHER], {"0": KEY}), NEW, ([OTHER], {"0": KEY})),
        (([], {}), NEW, ([], {})),
    ],
)
def test_former_servers_are_replaced_in_the_settings(
    before: Servers, now: str, after: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRIS_FORMER_OLLAMA_URLS", OLD)
    monkeypatch.setenv("OLLAMA_BASE_URLS", now)
    urls, options = before
    kept = Kept(**{"ollama.base_urls": urls, "ollama.api_configs": options, "rag.ollama.base_url": OTHER})
    for _ in range(2):  # the second run changes nothing
        asyncio.run(prepare.seed(SimpleNamespace(Config=kept)))
        assert (kept.settings["ollama.base_urls"], kept.settings["ollama.api_configs"]) == after
        assert kept.settings["rag.ollama.base_url"] == OTHER


def test_the_former_server_is_replaced_for_embeddings_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRIS_FORMER_OLLAMA_URLS", f"http://x;{OLD}")
    monkeypatch.setenv("OLLAMA_BASE_URL", NEW)
    kept = Kept(**{"rag.ollama.base_url": OLD})
    asyncio.run(prepare.seed(SimpleNamespace(Config=kept)))
    assert kept.settings == {"rag.ollama.base_url": NEW}


@pytest.mark.parametrize("config", [SimpleNamespace(), SimpleNamespace(Config=object())])
def test_a_release_that_stores_its_settings_differently_is_left_unchanged(
    config: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRIS_FORMER_OLLAMA_URLS", OLD)
    monkeypatch.setenv("OLLAMA_BASE_URL", NEW)
    asyncio.run(prepare.seed(config))


@pytest.mark.parametrize(("kept", "complete"), [(OLD, False), (f"{OLD}/", False), (f"{OLD}5", True), (NEW, True)])
def test_a_database_with_a_former_server_is_not_up_to_date(kept: str, complete: bool, tmp_path: Path) -> None:
    image = Image(tmp_path)
    image.database("b", "ui.name")
    with sqlite3.connect(image.data / "webui.db") as there:
        there.execute("alter table config add column value json")
        there.execute("insert into config values ('ollama.base_urls', ?)", [json.dumps([kept])])
    done = image.prepare(AIRIS_FORMER_OLLAMA_URLS=OLD, OLLAMA_BASE_URL=NEW)
    assert done.returncode == 0
    assert ("up to date" in done.stdout) is complete


def test_an_image_without_open_webui_is_left_to_its_server(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(PREPARE)], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout == "airis: no Open WebUI found in this image: leaving the database to its server\n"


class Connection:
    """A PostgreSQL session in which the lock is free or held."""

    def __init__(self, *free: bool) -> None:
        self.free, self.said, self.open = [*free], list[str](), True

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self.open = False

    def execute(self, statement: str) -> "Connection":
        self.said.append(statement)
        return self

    def rollback(self) -> None:
        self.said.append("ROLLBACK")

    def scalar(self) -> bool:
        return self.free.pop(0)


class Refused(Exception):
    orig = "connection to server failed:\n\tConnection refused"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """PostgreSQL behind SQLAlchemy: `refusals` connections fail before there is `connection`."""
    there = SimpleNamespace(refusals=0, connection=Connection(True), url=None, slept=0.0)

    def connect() -> Connection:
        if there.refusals > 0:
            there.refusals -= 1
            raise Refused
        connection: Connection = there.connection
        return connection

    def create_engine(url: dict[str, str]) -> SimpleNamespace:
        there.url = url
        return SimpleNamespace(connect=connect)

    def sleep(seconds: float) -> None:
        there.slept += seconds

    monkeypatch.setitem(sys.modules, "sqlalchemy", SimpleNamespace(create_engine=create_engine, text=str))
    monkeypatch.setitem(sys.modules, "sqlalchemy.exc", SimpleNamespace(OperationalError=Refused))
    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(time, "monotonic", lambda: there.slept)
    return there


def database(dialect: str) -> Any:
    url = SimpleNamespace(update_query_dict=dict)
    return SimpleNamespace(engine=SimpleNamespace(dialect=SimpleNamespace(name=dialect), url=url))


TRIED = [
    "ROLLBACK",
    "SET LOCAL idle_in_transaction_session_timeout = 0",
    f"SELECT pg_try_advisory_xact_lock({prepare._LOCK})",
]


@pytest.mark.parametrize("tries", [1, 2, 65])
def test_pods_with_the_same_postgresql_prepare_it_one_at_a_time(
    tries: int, server: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    server.connection = Connection(*[False] * (tries - 1), True)
    with prepare.alone(database("postgresql")):
        # each try has its own transaction; the last one holds the lock until this process ends
        assert server.connection.said == TRIED * tries
        assert server.connection.open
    assert server.url == {"keepalives_idle": "30"}
    told = capsys.readouterr().out.replace("airis: another pod is preparing the database: waiting ", "").split("\n")
    assert (
        told[:-1] == {1: [], 2: ["until it has finished"], 65: ["until it has finished", "for 30 s", "for 60 s"]}[tries]
    )
    assert not server.connection.open  # which releases the lock


def test_a_pod_stops_on_sigterm_before_it_migrates(tmp_path: Path) -> None:
    """As the first process of its container, it would get no signal that it does not ask for."""
    image = Image(tmp_path)
    (image.workdir / "open_webui" / "internal" / "db.py").write_text(
        "import time; print('imports', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, str(PREPARE)],
        cwd=image.workdir,
        env={"DATA_DIR": str(image.data)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    while process.stdout.readline() != "imports\n":
        pass
    process.terminate()
    process.communicate(timeout=10)
    assert process.returncode == 128 + signal.SIGTERM


def test_a_running_revision_is_finished_on_sigterm(tmp_path: Path) -> None:
    image = Image(tmp_path, migration="import signal; signal.raise_signal(signal.SIGTERM)")
    assert image.prepare().returncode == 0
    assert image.keys() == ["ui.name"]


def test_sqlite_needs_no_lock_of_the_database(server: SimpleNamespace) -> None:
    with prepare.alone(database("sqlite")):
        assert server.url is None


def test_prepare_waits_for_a_starting_database(server: SimpleNamespace) -> None:
    server.refusals = 5
    with prepare.alone(database("postgresql")):
        assert server.connection.said


def test_an_unreachable_database_fails_the_pod(server: SimpleNamespace) -> None:
    server.refusals = 1000
    with pytest.raises(SystemExit) as ended, prepare.alone(database("postgresql")):
        pass
    words = "airis: no connection to the database for 60 s: connection to server failed: Connection refused"
    assert str(ended.value) == words
    assert 60 <= server.slept < 65


OWN = "ghcr.io/open-webui/open-webui"


def migrates(webui: dict[str, Any]) -> tuple[str | None, str | None]:
    """Whether the prepare container migrates, and whether the server does."""
    first, server = (
        env({"spec": {"template": {"spec": {"containers": [each]}}}}).get("ENABLE_DB_MIGRATIONS")
        for each in containers(draw(webui=webui))
    )
    return first, server


@pytest.mark.parametrize(
    ("setting", "image", "expected"),
    [
        (None, f"{OWN}:v0.12.4", (None, "False")),
        (None, f"{OWN}@sha256:{'0' * 64}", (None, "False")),
        (None, "mirror.example.com/open-webui:main", (None, "False")),
        (True, f"{OWN}:v0.12.4", ("True", "False")),
        (False, f"{OWN}:v0.12.4", ("False", "False")),
        # the location of the application in another image is unknown
        (None, "ghcr.io/airis/airis:main", (None, None)),
        (False, "ghcr.io/airis/airis:main", ("False", "False")),
    ],
)
def test_the_server_runs_no_migrations(
    setting: bool | None, image: str, expected: tuple[str | None, str | None]
) -> None:
    assert migrates({"database": {**POSTGRES, "migrations": setting}, "image": image}) == expected


def pod(state: str, code: int | None = None, **metadata: str) -> dict[str, Any]:
    last = {} if code is None else {"lastState": {"terminated": {"exitCode": code}}}
    return {
        "metadata": {"name": "airis-1", **metadata},
        "status": {"initContainerStatuses": [{"name": "prepare", "state": {state: {}}, **last}]},
    }


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (pod("running"), True),
        (pod("running", 0), True),
        (pod("running", 1), False),  # it has failed, and may continue to fail
        (pod("running", deletionTimestamp="2026-01-01T00:00:00Z"), False),
        (pod("waiting"), False),
        (pod("terminated"), False),
        ({"metadata": {"name": "ollama-0"}, "status": {}}, False),
        ({"metadata": {"name": "new"}}, False),
    ],
)
def test_a_pod_prepares_while_that_container_runs_and_has_not_failed(body: dict[str, Any], expected: bool) -> None:
    assert is_preparing(body) is expected
