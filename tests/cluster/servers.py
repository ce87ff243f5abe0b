"""External servers of a team's stack, in a separate namespace."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tests.cluster.images.recipes import BUCKET, CHROMA, POSTGRES, S3, VALKEY
from tests.cluster.pods import make
from tests.cluster.stacks import new_namespace
from tests.cluster.target import Target

PASSWORD = "p@ss:w/rd%41?#"
"""The password of all servers here: all its characters are special in a URL."""


@dataclass(frozen=True)
class Server:
    """A pod and its Service, named `name`, with one port. Its data is deleted with the pod."""

    name: str
    image: str
    port: int
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)

    def objects(self, namespace: str) -> list[dict[str, Any]]:
        """The pod and the Service."""
        metadata = {"name": self.name, "namespace": namespace, "labels": {"app": self.name}}
        container = {
            "name": self.name,
            "image": self.image,
            "args": list(self.args),
            "env": [{"name": name, "value": value} for name, value in self.env.items()],
            "ports": [{"containerPort": self.port}],
            "resources": {"requests": {"cpu": "250m"}},  # without a request, it starves next to pods with one
            "readinessProbe": {"tcpSocket": {"port": self.port}, "periodSeconds": 1},
        }
        service = {"selector": {"app": self.name}, "ports": [{"port": self.port}]}
        return [
            {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}},
            {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service},
        ]


def postgres(password: str = PASSWORD) -> Server:
    """PostgreSQL with pgvector. User and database are the defaults of `airis:webui.database`; the user is a superuser."""
    return Server(
        "postgres",
        POSTGRES,
        5432,
        # This database need not survive a power failure
        ("postgres", "-c", "listen_addresses=*", "-c", "fsync=off"),
        {"POSTGRES_USER": "airis", "POSTGRES_PASSWORD": password},
    )


def valkey(password: str = PASSWORD) -> Server:
    """Valkey without persistence: `redis://:PASSWORD@HOST:6379/0`."""
    return Server("valkey", VALKEY, 6379, ("valkey-server", "--requirepass", password, "--save", ""))


def s3(key: str = "airis", secret: str = PASSWORD) -> Server:
    """An S3 server. Its URLs have the bucket in the path; the bucket is `recipes.BUCKET`."""
    return Server("s3", S3, 7070, ("posix", "/data"), {"ROOT_ACCESS_KEY": key, "ROOT_SECRET_KEY": secret})


def chroma() -> Server:
    """A Chroma server without credentials."""
    return Server("chroma", CHROMA, 8000)


@contextmanager
def running(cluster: Target, *servers: Server) -> Iterator[dict[str, str]]:
    """Starts servers in a separate namespace; yields their host names, by name, when all are ready."""
    with new_namespace(cluster) as namespace:
        cluster.images.load(*(each.image for each in servers))
        make(cluster, namespace, *(each for server in servers for each in server.objects(namespace)))
        yield {each.name: f"{each.name}.{namespace}.svc" for each in servers}


@contextmanager
def team(cluster: Target) -> Iterator[dict[str, Any]]:
    """Starts PostgreSQL, Valkey and S3; yields the settings of a stack with two WebUI pods that share their state there."""
    with running(cluster, postgres(), valkey(), s3()) as hosts:
        webui = {
            "replicas": 2,
            "database": {"host": hosts["postgres"]},
            "vectorStore": "pgvector",
            "redis": {},
            "objectStorage": {
                "bucket": BUCKET,
                "endpoint": f"http://{hosts['s3']}:7070",
                "region": "us-east-1",
                "addressingStyle": "path",
                "localCache": False,
            },
        }
        yield {
            "webui": webui,
            "secrets": {
                "databasePassword": PASSWORD,
                "redisUrl": f"redis://:{quote(PASSWORD, safe='')}@{hosts['valkey']}:6379/0",
                "s3AccessKeyId": "airis",
                "s3SecretAccessKey": PASSWORD,
            },
        }
