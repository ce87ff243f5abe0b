"""A migration that fails or takes long: of a database with the newest revision, whose version is reset to the previous one.

That revision adds rows to `auth` for accounts without one, and reverting it changes only the version. Source: Open
WebUI 0.12.3 and 0.12.4, migrations/versions/0bd252b206fb_add_missing_auth_rows.py.
"""

from datetime import datetime
from typing import Any

from tests.cluster.stacks import Stack
from tests.cluster.target import Target

SECONDS = 35
"""The minimum duration of a long migration."""

BUDGET = {"periodSeconds": 4, "failureThreshold": 9}
BUDGET_SECONDS = BUDGET["periodSeconds"] * BUDGET["failureThreshold"]
"""A startup probe that would interrupt it, including the import of the application."""

UPGRADE = "Running upgrade c92da83b017f -> 0bd252b206fb, add missing auth rows"
"""Its progress message."""

_FAILS = "a story has it fail"

_TAKEN_BACK = """
INSERT INTO "user" (id, name, email, role, profile_image_url, last_active_at, updated_at, created_at)
VALUES ('ghost', 'ghost', 'ghost@example.com', 'user', '', 0, 0, 0);
UPDATE alembic_version SET version_num = 'c92da83b017f';
"""

_COUNT = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT {}) SELECT count(*) FROM c"
_IN_THE_POD = f"""
import contextlib, sqlite3, time
with contextlib.closing(sqlite3.connect("/app/backend/data/webui.db", timeout=60)) as there:
    begun = time.process_time()
    there.execute({_COUNT!r}.format(2_000_000)).fetchone()
    rows = int(2_000_000 * {SECONDS} / (time.process_time() - begun))
    there.executescript({_TAKEN_BACK!r} + '''
        CREATE TRIGGER story BEFORE INSERT ON auth WHEN NEW.id = 'ghost' BEGIN SELECT (%s); END;
    ''' % {_COUNT!r}.format(rows))
"""

_TRIGGER = """
CREATE FUNCTION story() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '{}'; END $$;
CREATE TRIGGER story BEFORE INSERT ON auth FOR EACH ROW WHEN (NEW.id = 'ghost') EXECUTE FUNCTION story();
"""
_SLEEPS = """
CREATE OR REPLACE FUNCTION story() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep({}); RETURN NEW; END $$;
"""

FAILED = (
    "prepare: airis: the database could not be prepared: "
    f"InternalError: (psycopg2.errors.RaiseException) {_FAILS} ({UPGRADE})"
)
"""The message of `airis up` for one that fails."""


def takes_long_on_sqlite(stack: Stack) -> None:
    """Makes the next one take long. SQLite cannot sleep, so it counts for that time."""
    where = ("deployment/airis-deployment", "--container=airis")
    stack.cluster.run("exec", *where, "--", "python3", "-c", _IN_THE_POD, timeout=120)


class OnPostgres:
    """Makes migrations of a database in `servers.postgres` fail, and then take long. `host` is that of the server."""

    def __init__(self, cluster: Target, host: str) -> None:
        name, namespace, *_ = host.split(".")
        self._server, self._name = cluster.within(namespace), name

    def fails(self) -> None:
        """Makes the next ones fail."""
        self._run(_TAKEN_BACK + _TRIGGER.format(_FAILS))

    def takes_long(self) -> None:
        """Makes them take long from now on."""
        self._run(_SLEEPS.format(SECONDS))

    def _run(self, sql: str) -> None:
        psql = (
            "psql",
            "--username=airis",
            "--dbname=airis",
            "--set=ON_ERROR_STOP=1",
            "--quiet",
            "--single-transaction",
        )
        self._server.run("exec", "--stdin", self._name, "--", *psql, stdin=sql)


def seconds(container: dict[str, Any]) -> float:
    """How long a terminated container ran, from its status."""
    ended = container["state"]["terminated"]
    return (datetime.fromisoformat(ended["finishedAt"]) - datetime.fromisoformat(ended["startedAt"])).total_seconds()
