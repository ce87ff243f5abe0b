"""Brings Open WebUI's database up to the release of the image, before its server starts: python3 prepare.py

Runs in the image, in the folder from which that starts its server, in a container of its own that has no probes: a migration
may take its time. What the start of a server would write is written here, by one pod after another, so that servers which start
at once find nothing to write. A database that is up to date is left alone, which takes a fraction of a second.

Sources, Open WebUI 0.12.4: config.py (migrates when it is imported; two pods that seed its defaults at once break a key's
uniqueness), migrations/env.py, retrieval/vector/dbs/pgvector.py.
"""

import ast
import asyncio
import contextlib
import importlib
import importlib.util
import os
import re
import sqlite3
import sys
import time
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 60
"""How long the database may take to answer: it may be starting, and the pod's address may not be let through yet."""

SEEDS = ("import_legacy_config_json", "seed_registered_defaults")
"""What writes the settings when a server starts (main.py)."""

FORMER_URLS = "AIRIS_FORMER_OLLAMA_URLS"
"""The variable with the Ollama servers of before, which those of this stack replace."""

_SERVERS, _OPTIONS, _EMBEDDER = "ollama.base_urls", "ollama.api_configs", "rag.ollama.base_url"
"""The settings about Ollama servers: their URLs, what is said of each by its place in that list, the one for embeddings."""

_LOCK = int.from_bytes(b"airis", "big")
"""The number of the advisory lock of PostgreSQL that pods of one database wait for."""

