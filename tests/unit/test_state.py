"""The WebUI's state: the pod fields of each choice, and invalid settings."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import pytest

from airis.render.program import Rendering
from settings import SettingsError, StackSettings, load
from tests.unit.conftest import Refuse
from tests.unit.drawing import draw_once, env, manifest, names, stack_of

pytestmark = pytest.mark.timeout(60)

REFERENCE = {"name": "a", "key": "b"}
OTHER = {"name": "c", "key": "d"}
DATABASE = {"urlFrom": REFERENCE}
PARTS = {"host": "postgres.data", "passwordFrom": REFERENCE}


def given(drawn: Rendering) -> dict[str, Any]:
    return env(manifest(drawn, "Deployment", "airis-deployment"))


def variables(**webui: object) -> dict[str, Any]:
    return given(draw_once(webui=webui))


def settings(**config: object) -> StackSettings:
    stack = stack_of(**config)
    return load(stack.config, source="x", secret_keys=stack.secret_keys)


# The database


def test_defaults_render_nothing() -> None:
    plain = variables()
    prefixes = ("DATABASE", "PG", "REDIS", "WEBSOCKET", "S3_", "STORAGE", "THREAD", "GCS", "AZURE", "QDRANT", "CHROMA")
    assert [name for name in plain if name.startswith(prefixes)] == []
    assert plain["VECTOR_DB"] == "chroma"


def test_database_parts_become_a_url_and_a_separate_password() -> None:
    found = variables(database={**PARTS, "user": "webui", "name": "chats", "port": 6432, "sslMode": "require"})
    assert found["DATABASE_URL"] == "postgresql://webui@postgres.data:6432/chats?sslmode=require"
    assert found["PGPASSWORD"] == {"secretKeyRef": REFERENCE}
    assert "DATABASE_PASSWORD" not in found  # Open WebUI would join the parts without encoding


@pytest.mark.parametrize(
    ("host", "written"),
    [("10.0.0.7", "10.0.0.7"), ("2001:db8::1", "[2001:db8::1]"), ("Pg_1.Data.svc", "Pg_1.Data.svc")],
)
def test_hosts_may_be_names_and_addresses(host: str, written: str) -> None:
    assert variables(database={**PARTS, "host": host})["DATABASE_URL"] == f"postgresql://airis@{written}:5432/airis"


def test_the_user_is_encoded_and_the_database_s_name_is_not() -> None:
    """SQLAlchemy decodes only the user: tested with a real server and Open WebUI's drivers."""
    url = variables(database={**PARTS, "user": "us er@x:%/#?", "name": "my db/ä%25#"})["DATABASE_URL"]
    user, _, rest = url.removeprefix("postgresql://").partition("@")
    assert not {*" @:/#?"} & {*user}
    assert unquote(user) == "us er@x:%/#?"
    assert rest == "postgres.data:5432/my db/ä%25#"


def test_the_database_password_may_be_in_the_stacks_secret() -> None:
    drawn = draw_once(webui={"database": {"host": "postgres"}}, secrets={"databasePassword": "p@ss:w/rd %25#?"})
    assert given(drawn)["PGPASSWORD"] == {"secretKeyRef": {"name": "airis-secrets", "key": "PGPASSWORD"}}
    secret = manifest(drawn, "Secret", "airis-secrets")["stringData"]
    assert secret.value["PGPASSWORD"] == "p@ss:w/rd %25#?"
    assert "DATABASE_URL" not in secret.value


def test_schema_pool_and_migrations() -> None:
    pool = {"size": 10, "maxOverflow": 5, "timeoutSeconds": 15, "recycleSeconds": 600}
    found = variables(database={**DATABASE, "schemaName": "chat", "pool": pool, "migrations": False})
    assert {name: value for name, value in found.items() if name.startswith(("DATABASE_", "ENABLE_DB"))} == {
        "DATABASE_URL": {"secretKeyRef": REFERENCE},
        "DATABASE_SCHEMA": "chat",
        "DATABASE_POOL_SIZE": "10",
        "DATABASE_POOL_MAX_OVERFLOW": "5",
        "DATABASE_POOL_TIMEOUT": "15",
        "DATABASE_POOL_RECYCLE": "600",
        "ENABLE_DB_MIGRATIONS": "False",
    }


