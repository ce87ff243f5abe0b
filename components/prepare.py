"""Migrates Open WebUI's database to the release of the image, before its server starts: python3 prepare.py

Runs in the image, in the directory from which its server starts, in a separate container without probes, because a migration
may take long. It writes everything that the start of a server would write, in one pod at a time, so that servers which start at
the same time find nothing to write. A database that is up to date is left unchanged, which takes a fraction of a second.

Sources, Open WebUI 0.12.4: config.py (migrates on import; two pods that seed its defaults at once violate a unique key),
migrations/env.py, alembic.ini, retrieval/vector/dbs/pgvector.py and milvus.py.
"""

import ast
import asyncio
import contextlib
import importlib
import importlib.util
import logging
import os
import re
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 60
"""How long to wait for the database: it may be starting, or the pod's address may not be allowed yet."""

TELL_SECONDS = 30
"""How often the log reports that the preparation, or the wait for another pod's, continues."""

SEEDS = ("import_legacy_config_json", "seed_registered_defaults")
"""Functions that write the settings when a server starts (main.py)."""

FORMER_URLS = "AIRIS_FORMER_OLLAMA_URLS"
"""The variable with the previous Ollama servers, which those of this stack replace."""

_SERVERS, _OPTIONS, _EMBEDDER = "ollama.base_urls", "ollama.api_configs", "rag.ollama.base_url"
"""The settings of Ollama servers: their URLs, their options by index in that list, and the server for embeddings."""

_STORES = ("pgvector", "milvus")
"""Vector stores in which the start of a server creates tables, or migrates collections."""

_LOCK = int.from_bytes(b"airis", "big")
"""The number of PostgreSQL's advisory lock, for which pods of the same database wait."""

