"""Settings of the database: PostgreSQL, or SQLite on the volume."""

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal
from urllib.parse import quote

from pydantic import AfterValidator, Field, StrictBool, StrictInt

from settings.types.base import Broken, Settings
from settings.types.quantity import Bytes, as_bytes
from settings.types.references import SecretKeyRef
from settings.types.servers import Port, ServerHost, in_url
from settings.types.variables import Value, Variable, VariableSettings

VERIFYING = ("verify-ca", "verify-full")
"""The SSL modes in which PostgreSQL's client verifies the server's certificate, for which it needs authorities."""


def _name(given: str) -> str:
    if not given.strip() or not given.isprintable():
        raise ValueError("a name as in PostgreSQL, not URL-encoded")
    return given


PostgresName = Annotated[str, AfterValidator(_name)]


class PoolSettings(Settings):
    """Connection pool of each WebUI pod."""

    size: Annotated[StrictInt | None, Field(ge=0), Variable("DATABASE_POOL_SIZE")] = None
    """Connections that stay open; 0 opens one for each request. Open WebUI has two pools of this size in each pod, one of them
    nearly idle. Null for SQLAlchemy's default (5, and 10 more under load)."""
    max_overflow: Annotated[StrictInt | None, Field(ge=0), Variable("DATABASE_POOL_MAX_OVERFLOW")] = None
    """Additional connections under load; null for Open WebUI's default (0)."""
    timeout_seconds: Annotated[StrictInt | None, Field(ge=1), Variable("DATABASE_POOL_TIMEOUT")] = None
    """How long a request waits for a connection; null for Open WebUI's default (30)."""
    recycle_seconds: Annotated[StrictInt | None, Field(ge=1), Variable("DATABASE_POOL_RECYCLE")] = None
    """Age at which a connection is replaced. Must be shorter than the idle timeout of firewalls in between. Null for Open
    WebUI's default (3600)."""

    def rules(self) -> Iterator[Broken]:
        """Open WebUI reads the other settings only with a size (open_webui/internal/db.py)."""
        for key, value in (
            ("maxOverflow", self.max_overflow),
            ("timeoutSeconds", self.timeout_seconds),
            ("recycleSeconds", self.recycle_seconds),
        ):
            if value is not None and not self.size:
                yield Broken(key, value, "only together with a size of at least 1", ("size",))


class DatabaseSettings(VariableSettings):
    """A PostgreSQL database instead of SQLite on the volume: by URL, or by host, name, user and password.

    The parts become a URL without a password. PostgreSQL's client reads the password from `PGPASSWORD`, so it may contain any
    character and needs no encoding. Source: open_webui/internal/db.py (psycopg2 and psycopg, both of them libpq); PostgreSQL
    documentation, "Environment Variables".
    """

    DERIVED: ClassVar = frozenset({"DATABASE_URL"})

    url_from: Annotated[SecretKeyRef | None, Variable("DATABASE_URL")] = None
    """Reference to an existing Secret with the database URL; null uses `airis:secrets.databaseUrl`, or the keys below."""
    host: ServerHost | None = None
    """Host of the server, instead of a URL."""
    port: Port = 5432
    """Port of the server."""
    name: PostgresName = "airis"
    """Name of the database, which must exist."""
    user: PostgresName = "airis"
    """User name."""
    password_from: Annotated[SecretKeyRef | None, Variable("PGPASSWORD")] = None
    """Reference to an existing Secret with the password, not URL-encoded; null uses `airis:secrets.databasePassword`."""
    ssl_mode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] | None = None
    """SSL mode. `require` encrypts the connection; `verify-full` also verifies the server's certificate and host name, with
    `airis:caBundle`. Null for the default of PostgreSQL's client (`prefer`: encrypt if the server supports it)."""
    iam_token: Annotated[StrictBool | None, Variable("DATABASE_ENABLE_IAM_TOKEN_AUTH")] = None
    """Authenticate with the pod's AWS identity instead of a password (Amazon RDS)."""
    schema_name: Annotated[PostgresName | None, Variable("DATABASE_SCHEMA")] = None
    """Schema of the tables, which must exist. Null for the user's default schema, usually `public`."""
    pool: PoolSettings = PoolSettings()
    """Connection pool of each pod."""
    migrations: Annotated[StrictBool | None, Variable("ENABLE_DB_MIGRATIONS")] = None
    """Run database migrations before a pod starts, in one pod at a time; null for Open WebUI's default (true). Set to false if
    something else runs them. The server of Open WebUI's images never runs them, because its probes would interrupt them."""

    def derived(self) -> Mapping[str, Value]:
        """The URL built from the parts."""
        if self.host is None:
            return {}
        query = "" if self.ssl_mode is None else f"?sslmode={self.ssl_mode}"
        # SQLAlchemy decodes the user, but not the name of the database, which ends at a ? (engine/url.py)
        user = quote(self.user, safe="")
        return {"DATABASE_URL": f"postgresql://{user}@{in_url(self.host)}:{self.port}/{self.name}{query}"}

    def rules(self) -> Iterator[Broken]:
        """The database is given either by URL or by its parts."""
        defaults = type(self).model_fields
        if self.host is not None and self.url_from is not None:
            yield Broken("urlFrom", {"name": self.url_from.name}, "one of this and host, not both", ("host",))
        for key in ("port", "name", "user", "password_from", "ssl_mode", "iam_token"):
            value, alias = getattr(self, key), str(defaults[key].alias)
            if self.host is None and value != defaults[key].default:
                shown = {"name": value.name} if isinstance(value, SecretKeyRef) else value
                yield Broken(alias, shown, "only together with host: a URL already contains it", ("host",))
        for key in ("host", "name", "user"):
            if self.host is not None and "sqlite" in getattr(self, key):
                # Open WebUI looks for the word anywhere in the URL (open_webui/internal/db.py)
                yield Broken(
                    key, getattr(self, key), "another name: Open WebUI treats a URL that contains sqlite as SQLite"
                )
        if self.host is not None and "?" in self.name:
            yield Broken("name", self.name, "a name without ?, which ends the name in a URL")
        if self.iam_token and self.password_from is not None:
            shown = {"name": self.password_from.name}
            yield Broken("passwordFrom", shown, "null, because iamToken replaces it", ("iamToken",))


class SqliteSettings(Settings):
    """SQLite on the volume: memory that it uses in the pod."""

    pool_size: Annotated[StrictInt | None, Field(ge=1), Variable("DATABASE_POOL_SIZE")] = None
    """Maximum number of connections; null for Open WebUI's default (512)."""
    cache_size: Annotated[
        Bytes | None,
        Variable("DATABASE_SQLITE_PRAGMA_CACHE_SIZE", text=lambda size: f"-{-(-as_bytes(size) // 1024)}"),
    ] = None
    """Page cache of each connection, in bytes; null for Open WebUI's default (64Mi)."""
    mmap_size: Annotated[
        Bytes | None, Variable("DATABASE_SQLITE_PRAGMA_MMAP_SIZE", text=lambda size: str(as_bytes(size)))
    ] = None
    """Bytes of the database file that are mapped into memory; null for Open WebUI's default (256Mi)."""
