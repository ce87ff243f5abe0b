"""Settings of where Open WebUI keeps its state: database, Redis, object storage, vectors."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from settings.references import SecretKeyRef
from settings.variables import Value, Variable, VariableSettings


class DatabaseSettings(VariableSettings):
    """A PostgreSQL database in place of the SQLite file on the volume."""

    url_from: Annotated[SecretKeyRef | None, Variable("DATABASE_URL")] = None
    """An existing Secret with the database's URL; null takes `airis:secrets.databaseUrl`."""


class RedisSettings(VariableSettings):
    """Redis, which several WebUI pods need to share sessions and websockets."""

    DERIVED: ClassVar = frozenset({"ENABLE_WEBSOCKET_SUPPORT", "WEBSOCKET_MANAGER"})

    url_from: Annotated[SecretKeyRef | None, Variable("REDIS_URL"), Variable("WEBSOCKET_REDIS_URL")] = None
    """An existing Secret with the URL of Redis; null takes `airis:secrets.redisUrl`."""

    def derived(self) -> Mapping[str, Value]:
        """Websockets are shared as soon as there is a Redis to share them."""
        return {"ENABLE_WEBSOCKET_SUPPORT": "True", "WEBSOCKET_MANAGER": "redis"}


class ObjectStorageSettings(VariableSettings):
    """S3 or a compatible store for uploads, in place of the volume."""

    DERIVED: ClassVar = frozenset({"STORAGE_PROVIDER"})

    bucket: Annotated[str, Field(min_length=3, max_length=63), Variable("S3_BUCKET_NAME")]
    """The bucket; it must exist."""
    region: Annotated[str | None, Variable("S3_REGION_NAME")] = None
    """Region of the bucket."""
    endpoint: Annotated[str | None, Variable("S3_ENDPOINT_URL")] = None
    """URL of the store where it is not Amazon's."""
    access_key_id_from: Annotated[SecretKeyRef | None, Variable("S3_ACCESS_KEY_ID")] = None
    """An existing Secret with the access key; null takes `airis:secrets.s3AccessKeyId`."""
    secret_access_key_from: Annotated[SecretKeyRef | None, Variable("S3_SECRET_ACCESS_KEY")] = None
    """An existing Secret with the secret key; null takes `airis:secrets.s3SecretAccessKey`."""

    def derived(self) -> Mapping[str, Value]:
        """Which kind of store it is."""
        return {"STORAGE_PROVIDER": "s3"}