def test_rds_authenticates_with_the_pods_identity() -> None:
    found = variables(database={"host": "rds.example.com", "iamToken": True})
    assert found["DATABASE_ENABLE_IAM_TOKEN_AUTH"] == "True"
    assert "PGPASSWORD" not in found


def test_sqlite_memory_settings() -> None:
    found = variables(sqlite={"poolSize": 16, "cacheSize": "8Mi", "mmapSize": "1Mi"})
    assert found["DATABASE_POOL_SIZE"] == "16"
    assert found["DATABASE_SQLITE_PRAGMA_CACHE_SIZE"] == "-8192"  # negative: KiB rather than pages
    assert found["DATABASE_SQLITE_PRAGMA_MMAP_SIZE"] == str(1024**2)


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
def test_the_server_certificate_is_verified_with_the_bundle(mode: str) -> None:
    bundle = {"configMap": "authorities"}
    found = given(draw_once(webui={"database": {**PARTS, "sslMode": mode}}, caBundle=bundle))
    assert found["PGSSLROOTCERT"] == found["SSL_CERT_FILE"] == "/etc/airis/ca/ca.crt"


def test_require_does_not_verify_with_a_bundle() -> None:
    """With a file of authorities, PostgreSQL's client treats it as verify-ca."""
    bundle = {"configMap": "authorities"}
    found = given(draw_once(webui={"database": {**PARTS, "sslMode": "require"}}, caBundle=bundle))
    assert "SSL_CERT_FILE" in found
    assert "PGSSLROOTCERT" not in found


# Vectors


STORES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "chroma": (
        {"url": "https://chroma.data", "tenant": "t", "authentication": "token", "credentialsFrom": REFERENCE},
        {
            "CHROMA_HTTP_HOST": "chroma.data",
            "CHROMA_HTTP_PORT": "443",
            "CHROMA_HTTP_SSL": "True",
            "CHROMA_TENANT": "t",
            "CHROMA_CLIENT_AUTH_PROVIDER": "chromadb.auth.token_authn.TokenAuthClientProvider",
            "CHROMA_CLIENT_AUTH_CREDENTIALS": {"secretKeyRef": REFERENCE},
        },
    ),
    "pgvector": (
        {"urlFrom": REFERENCE, "dimensions": 3072, "halfPrecision": True, "createExtension": False, "index": "hnsw"},
        {
            "PGVECTOR_DB_URL": {"secretKeyRef": REFERENCE},
            "PGVECTOR_INITIALIZE_MAX_VECTOR_LENGTH": "3072",
            "PGVECTOR_USE_HALFVEC": "True",
            "PGVECTOR_CREATE_EXTENSION": "False",
            "PGVECTOR_INDEX_METHOD": "hnsw",
        },
    ),
    "qdrant": (
        {"url": "https://qdrant:6333", "apiKeyFrom": REFERENCE, "preferGrpc": True, "grpcPort": 6335, "onDisk": True},
        {
            "QDRANT_URI": "https://qdrant:6333",
            "QDRANT_API_KEY": {"secretKeyRef": REFERENCE},
            "QDRANT_PREFER_GRPC": "True",
            "QDRANT_GRPC_PORT": "6335",
            "QDRANT_ON_DISK": "True",
        },
    ),
    "milvus": (
        {
            "url": "http://milvus:19530",
            "tokenFrom": REFERENCE,
            "database": "chat",
            "multitenancy": True,
            "index": "FLAT",
        },
        {
            "MILVUS_URI": "http://milvus:19530",
            "MILVUS_TOKEN": {"secretKeyRef": REFERENCE},
            "MILVUS_DB": "chat",
            "ENABLE_MILVUS_MULTITENANCY_MODE": "True",
            "MILVUS_INDEX_TYPE": "FLAT",
        },
    ),
    "weaviate": (
        {"url": "http://weaviate:8081", "apiKeyFrom": REFERENCE, "grpcPort": 50052},
        {
            "WEAVIATE_HTTP_HOST": "weaviate",
            "WEAVIATE_HTTP_PORT": "8081",
            "WEAVIATE_HTTP_SECURE": "False",
            "WEAVIATE_GRPC_HOST": "weaviate",
            "WEAVIATE_GRPC_PORT": "50052",
            "WEAVIATE_GRPC_SECURE": "False",
            "WEAVIATE_API_KEY": {"secretKeyRef": REFERENCE},
        },
    ),
    "opensearch": (
        {"url": "https://search:9200", "username": "airis", "passwordFrom": REFERENCE},
        {
            "OPENSEARCH_URI": "https://search:9200",
            "OPENSEARCH_SSL": "True",
            "OPENSEARCH_CERT_VERIFY": "True",
            "OPENSEARCH_USERNAME": "airis",
            "OPENSEARCH_PASSWORD": {"secretKeyRef": REFERENCE},
        },
    ),
    "elasticsearch": (
        {"url": "https://search:9200", "apiKeyFrom": REFERENCE, "indexPrefix": "chat"},
        {
            "ELASTICSEARCH_URL": "https://search:9200",
            "ELASTICSEARCH_API_KEY": {"secretKeyRef": REFERENCE},
            "ELASTICSEARCH_INDEX_PREFIX": "chat",
        },
    ),
}
PREFIXES = ("CHROMA", "PGVECTOR", "QDRANT", "MILVUS", "WEAVIATE", "OPENSEARCH", "ELASTICSEARCH", "ENABLE_MILVUS")
SHARED: dict[str, Any] = {
    "replicas": 2,
    "database": DATABASE,
    "redis": {"urlFrom": REFERENCE},
    "objectStorage": {"bucket": "files", "workloadIdentity": True},
}
"""Settings for several pods, without the vector store."""