_CREDENTIALS = re.compile(r"://[^/\s]*@")
"""The part of a URL before its host: clients repeat a URL that they cannot parse."""
_REVISION = re.compile(r"^(down_)?revision\b[^=\n]*=\s*(.+)$", re.MULTILINE)
_DEFAULTS = re.compile(r"^DEFAULT_CONFIG = \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_DEFAULT = re.compile(r"^    ['\"]([\w.]+)['\"]:", re.MULTILINE)


def main() -> None:
    """Prepares the database. Raises SystemExit with the reason if that fails."""
    # The first process of a container receives only signals for which it has a handler
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.path[0] = str(Path.cwd())  # the application's directory, not this file's
    found = importlib.util.find_spec("open_webui")
    if found is None or found.origin is None:
        say("no Open WebUI found in this image: leaving the database to its server")
        return
    package = Path(found.origin).parent
    release = revisions(package)
    there, heads = revision(), ends(release)
    migrates = _is_on("ENABLE_DB_MIGRATIONS", "true")
    if migrates and release and there - release.keys():
        sys.exit(
            f"airis: the database is at revision {', '.join(there - release.keys())}, which is unknown to this release of Open "
            "WebUI: a newer release has migrated it. Set that release again, or restore a backup"
        )

    def is_done() -> bool:
        if revision() != heads or not is_complete(package, migrates=migrates):
            return False
        say(f"the database is up to date, at revision {', '.join(heads)}")
        return True

    if is_done():
        return
    say("preparing the database for this release")
    os.environ["ENABLE_DB_MIGRATIONS"] = "false"  # otherwise, the import migrates
    progress = Progress(len(pending(release, there)) if migrates else 0)
    started = time.monotonic()
    try:
        with alone(importlib.import_module("open_webui.internal.db")):
            if is_done():  # by the other pod, meanwhile
                return
            # A deleted pod may finish a revision within its grace period
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            with progress:
                prepare(progress, migrates=migrates)
    except Exception as error:
        reason = _CREDENTIALS.sub("://[secret]@", str(error).strip().partition("\n")[0])
        during = f" ({progress.step})" if progress.step else ""
        sys.exit(f"airis: the database could not be prepared: {type(error).__name__}: {reason}{during}")
    say(f"the database is at revision {', '.join(heads)}, after {time.monotonic() - started:.1f} s")


def prepare(progress: "Progress", *, migrates: bool) -> None:
    """Writes what the start of a server would write, with the code of the release."""
    config = importlib.import_module("open_webui.config")
    if migrates and (run := getattr(config, "run_migrations", None)):
        run()
        progress.step = ""
    asyncio.run(seed(config))
    if os.environ.get("VECTOR_DB") in _STORES:
        application: Any = importlib.import_module("open_webui.env")
        application.ENABLE_DB_MIGRATIONS = migrates  # also decides on Milvus' collections
        importlib.import_module("open_webui.retrieval.vector.factory")


class Progress:
    """Periodically logs the progress of the preparation while the block runs.

    `pending` is the number of revisions to run.
    """

    def __init__(self, pending: int) -> None:
        self.step = ""
        """The revision that runs, in Alembic's words; "" for none."""
        self._pending, self._count = pending, 0
        self._done = threading.Event()
        self._teller = threading.Thread(target=self._tell, daemon=True)

    def __enter__(self) -> None:
        # A filter, because the application's fileConfig() removes handlers
        logging.getLogger("alembic.runtime.migration").addFilter(self._heed)
        if self._pending:
            say(f"revisions to run: {self._pending}")
        self._teller.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._teller.join()

    def _heed(self, record: logging.LogRecord) -> bool:
        """Notes the start of a revision. Alembic itself logs it."""
        words = record.getMessage()
        if words.startswith("Running upgrade"):
            self._count += 1
            self.step = words
        return True

    def _tell(self) -> None:
        started = time.monotonic()
        while not self._done.wait(TELL_SECONDS):
            place = f", {self._count} of {max(self._count, self._pending)}: {self.step}" if self.step else ""
            say(f"preparing the database for {time.monotonic() - started:.0f} s{place}")


def say(words: str) -> None:
    """Writes a line to the log."""
    print(f"airis: {words}", flush=True)


def _is_on(variable: str, default: str) -> bool:
    """Whether Open WebUI considers a variable to be true."""
    return os.environ.get(variable, default).lower() == "true"


def revisions(package: Path) -> dict[str, Set[str]]:
    """All revisions of the release, each with its direct predecessors. Does not execute the files."""
    found: dict[str, Set[str]] = {}
    for file in (package / "migrations" / "versions").glob("*.py"):
        told: dict[bool, Set[str]] = {}
        for down, value in _REVISION.findall(file.read_text(encoding="utf-8")):
            with contextlib.suppress(ValueError, SyntaxError):
                named = ast.literal_eval(value)
                told[bool(down)] = {named} if isinstance(named, str) else set(named or ())
        found.update({each: told.get(True, set()) for each in told.get(False, ())})
    return found


def ends(release: Mapping[str, Set[str]]) -> Set[str]:
    """The revisions at the end of the chain, to which the database is migrated."""
    return release.keys() - {each for earlier in release.values() for each in earlier}


def pending(release: Mapping[str, Set[str]], there: Set[str]) -> Set[str]:
    """The revisions that a database at `there` lacks."""
    done, left = set[str](), list(there)
    while left:
        if (each := left.pop()) not in done:
            done.add(each)
            left += release.get(each, ())
    return release.keys() - done


def revision() -> Set[str]:
    """The revision of the database; none if it is new."""
    return ask("SELECT version_num FROM alembic_version")


def is_complete(package: Path, *, migrates: bool) -> bool:
    """Whether the start of a server would write nothing: every setting exists, and so do the tables of the vector store."""
    if _is_on("ENABLE_PERSISTENT_CONFIG", "true"):
        kept = _is_on("ENABLE_OAUTH_PERSISTENT_CONFIG", "false")
        needed = {key for key in defaults(package / "config.py") if kept or not key.startswith("oauth.")}
        if not needed or not needed <= ask("SELECT key FROM config") or _names_former_servers():
            return False
    match os.environ.get("VECTOR_DB"):
        case "pgvector":
            table = "document_chunk"
            return ask(f"SELECT to_regclass('{table}')", os.environ.get("PGVECTOR_DB_URL")) == {table}
        case "milvus":
            return not migrates  # only the application knows what its collections lack
    return True


def defaults(config: Path) -> Set[str]:
    """The settings that a start writes if they are missing; none if this release stores them elsewhere."""
    block = _DEFAULTS.search(config.read_text(encoding="utf-8"))
    return set(_DEFAULT.findall(block[1])) if block else set()


def _names_former_servers() -> bool:
    """Whether a setting still contains a previous Ollama server. The settings are JSON."""
    gone, _ = servers()
    kept = ask("SELECT CAST(value AS TEXT) FROM config WHERE key LIKE '%ollama.base_url%'") if gone else ()
    return any(f'"{url}{end}"' in text for url in gone for end in ("", "/") for text in kept)


def servers() -> tuple[Set[str], list[str]]:
    """The previous Ollama servers, and those that replace them."""
    former, several, single = (
        [url for each in os.environ.get(name, "").split(";") if (url := each.strip().rstrip("/"))]
        for name in (FORMER_URLS, "OLLAMA_BASE_URLS", "OLLAMA_BASE_URL")
    )
    now = several or single
    return set(former) - set(now) if now else set(), now


def ask(query: str, url: str | None = None) -> Set[str]:
    """The first column of a query's result; empty if the table does not exist, or the database is not available."""
    url = url or os.environ.get("DATABASE_URL")
    try:
        if url is None:
            path = Path(os.environ["DATA_DIR"], "webui.db")
            with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as file:
                return {str(row[0]) for row in file.execute(query)}
        with contextlib.closing(importlib.import_module("psycopg2").connect(url, connect_timeout=5)) as server:
            cursor = server.cursor()
            if schema := os.environ.get("DATABASE_SCHEMA"):
                cursor.execute("SELECT set_config('search_path', quote_ident(%s), false)", [schema])
            cursor.execute(query)
            return {str(row[0]) for row in cursor.fetchall()}
    except Exception:  # the preparation itself reports the error
        return set()


@contextlib.contextmanager
def alone(db: Any) -> Iterator[None]:
    """Prevents other pods from preparing the same PostgreSQL database at the same time. SQLite's file has only one pod.

    The lock belongs to a transaction, because a pooler may share a session among several clients. It ends with this process.
    """
    if db.engine.dialect.name != "postgresql":
        yield
        return
    sql = importlib.import_module("sqlalchemy")
    # Firewalls drop connections that are idle for as long as a migration may take
    engine = sql.create_engine(db.engine.url.update_query_dict({"keepalives_idle": "30"}))
    if tokens := getattr(db, "enable_iam_token_auth", None):
        tokens(engine)

    with connected(engine) as connection:

        def is_locked() -> bool:
            connection.rollback()  # a transaction for each try: this pod holds nothing while it waits
            connection.execute(sql.text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            return bool(connection.execute(sql.text(f"SELECT pg_try_advisory_xact_lock({_LOCK})")).scalar())

        if not is_locked():
            wait_for(is_locked)
        yield


def wait_for(is_locked: Callable[[], bool]) -> None:
    """Returns when this pod has the lock."""
    started = told = time.monotonic()
    say("another pod is preparing the database: waiting until it has finished")
    while not is_locked():
        time.sleep(1)
        if (now := time.monotonic()) >= told + TELL_SECONDS:
            told = now
            say(f"another pod is preparing the database: waiting for {now - started:.0f} s")


def connected(engine: Any) -> Any:
    """A connection, once the database accepts one. Raises SystemExit with the last error if that takes too long."""
    refused = importlib.import_module("sqlalchemy.exc").OperationalError
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return engine.connect()
        except refused as error:
            if time.monotonic() > deadline:
                reason = " ".join(str(error.orig).split())
                sys.exit(f"airis: no connection to the database for {PATIENCE_SECONDS} s: {reason}")
        time.sleep(1)


async def seed(config: Any) -> None:
    """Writes the missing settings, as the server's start does, with the code of the release.

    Existing settings that contain a previous Ollama server are changed.
    """
    for name in SEEDS:
        if step := getattr(config, name, None):
            await step()
    kept: Any = getattr(config, "Config", None)
    gone, now = servers()
    if gone and hasattr(kept, "upsert"):  # releases before 0.12 store their settings differently
        there = await kept.get_many(_SERVERS, _OPTIONS, _EMBEDDER)
        if changes := moved(there, gone, now):
            await kept.upsert(changes)
            say(f"replaced previous Ollama servers in the settings by {', '.join(now)}")


def moved(there: Mapping[str, Any], gone: Set[str], now: Sequence[str]) -> dict[str, Any]:
    """The settings to change so that the servers `now` replace those in `gone`; other servers keep their options."""
    urls, options = there.get(_SERVERS) or [], there.get(_OPTIONS) or {}
    new, result = [each for each in now if each not in urls], []
    for index, url in enumerate(urls):
        said = options.get(str(index), options.get(url, {}))
        if url.rstrip("/") in gone:
            result += [(each, said) for each in new]
            new = []
        else:
            result.append((url, said))
    changes: dict[str, Any] = {}
    if [url for url, _ in result] != urls:
        changes[_SERVERS] = [url for url, _ in result]
        changes[_OPTIONS] = {str(index): said for index, (_, said) in enumerate(result) if said}
    if str(there.get(_EMBEDDER)).rstrip("/") in gone:
        changes[_EMBEDDER] = now[0]
    return changes


if __name__ == "__main__":
    main()