_REVISION = re.compile(r"^(down_)?revision\b[^=\n]*=\s*(.+)$", re.MULTILINE)
_DEFAULTS = re.compile(r"^DEFAULT_CONFIG = \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_DEFAULT = re.compile(r"^    ['\"]([\w.]+)['\"]:", re.MULTILINE)


def main() -> None:
    """Prepares the database. Raises SystemExit with the reason where that fails."""
    sys.path[0] = str(Path.cwd())  # where the image has the application, and not where this file is
    found = importlib.util.find_spec("open_webui")
    if found is None or found.origin is None:
        say("there is no Open WebUI in this image: its database is left to its server")
        return
    package = Path(found.origin).parent
    known, heads = revisions(package)
    there, migrates = ask("SELECT version_num FROM alembic_version"), _is_on("ENABLE_DB_MIGRATIONS", "true")
    if migrates and known and there - known:
        sys.exit(
            f"airis: the database is at revision {', '.join(there - known)}, which this release of Open WebUI does not know: "
            "a newer one has migrated it. Set that release again, or restore a backup"
        )
    if there == heads and is_complete(package):
        say(f"the database is up to date, at revision {', '.join(heads)}")
        return
    say("the database is prepared for this release")
    os.environ["ENABLE_DB_MIGRATIONS"] = "false"  # else the import itself migrates, whoever else does
    config = importlib.import_module("open_webui.config")
    with alone(importlib.import_module("open_webui.internal.db")):
        started = time.monotonic()
        try:
            if migrates:
                config.run_migrations()
            asyncio.run(seed(config))
            if os.environ.get("VECTOR_DB") == "pgvector":
                importlib.import_module("open_webui.retrieval.vector.factory")  # makes its tables
        except Exception as error:
            reason = str(error).strip().partition("\n")[0]
            sys.exit(f"airis: the database could not be prepared: {type(error).__name__}: {reason}")
    say(f"the database is at revision {', '.join(heads)}, after {time.monotonic() - started:.1f} s")


def say(words: str) -> None:
    """Writes a line of the log."""
    print(f"airis: {words}", flush=True)


def _is_on(variable: str, default: str) -> bool:
    """What Open WebUI takes a variable for."""
    return os.environ.get(variable, default).lower() == "true"


def revisions(package: Path) -> tuple[Set[str], Set[str]]:
    """All revisions of the release, and those at the end of the chain, where the database has to be. Runs none of the files."""
    known: set[str] = set()
    earlier: set[str] = set()
    for file in (package / "migrations" / "versions").glob("*.py"):
        for down, value in _REVISION.findall(file.read_text(encoding="utf-8")):
            with contextlib.suppress(ValueError, SyntaxError):
                told = ast.literal_eval(value)
                (earlier if down else known).update([told] if isinstance(told, str) else told or ())
    return known, known - earlier


def is_complete(package: Path) -> bool:
    """Whether the start of a server would write nothing: every setting is there, and so are the tables of pgvector."""
    if _is_on("ENABLE_PERSISTENT_CONFIG", "true"):
        kept = _is_on("ENABLE_OAUTH_PERSISTENT_CONFIG", "false")
        needed = {key for key in defaults(package / "config.py") if kept or not key.startswith("oauth.")}
        if not needed or not needed <= ask("SELECT key FROM config") or _names_former_servers():
            return False
    if os.environ.get("VECTOR_DB") != "pgvector":
        return True
    table = "document_chunk"
    return ask(f"SELECT to_regclass('{table}')", os.environ.get("PGVECTOR_DB_URL")) == {table}


def defaults(config: Path) -> Set[str]:
    """The settings that a start writes where they are not there yet; none if this release has them elsewhere."""
    block = _DEFAULTS.search(config.read_text(encoding="utf-8"))
    return set(_DEFAULT.findall(block[1])) if block else set()


def _names_former_servers() -> bool:
    """Whether a setting still has an Ollama server of before. The settings are JSON."""
    gone, _ = servers()
    kept = ask("SELECT CAST(value AS TEXT) FROM config WHERE key LIKE '%ollama.base_url%'") if gone else ()
    return any(f'"{url}{end}"' in text for url in gone for end in ("", "/") for text in kept)


def servers() -> tuple[Set[str], list[str]]:
    """The Ollama servers of before, and those that take their place."""
    former, several, single = (
        [url for each in os.environ.get(name, "").split(";") if (url := each.strip().rstrip("/"))]
        for name in (FORMER_URLS, "OLLAMA_BASE_URLS", "OLLAMA_BASE_URL")
    )
    now = several or single
    return set(former) - set(now) if now else set(), now


def ask(query: str, url: str | None = None) -> Set[str]:
    """The first column of what a database answers; nothing where it has no such table, or does not answer yet."""
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
    except Exception:  # whatever is wrong, the preparation itself says it better
        return set()


@contextlib.contextmanager
def alone(db: Any) -> Iterator[None]:
    """Keeps other pods from preparing the same PostgreSQL meanwhile. SQLite's file has one pod.

    The lock is that of a transaction, because a pooler in between may give a session to several clients. It ends with this
    process.
    """
    if db.engine.dialect.name != "postgresql":
        yield
        return
    sql = importlib.import_module("sqlalchemy")
    # Firewalls forget a connection on which nothing is said for as long as a migration may take
    engine = sql.create_engine(db.engine.url.update_query_dict({"keepalives_idle": "30"}))
    if tokens := getattr(db, "enable_iam_token_auth", None):
        tokens(engine)
    with connected(engine) as connection:
        for limit in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
            connection.execute(sql.text(f"SET LOCAL {limit} = 0"))
        if not connection.execute(sql.text(f"SELECT pg_try_advisory_xact_lock({_LOCK})")).scalar():
            say("another pod prepares the database: waiting until it has")
            connection.execute(sql.text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
        yield


def connected(engine: Any) -> Any:
    """A connection, as soon as the database gives one. Raises SystemExit with its last answer where that takes too long."""
    refused = importlib.import_module("sqlalchemy.exc").OperationalError
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return engine.connect()
        except refused as error:
            if time.monotonic() > deadline:
                reason = " ".join(str(error.orig).split())
                sys.exit(f"airis: the database gives no connection, tried for {PATIENCE_SECONDS} s: {reason}")
        time.sleep(1)


async def seed(config: Any) -> None:
    """Writes the settings that are not there yet, as the server's start does, with the release's own code.

    Of those that are there, the ones that name an Ollama server of before are changed.
    """
    for name in SEEDS:
        if step := getattr(config, name, None):
            await step()
    kept: Any = getattr(config, "Config", None)
    gone, now = servers()
    if gone and hasattr(kept, "upsert"):  # releases before 0.12 keep their settings in another way
        there = await kept.get_many(_SERVERS, _OPTIONS, _EMBEDDER)
        if changes := moved(there, gone, now):
            await kept.upsert(changes)
            say(f"the settings now have Ollama at {', '.join(now)}")


def moved(there: Mapping[str, Any], gone: Set[str], now: Sequence[str]) -> dict[str, Any]:
    """The settings to change so that the servers `now` take the place of those `gone`; others keep what is said of them."""
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