@pytest.mark.parametrize("store", STORES)
def test_each_vector_store_sets_only_its_variables(store: str) -> None:
    block, expected = STORES[store]
    found = variables(vectorStore=store, **{store: block})
    assert {name: value for name, value in found.items() if name.startswith(PREFIXES)} == expected
    assert found["VECTOR_DB"] == store


@pytest.mark.parametrize("store", STORES)
def test_several_pods_may_share_every_external_vector_store(store: str) -> None:
    drawn = draw_once(webui={**SHARED, "vectorStore": store, store: STORES[store][0]})
    assert manifest(drawn, "Deployment", "airis-deployment")["spec"]["replicas"] == 2
    assert names(drawn, "PersistentVolumeClaim") == ["ollama-volume-ollama-0"]


def test_chroma_with_basic_authentication_without_tls() -> None:
    block = {"url": "http://chroma:8000", "authentication": "basic", "credentialsFrom": OTHER}
    found = variables(chroma=block)
    assert found["CHROMA_CLIENT_AUTH_PROVIDER"] == "chromadb.auth.basic_authn.BasicAuthClientProvider"
    assert (found["CHROMA_HTTP_PORT"], found["CHROMA_HTTP_SSL"]) == ("8000", "False")


def test_clients_with_their_own_ca_variables_get_the_bundle() -> None:
    for store, name in (("elasticsearch", "ELASTICSEARCH_CA_CERTS"), ("milvus", "MILVUS_SERVER_PEM_PATH")):
        secure, plain = ({**STORES[store][0], "url": f"{scheme}://server:1"} for scheme in ("https", "http"))
        for block, expected in ((secure, "/etc/airis/ca/ca.crt"), (plain, None)):
            drawn = draw_once(webui={"vectorStore": store, store: block}, caBundle={"secret": "authorities"})
            assert given(drawn).get(name) == expected
        assert name not in variables(vectorStore=store, **{store: secure})


# Object storage


def store(**block: object) -> dict[str, Any]:
    """The variables of an object storage, and nothing else."""
    found = variables(database=DATABASE, vectorStore="pgvector", objectStorage=block)
    return {name: each for name, each in found.items() if name.startswith(("S3", "GCS", "GOOGLE", "AZURE", "STORAGE"))}


def test_s3_with_every_setting() -> None:
    assert store(
        bucket="files",
        region="eu-west-1",
        endpoint="http://minio:9000",
        keyPrefix="chat",
        addressingStyle="path",
        accelerate=False,
        tagging=True,
        localCache=False,
        accessKeyIdFrom=REFERENCE,
        secretAccessKeyFrom=OTHER,
    ) == {
        "STORAGE_PROVIDER": "s3",
        "S3_BUCKET_NAME": "files",
        "S3_REGION_NAME": "eu-west-1",
        "S3_ENDPOINT_URL": "http://minio:9000",
        "S3_KEY_PREFIX": "chat",
        "S3_ADDRESSING_STYLE": "path",
        "S3_USE_ACCELERATE_ENDPOINT": "False",
        "S3_ENABLE_TAGGING": "True",
        "STORAGE_LOCAL_CACHE": "False",
        "S3_ACCESS_KEY_ID": {"secretKeyRef": REFERENCE},
        "S3_SECRET_ACCESS_KEY": {"secretKeyRef": OTHER},
    }


