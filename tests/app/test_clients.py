"""The clients that the application creates from the settings: for PostgreSQL, object storage and OpenSearch.

No server is needed: the clients' own attributes show their address, user and request headers.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.app.asking import ask
from tests.app.environment import Environment, postgresql
from tests.app.rendered import key, rendered

pytestmark = pytest.mark.timeout(600)  # the first one may have to install the application

PASSWORD = "p@ss:w/rd%41?#"
DATABASE = "postgresql://ada@db.example.com/chats"
"""Required by object storage; not used here."""


def said(
    installed: Environment,
    folder: Path,
    script: str,
    held: Mapping[str, str],
    packages: Path | None = None,
    **stack: Any,
) -> Any:
    """The result of the script with the environment of that stack."""
    around = {"PYTHONPATH": str(packages)} if packages else {}
    return ask(installed, folder, script, {**rendered(**stack).environment(held), **around})


ENGINES = """
import json, sys
from psycopg.pq import Conninfo
from open_webui.internal.db import async_engine, engine, metadata_obj

answers = []
for each in (engine, async_engine.sync_engine):
    _, asked = each.dialect.create_connect_args(each.url)
    pool = each.pool
    answers.append({
        **{name: asked.get(name) for name in ("host", "port", "user", "password", "sslmode")},
        "name": asked.get("dbname", asked.get("database")),
        "pool": [pool.size(), pool._max_overflow, pool._timeout, pool._recycle],
        "schema": metadata_obj.schema,
        "PGPASSWORD": {each.keyword: each.val for each in Conninfo.get_defaults()}[b"password"].decode(),
    })
json.dump(answers, open(sys.argv[2], "w"))
"""


def test_postgresql_by_its_parts(installed: Environment, tmp_path: Path) -> None:
    """libpq reads the password of "passwordFrom" from its own variable."""
    database = {
        "host": "db.example.com",
        "port": 5433,
        "name": "chats",
        "user": "ü@b",
        "passwordFrom": key("postgres"),
        "sslMode": "require",
        "schemaName": "chat",
        "pool": {"size": 3, "maxOverflow": 4, "timeoutSeconds": 5, "recycleSeconds": 6},
    }
    answers = said(installed, tmp_path, ENGINES, {"postgres": PASSWORD}, postgresql(), webui={"database": database})
    assert (
        answers
        == [
            {
                "host": "db.example.com",
                "port": 5433,
                "name": "chats",
                "user": "ü@b",
                "password": None,
                "sslmode": "require",
                "pool": [3, 4, 5, 6],
                "schema": "chat",
                "PGPASSWORD": PASSWORD,
            }
        ]
        * 2
    )


@pytest.mark.parametrize("kept", ["urlFrom", "databaseUrl"])
def test_postgresql_by_its_url(kept: str, installed: Environment, tmp_path: Path) -> None:
    url = "postgresql://ada:p%40ss@db.example.com:5433/chats"
    stack: dict[str, Any] = (
        {"webui": {"database": {"urlFrom": key("postgres")}}}
        if kept == "urlFrom"
        else {"secrets": {"databaseUrl": url}, "webui": {"database": {"pool": {"size": 3}}}}
    )
    script = """
import json, sys
from open_webui.internal.db import async_engine, engine
json.dump([each.url.render_as_string(hide_password=False) for each in (engine, async_engine)], open(sys.argv[2], "w"))
"""
    answers = said(installed, tmp_path, script, {"postgres": url}, postgresql(), **stack)
    assert [each.partition("://")[2] for each in answers] == [url.partition("://")[2]] * 2


S3 = """
import io, json, sys
from botocore.awsrequest import AWSResponse
from open_webui.storage.provider import S3StorageProvider

class Raw(io.BytesIO):
    def stream(self, *_, **__):
        yield b""

sent = []
def answer(request, **_):
    sent.append([request.method, request.url, request.headers.get("Authorization", b"").decode()])
    return AWSResponse(request.url, 200, {}, Raw())

provider = S3StorageProvider()
provider.s3_client.meta.events.register("before-send.s3", answer)
_, path = provider.upload_file(io.BytesIO(b"text"), "a.txt", {"user": "ada"})
json.dump({"path": path, "sent": sent}, open(sys.argv[2], "w"))
"""


def test_requests_to_s3(installed: Environment, tmp_path: Path) -> None:
    """The keys come from the Secrets of "accessKeyIdFrom" and "secretAccessKeyFrom"; without both, none would be sent."""
    storage = {
        "bucket": "uploads",
        "region": "eu-central-1",
        "keyPrefix": "chat/a",
        "accelerate": True,
        "tagging": True,
        "accessKeyIdFrom": key("id"),
        "secretAccessKeyFrom": key("secret"),
    }
    database = {"urlFrom": key("postgres")}
    webui = {"objectStorage": storage, "database": database, "vectorStore": "pgvector"}
    held = {"id": "AKIAEXAMPLE", "secret": PASSWORD, "postgres": DATABASE}
    answer = said(installed, tmp_path, S3, held, postgresql(), webui=webui)
    assert answer["path"] == "s3://uploads/chat/a/a.txt"
    assert [(method, url) for method, url, _ in answer["sent"]] == [
        ("PUT", "https://uploads.s3-accelerate.amazonaws.com/chat/a/a.txt"),
        ("PUT", "https://uploads.s3-accelerate.amazonaws.com/chat/a/a.txt?tagging"),
    ]
    assert all("Credential=AKIAEXAMPLE/" in sign and "/eu-central-1/s3/" in sign for *_, sign in answer["sent"])


AZURE = """
import json, sys
from open_webui.storage.provider import AzureStorageProvider

provider = AzureStorageProvider()
credential = provider.blob_service_client.credential
json.dump([provider.container_client.url, credential.account_key], open(sys.argv[2], "w"))
"""


def test_azure(installed: Environment, tmp_path: Path) -> None:
    azure = {"endpoint": "https://a.blob.core.windows.net", "container": "uploads", "keyFrom": key("azure")}
    webui = {"objectStorage": {"azure": azure}, "database": {"urlFrom": key("postgres")}, "vectorStore": "pgvector"}
    answer = said(installed, tmp_path, AZURE, {"azure": "a2V5", "postgres": DATABASE}, postgresql(), webui=webui)
    assert answer == ["https://a.blob.core.windows.net/uploads", "a2V5"]


OPENSEARCH = """
import json, sys
from open_webui.retrieval.vector.dbs.opensearch import OpenSearchClient

(connection,) = OpenSearchClient().client.transport.connection_pool.connections
json.dump(
    {"host": connection.host, "headers": dict(connection.headers), "verify": str(connection.pool.cert_reqs)},
    open(sys.argv[2], "w"),
)
"""


def test_opensearch(installed: Environment, tmp_path: Path) -> None:
    """The credentials come from "username" and "passwordFrom"."""
    found = {}
    for verify in (True, False):
        settings = {
            "url": "https://search.example.com:9201",
            "verifyCertificates": verify,
            "username": "ada",
            "passwordFrom": key("search"),
        }
        webui = {"vectorStore": "opensearch", "opensearch": settings}
        found[verify] = said(installed, tmp_path / str(verify), OPENSEARCH, {"search": "secret"}, webui=webui)
    assert {each["host"] for each in found.values()} == {"https://search.example.com:9201"}
    assert {each["headers"]["authorization"] for each in found.values()} == {"Basic YWRhOnNlY3JldA=="}
    assert found[True]["verify"] != found[False]["verify"]
