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
"""The modes in which PostgreSQL's client looks at the server's certificate, and needs the authorities for that."""


def _name(given: str) -> str:
    if not given.strip() or not given.isprintable():
        raise ValueError("a name, as PostgreSQL has it: special characters are taken care of")
    return given


PostgresName = Annotated[str, AfterValidator(_name)]


class PoolSettings(Settings):
    """The connections that each WebUI pod keeps to the database."""

    size: Annotated[StrictInt | None, Field(ge=0), Variable("DATABASE_POOL_SIZE")] = None
    """Connections that stay open; 0 opens one for each request. Open WebUI has two pools of this size for each pod, one of them
    nearly idle. Null leaves it to SQLAlchemy (5, and 10 more when busy)."""
    max_overflow: Annotated[StrictInt | None, Field(ge=0), Variable("DATABASE_POOL_MAX_OVERFLOW")] = None
    """Connections beyond `size` when busy; null leaves it to Open WebUI (0)."""
    timeout_seconds: Annotated[StrictInt | None, Field(ge=1), Variable("DATABASE_POOL_TIMEOUT")] = None
    """For how long a request waits for a connection; null leaves it to Open WebUI (30)."""
    recycle_seconds: Annotated[StrictInt | None, Field(ge=1), Variable("DATABASE_POOL_RECYCLE")] = None
    """After what time a connection is replaced: less than a firewall on the way allows. Null leaves it to Open WebUI (3600)."""

    def rules(self) -> Iterator[Broken]:
        """Open WebUI reads the others only beside a size (open_webui/internal/db.py)."""
        for key, value in (
            ("maxOverflow", self.max_overflow),
            ("timeoutSeconds", self.timeout_seconds),
            ("recycleSeconds", self.recycle_seconds),
        ):
            if value is not None and not self.size:
                yield Broken(key, value, "only together with a size of at least 1", ("size",))


class DatabaseSettings(VariableSettings):
    """A PostgreSQL database in place of the SQLite file on the volume: by its URL, or by host, name, user and password.

    The parts become a URL without a password; PostgreSQL's client finds that in `PGPASSWORD`. So it needs no encoding, and
    may hold any character. Source: open_webui/internal/db.py (psycopg2 and psycopg, both of them libpq); PostgreSQL
    documentation, "Environment Variables".
    """

    DERIVED: ClassVar = frozenset({"DATABASE_URL"})

    url_from: Annotated[SecretKeyRef | None, Variable("DATABASE_URL")] = None
    """An existing Secret with the database's URL; null takes `airis:secrets.databaseUrl`, or the parts below."""
    host: ServerHost | None = None
    """The server, in place of a URL."""
    port: Port = 5432
    """Its port."""
    name: PostgresName = "airis"
    """Name of the database; it must exist."""
    user: PostgresName = "airis"
    """Who signs in."""
    password_from: Annotated[SecretKeyRef | None, Variable("PGPASSWORD")] = None
    """An existing Secret with the password, as it is; null takes `airis:secrets.databasePassword`."""
    ssl_mode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] | None = None
    """TLS to the server. `require` encrypts; `verify-full` also makes sure that it is the right server, by `airis:caBundle`.
    Null leaves it to PostgreSQL's client (`prefer`: encrypted if the server can)."""
    iam_token: Annotated[StrictBool | None, Variable("DATABASE_ENABLE_IAM_TOKEN_AUTH")] = None
    """Whether the pod's AWS identity takes the place of the password (Amazon RDS)."""
    schema_name: Annotated[PostgresName | None, Variable("DATABASE_SCHEMA")] = None
    """Schema of the tables; it must exist. Null for the user's own, `public` by habit."""
    pool: PoolSettings = PoolSettings()
    """The connections that each pod keeps."""
    migrations: Annotated[StrictBool | None, Variable("ENABLE_DB_MIGRATIONS")] = None
    """Whether pods bring the tables up to their release before they start, one at a time; null leaves it to Open WebUI (true).
    False is for where something else does. The server of Open WebUI's own images never does: its probes would end it."""

    def derived(self) -> Mapping[str, Value]:
        """The parts as a URL."""
        if self.host is None:
            return {}
        query = "" if self.ssl_mode is None else f"?sslmode={self.ssl_mode}"
        # SQLAlchemy decodes the user, and takes the database's name for what it says, up to a ? (engine/url.py)
        user = quote(self.user, safe="")
        return {"DATABASE_URL": f"postgresql://{user}@{in_url(self.host)}:{self.port}/{self.name}{query}"}

    def rules(self) -> Iterator[Broken]:
        """One way to name the database, and whole."""
        defaults = type(self).model_fields
        if self.host is not None and self.url_from is not None:
            yield Broken("urlFrom", {"name": self.url_from.name}, "one of this and host, not both", ("host",))
        for key in ("port", "name", "user", "password_from", "ssl_mode", "iam_token"):
            value, alias = getattr(self, key), str(defaults[key].alias)
            if self.host is None and value != defaults[key].default:
                shown = {"name": value.name} if isinstance(value, SecretKeyRef) else value
                yield Broken(alias, shown, "only together with host: a URL says it itself", ("host",))
        for key in ("host", "name", "user"):
            if self.host is not None and "sqlite" in getattr(self, key):
                # Open WebUI looks for the word anywhere in the URL (open_webui/internal/db.py)
                yield Broken(
                    key, getattr(self, key), "another name: Open WebUI takes a URL with sqlite in it for SQLite"
                )
        if self.host is not None and "?" in self.name:
            yield Broken("name", self.name, "a name without ?, with which a URL goes on")
        if self.iam_token and self.password_from is not None:
            shown = {"name": self.password_from.name}
            yield Broken("passwordFrom", shown, "null, because iamToken takes its place", ("iamToken",))


class SqliteSettings(Settings):
    """The SQLite database on the volume: what it takes of the pod's memory."""

    pool_size: Annotated[StrictInt | None, Field(ge=1), Variable("DATABASE_POOL_SIZE")] = None
    """Connections at most; null leaves it to Open WebUI (512)."""
    cache_size: Annotated[
        Bytes | None,
        Variable("DATABASE_SQLITE_PRAGMA_CACHE_SIZE", text=lambda size: f"-{-(-as_bytes(size) // 1024)}"),
    ] = None
    """Memory that each connection may use as cache, in bytes; null leaves it to Open WebUI (64Mi)."""
    mmap_size: Annotated[
        Bytes | None, Variable("DATABASE_SQLITE_PRAGMA_MMAP_SIZE", text=lambda size: str(as_bytes(size)))
    ] = None
    """Bytes of the file that are mapped into memory; null leaves it to Open WebUI (256Mi)."""