def test_s3_with_workload_identity_has_no_keys() -> None:
    assert store(bucket="files", workloadIdentity=True) == {"STORAGE_PROVIDER": "s3", "S3_BUCKET_NAME": "files"}


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({"credentialsFrom": REFERENCE}, {"GOOGLE_APPLICATION_CREDENTIALS_JSON": {"secretKeyRef": REFERENCE}}),
        ({"workloadIdentity": True}, {}),
    ],
)
def test_google_cloud_storage(block: dict[str, Any], expected: dict[str, Any]) -> None:
    expected = {"STORAGE_PROVIDER": "gcs", "GCS_BUCKET_NAME": "files", **expected}
    assert store(gcs={"bucket": "files", **block}) == expected


@pytest.mark.parametrize(
    ("block", "expected"),
    [({"keyFrom": REFERENCE}, {"AZURE_STORAGE_KEY": {"secretKeyRef": REFERENCE}}), ({"workloadIdentity": True}, {})],
)
def test_azure_blob_storage(block: dict[str, Any], expected: dict[str, Any]) -> None:
    endpoint = "https://account.blob.core.windows.net"
    assert store(azure={"endpoint": endpoint, "container": "files", **block}) == {
        "STORAGE_PROVIDER": "azure",
        "AZURE_STORAGE_ENDPOINT": endpoint,
        "AZURE_STORAGE_CONTAINER_NAME": "files",
        **expected,
    }


def test_workload_identity_is_an_annotation_without_a_token() -> None:
    annotations = {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/chat"}
    drawn = draw_once(webui={"serviceAccountAnnotations": annotations}, annotations={"team": "a"})
    account = manifest(drawn, "ServiceAccount", "airis")
    assert account["metadata"]["annotations"] == {"team": "a", **annotations}
    assert account["automountServiceAccountToken"] is False
    assert manifest(drawn, "ServiceAccount", "ollama")["metadata"]["annotations"] == {"team": "a"}


# Invalid settings


@dataclass(frozen=True)
class Refusal:
    webui: str
    key: str
    shown: str
    allowed: str


URL = "a URL such as https://api.example.com/v1"
HOST = "a host name or an IP address, such as postgres.data.svc; without scheme, port or path"
NAME = "a name as in PostgreSQL, not URL-encoded"
ONE_WAY = "one of this and workloadIdentity, not both"
NO_PATH = "a URL without a path"
WITH_HOST = "only together with host: a URL already contains it"
ONLY_S3 = "only with S3, without gcs and azure"
R = "{name: a, key: b}"
HOSTED = f"host: pg, passwordFrom: {R}"
ELSEWHERE = f"database: {{urlFrom: {R}}}, vectorStore: pgvector"
GCS = "gcs: {bucket: files, workloadIdentity: true}"

REFUSED = [
    *(
        Refusal(f"database: {{{HOSTED.replace('pg', host)}}}", "database.host", f'"{host}"', HOST)
        for host in ("a b", "10.0.0.256", "http://pg", "pg:5432", "a..b", "-a")
    ),
    *(Refusal(f"database: {{{HOSTED}, {key}: ' '}}", f"database.{key}", '" "', NAME) for key in ("name", "user")),
    Refusal(f"database: {{{HOSTED}, port: 0}}", "database.port", "0", "a whole number, at least 1"),
    Refusal(f"database: {{{HOSTED}, port: 65536}}", "database.port", "65536", "a whole number, at most 65535"),
    Refusal(
        f"database: {{{HOSTED}, urlFrom: {R}}}", "database.urlFrom", '{"name": "a"}', "one of this and host, not both"
    ),
    Refusal(
        f"database: {{{HOSTED}, name: 'a?b'}}",
        "database.name",
        '"a?b"',
        "a name without ?, which ends the name in a URL",
    ),
    *(
        Refusal(
            f"database: {{{HOSTED.replace('pg', 'mysqlite') if key == 'host' else HOSTED + f', {key}: mysqlite'}}}",
            f"database.{key}",
            '"mysqlite"',
            "another name: Open WebUI treats a URL that contains sqlite as SQLite",
        )
        for key in ("host", "name", "user")
    ),
    *(
        Refusal(f"database: {{urlFrom: {R}, {key}: {value}}}", f"database.{key}", shown, WITH_HOST)
        for key, value, shown in [
            ("port", "6432", "6432"),
            ("name", "chats", '"chats"'),
            ("user", "me", '"me"'),
            ("passwordFrom", R, '{"name": "a"}'),
            ("sslMode", "require", '"require"'),
            ("iamToken", "true", "true"),
        ]
    ),
    Refusal(
        f"database: {{{HOSTED}, iamToken: true}}",
        "database.passwordFrom",
        '{"name": "a"}',
        "null, because iamToken replaces it",
    ),
    Refusal(
        "database: {host: pg}",
        "database.passwordFrom",
        "null (the default)",
        "a reference to an existing Secret, or set airis:secrets.databasePassword (encrypted)",
    ),
    *(
        Refusal(
            f"database: {{{HOSTED}, sslMode: {mode}}}",
            "database.sslMode",
            f'"{mode}"',
            "require, or also set airis:caBundle: PostgreSQL's client has no default authorities",
        )
        for mode in ("verify-ca", "verify-full")
    ),
    *(
        Refusal(
            f"database: {{urlFrom: {R}, pool: {{{size}{key}: 5}}}}",
            f"database.pool.{key}",
            "5",
            "only together with a size of at least 1",
        )
        for key in ("maxOverflow", "timeoutSeconds", "recycleSeconds")
        for size in ("", "size: 0, ")
    ),
    *(
        Refusal(
            f"database: {{urlFrom: {R}}}, sqlite: {{{key}: {value}}}",
            f"sqlite.{key}",
            shown,
            "null, because database replaces SQLite",
        )
        for key, value, shown in [("poolSize", "5", "5"), ("cacheSize", "1Mi", '"1Mi"'), ("mmapSize", "1Mi", '"1Mi"')]
    ),
    # Vectors
    *(
        Refusal(
            f"vectorStore: {store}",
            "vectorStore",
            f'"{store}"',
            f"chroma or pgvector, or also set {store}: the server and its credentials",
        )
        for store in STORES
        if store not in ("chroma", "pgvector")
    ),
    Refusal("qdrant: {url: 'http://q'}", "qdrant", '{"url": "http://q"}', "null, or vectorStore: qdrant"),
    Refusal(
        f"{ELSEWHERE}, chroma: {{url: 'http://c'}}", "chroma", '{"url": "http://c"}', "null, or vectorStore: chroma"
    ),
    Refusal("pgvector: {index: hnsw}", "pgvector", '{"index": "hnsw"}', "null, or vectorStore: pgvector"),
    Refusal(
        "vectorStore: pinecone",
        "vectorStore",
        '"pinecone"',
        "one of 'chroma', 'pgvector', 'qdrant', 'milvus', 'weaviate', 'opensearch' or 'elasticsearch'",
    ),
    *(
        Refusal(f"vectorStore: {store}, {store}: {{url: q}}", f"{store}.url", '"q"', URL)
        for store in ("chroma", "qdrant", "milvus", "weaviate", "elasticsearch")
    ),
    Refusal(
        "vectorStore: qdrant, qdrant: {url: 'http://me:hunter2@q'}",
        "qdrant.url",
        "[not shown]",
        "no password in plain text: a URL without one, and the reference to a Secret next to it",
    ),
    *(
        Refusal(
            f"vectorStore: {store}, {store}: {{url: 'http://q/{path}'}}", f"{store}.url", f'"http://q/{path}"', NO_PATH
        )
        for store in ("chroma", "weaviate")
        for path in ("a", "?b=c")
    ),
    Refusal(
        "chroma: {url: 'http://c', authentication: token}",
        "chroma.authentication",
        '"token"',
        "together with credentialsFrom, or neither",
    ),
    Refusal(
        f"chroma: {{url: 'http://c', credentialsFrom: {R}}}",
        "chroma.authentication",
        "null (the default)",
        "together with credentialsFrom, or neither",
    ),
    Refusal(
        f"{ELSEWHERE}, pgvector: {{dimensions: 2001}}",
        "pgvector.dimensions",
        "2001",
        "at most 2000, or also set halfPrecision: true",
    ),
    Refusal(
        "vectorStore: qdrant, qdrant: {url: 'http://q', grpcPort: 1}",
        "qdrant.grpcPort",
        "1",
        "only together with preferGrpc: true",
    ),
    *(
        Refusal(
            f"vectorStore: qdrant, qdrant: {{url: '{url}', preferGrpc: true{key}}}",
            "qdrant.url",
            f'"{url}"',
            "https:// together with apiKeyFrom, or http:// without: with preferGrpc, only the key enables TLS",
        )
        for url, key in (("https://q", ""), ("http://q", f", apiKeyFrom: {R}"))
    ),
    *(
        Refusal(
            f"vectorStore: elasticsearch, elasticsearch: {{url: 'http://e', {half}}}",
            "elasticsearch.username",
            shown,
            "together with passwordFrom, or neither",
        )
        for half, shown in (("username: me", '"me"'), (f"passwordFrom: {R}", "null (the default)"))
    ),
    Refusal(
        f"vectorStore: elasticsearch, elasticsearch: {{url: 'http://e', username: me, passwordFrom: {R}, apiKeyFrom: {R}}}",
        "elasticsearch.username",
        '"me"',
        "one of this and apiKeyFrom, not both",
    ),
    # Object storage
    Refusal(
        f"{ELSEWHERE}, objectStorage: {{}}",
        "objectStorage.bucket",
        "null (the default)",
        "the name of the bucket, or set gcs or azure",
    ),
    *(
        Refusal(f"{ELSEWHERE}, objectStorage: {{{GCS}, {key}: {value}}}", f"objectStorage.{key}", shown, ONLY_S3)
        for key, value, shown in [
            ("bucket", "files", '"files"'),
            ("keyPrefix", "a", '"a"'),
            ("accessKeyIdFrom", R, '{"name": "a"}'),
            ("workloadIdentity", "true", "true"),
        ]
    ),
    Refusal(
        f"{ELSEWHERE}, objectStorage: {{{GCS}, azure: {{endpoint: 'https://a', container: files, keyFrom: {R}}}}}",
        "objectStorage.azure",
        '{"container": "files"}',
        "one of this and gcs, not both",
    ),
    *(
        Refusal(
            f"{ELSEWHERE}, objectStorage: {{bucket: files, workloadIdentity: true, {key}: {R}}}",
            f"objectStorage.{key}",
            '{"name": "a"}',
            ONE_WAY,
        )
        for key in ("accessKeyIdFrom", "secretAccessKeyFrom")
    ),
    *(
        Refusal(f"{ELSEWHERE}, objectStorage: {{{block}}}", f"objectStorage.{key}", shown, allowed)
        for block, key, shown, allowed in [
            (
                "gcs: {bucket: files}",
                "gcs.credentialsFrom",
                "null (the default)",
                "a reference, or workloadIdentity: true",
            ),
            (
                f"gcs: {{bucket: files, credentialsFrom: {R}, workloadIdentity: true}}",
                "gcs.credentialsFrom",
                '{"name": "a"}',
                ONE_WAY,
            ),
            (
                "azure: {endpoint: 'https://a', container: files}",
                "azure.keyFrom",
                "null (the default)",
                "a reference, or workloadIdentity: true",
            ),
            (
                f"azure: {{endpoint: 'https://a', container: files, keyFrom: {R}, workloadIdentity: true}}",
                "azure.keyFrom",
                '{"name": "a"}',
                ONE_WAY,
            ),
        ]
    ),
    Refusal(
        f"objectStorage: {{{GCS}}}, vectorStore: qdrant, qdrant: {{url: 'http://q'}}",
        "objectStorage",
        '{"gcs": "files"}',
        "null, or also set database: without a volume the SQLite database would be lost with the pod",
    ),
    Refusal(
        "env: {UVICORN_WORKERS: '4'}",
        "env.UVICORN_WORKERS",
        "[not shown]",
        "1: each pod is one process; for more, set replicas or autoscaling",
    ),
    Refusal("activeStatusIntervalSeconds: 180", "activeStatusIntervalSeconds", "180", "Input should be less than 180"),
    Refusal("threadPoolSize: 0", "threadPoolSize", "0", "a whole number, at least 1"),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.webui[:110])
def test_refusals_name_key_value_and_what_is_allowed(case: Refusal, refuse: Refuse) -> None:
    assert refuse(f"airis:webui: {{{case.webui}}}") == (
        "Pulumi.test.yaml: 1 setting is wrong. Nothing was changed.\n"
        f"  airis:webui.{case.key}\n"
        f"    given    {case.shown}\n"
        f"    allowed  {case.allowed}"
    )


@pytest.mark.parametrize(
    ("webui", "secret", "allowed"),
    [
        (
            {"database": PARTS},
            "databaseUrl",
            "null, because airis:webui.database.host is set",
        ),
        (
            {"database": DATABASE},
            "databasePassword",
            "only with airis:webui.database.host, and without iamToken",
        ),
        ({}, "databasePassword", "only with airis:webui.database.host, and without iamToken"),
        (
            {"database": {"host": "rds", "iamToken": True}},
            "databasePassword",
            "only with airis:webui.database.host, and without iamToken",
        ),
        ({"redis": {"bundled": {}}}, "redisUrl", "null, because the URL of airis:webui.redis.bundled is generated"),
        (
            {
                "database": DATABASE,
                "vectorStore": "pgvector",
                "objectStorage": {"bucket": "abc", "workloadIdentity": True},
            },
            "s3AccessKeyId",
            "null, because airis:webui.objectStorage uses no S3 keys",
        ),
    ],
)
def test_an_unused_encrypted_value_is_refused(webui: dict[str, Any], secret: str, allowed: str) -> None:
    values = {"databaseUrl": "postgresql://a:b@c/d", "redisUrl": "redis://:a@b:6379"}
    stack = stack_of(webui=webui, secrets={secret: values.get(secret, "value")})
    with pytest.raises(SettingsError) as caught:
        load(stack.config, source="x", secret_keys=stack.secret_keys)
    (problem,) = caught.value.problems
    assert (problem.key, problem.value, problem.allowed) == (f"airis:secrets.{secret}", "[secret]", allowed)


def test_a_password_from_two_sources_is_refused() -> None:
    stack = stack_of(webui={"database": PARTS}, secrets={"databasePassword": "value"})
    with pytest.raises(SettingsError, match=r"one of this and airis:secrets\.databasePassword, not both"):
        load(stack.config, source="x", secret_keys=stack.secret_keys)


@pytest.mark.parametrize(
    "webui",
    [
        {"vectorStore": "pgvector", "pgvector": {"urlFrom": REFERENCE}},
        {"database": DATABASE, "vectorStore": "pgvector", "pgvector": {"dimensions": 2000}},
        {"env": {"UVICORN_WORKERS": "1"}},
        {"activeStatusIntervalSeconds": 179},
        {"vectorStore": "qdrant", "qdrant": {"url": "http://q", "preferGrpc": True}},
        {"vectorStore": "elasticsearch", "elasticsearch": {"url": "http://e"}},
        {"chroma": {"url": "http://chroma/"}},
        {"database": {**DATABASE, "pool": {"size": 0}}},
    ],
    ids=str,
)
def test_similar_valid_settings_are_accepted(webui: dict[str, Any]) -> None:
    assert settings(webui=webui).webui != StackSettings().webui


def unreachable(network: dict[str, Any], webui: dict[str, Any]) -> list[str]:
    """The keys with a warning, because the policies block the servers that they name."""
    warnings = settings(network=network, webui=webui).warnings()
    return [each.rpartition("airis:webui.")[2] for each in warnings if each.startswith("airis:network.egressTo: ")]


def test_servers_that_network_policies_block_are_warned_of() -> None:
    qdrant = {"vectorStore": "qdrant", "qdrant": {"url": "http://q"}}
    closed = {"restrictEgress": True}
    assert unreachable(closed, {**SHARED, **qdrant}) == ["database", "redis", "objectStorage", "qdrant"]
    assert unreachable(closed, {"redis": {"bundled": {}}}) == []
    assert unreachable({}, {**SHARED, **qdrant}) == []
    assert unreachable({**closed, "egressTo": ["10.0.0.0/8"]}, {**SHARED, **qdrant}) == []
    assert unreachable({**closed, "policies": False}, {**SHARED, **qdrant}) == []
