"""Reads from Ollama's log which devices it computes on, and which models' servers have ended.

Ollama detects GPUs once, when it starts, and logs one line for each that it uses; if it finds none, one line with
`library=cpu`. Sources: ollama/ollama 0.17.4 and 0.34.4, discover/types.go (LogDetails) and logutil/logutil.go (slog's text
format).

Since 0.30.0 each loaded model has its own `llama-server` with its own port. If the kernel OOM-kills one, Ollama and its pod
keep running. Source: ollama/ollama 0.34.4, llm/llama_server.go.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from airis.cluster.connection import Cluster
from airis.cluster.kubectl import KubectlError, KubeObject

_READ_BYTES = 1 << 20
"""How much of a log to read, from its beginning. The lines are among the first."""
_SECONDS = 30.0
"""Timeout of one request."""

_START = 'msg="Listening on '
_DEVICE = re.compile(r'msg="inference compute" .*?\blibrary="?([^\s"]+)')
_CPU = "cpu"
_BEGUN = 'msg="starting llama-server"'
_PORT = re.compile(r"--port (\d+)")
_BLOB = re.compile(r"sha256-[0-9a-f]{64}")
_FAILED = re.compile(r'msg="llama-server (?:completion|chat) error"')
"""A request that its server did not complete; requests aborted by clients are logged differently."""
_ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)/")
_KILLED = re.compile(r'(?:msg="llama-server process no longer running".*|process has terminated: )signal: killed')
"""A server that was in use or starting. Ollama also unloads models with that signal, but logs it differently."""
_CAUSES: Mapping[str, str] = {
    "NVIDIA driver too old": "install a newer NVIDIA driver on the node, or use an older release of Ollama",
    "skipping CUDA device": "this release of Ollama does not support such an old GPU: use an older release, or another node",
    "no rocblas support for gfx target": "set HSA_OVERRIDE_GFX_VERSION in airis:ollama.env to a supported target (docs/gpu.md)",
    "dropping integrated GPU": "set OLLAMA_IGPU_ENABLE to 1 in airis:ollama.env",
    "experimental Vulkan support disabled": "set OLLAMA_VULKAN to 1 in airis:ollama.env",
    "user overrode visible devices": "remove the variables that hide GPUs (CUDA_VISIBLE_DEVICES and the like) from "
    "airis:ollama.env and from the image",
    "failure during llama-server GPU discovery": "see `detail` in that line of Ollama's log: the image may lack the GPU "
    "vendor's library",
    "failure during GPU discovery": "see `error` in that line of Ollama's log: the image may lack the GPU vendor's library",
    "GPU discovery watchdog timed out": "check the node's driver: the GPU does not answer",
}
"""What Ollama logs when it passes over a GPU, with what helps. Sources: discover/runner.go, llama_server.go, cuda_compat.go,
amd.go of the same releases."""

REMEDY = (
    "check that the node's driver works (`nvidia-smi`, `rocm-smi`), that airis:ollama.image has the vendor's library, and "
    "airis:ollama.gpu.runtimeClass; docs/troubleshooting.md lists the causes"
)
"""The fix if Ollama gives no cause."""


@dataclass(frozen=True)
class Compute:
    """The devices that Ollama detected at its start."""

    libraries: tuple[str, ...]
    """`CUDA`, `ROCm`, `Vulkan`, ...: one for each GPU that it uses; only `cpu` if it uses none."""
    causes: tuple[str, ...] = ()
    """Why it did not use GPUs, in Ollama's words."""

    @property
    def on_cpu(self) -> bool:
        """Whether it uses no GPU."""
        return all(each.lower() == _CPU for each in self.libraries)

    @property
    def sentence(self) -> str:
        """The problem of a pod that computes on the CPU, to follow its name."""
        causes = f": {'; '.join(self.causes)}" if self.causes else ""
        return f"has a GPU, but Ollama computes on the CPU{causes}"

    @property
    def remedy(self) -> str:
        """The fix, if a GPU was expected."""
        return "; ".join(_CAUSES[each] for each in self.causes) or REMEDY


def compute(log: str) -> Compute | None:
    """Reads an Ollama server's log; of several starts, the last counts.

    None if the log does not tell: Ollama is still detecting GPUs, only logs warnings (OLLAMA_DEBUG below 0), or the beginning
    of the log is lost.
    """
    lines = log.rpartition(_START)[2].splitlines()
    libraries = tuple(found[1] for line in lines if (found := _DEVICE.search(line)))
    if not libraries:
        return None
    messages = [line.partition(" msg=")[2] for line in lines]
    return Compute(libraries, tuple(each for each in _CAUSES if any(each in one for one in messages)))


@dataclass(frozen=True)
class Ended:
    """A model whose servers ended unexpectedly."""

    blob: str
    """The model's blob, as `sha256-...`; empty if the log does not tell."""
    count: int
    """How many of its servers ended unexpectedly."""
    killed: bool
    """Whether one was killed by a signal, as the kernel does when out of memory."""


def ended(log: str) -> Sequence[Ended]:
    """Reads from an Ollama server's log which models' servers ended unexpectedly since its last start."""
    blobs: dict[str, str] = {}
    gone: dict[str, bool] = {}
    port = ""
    for line in log.rpartition(_START)[2].splitlines():
        if _BEGUN in line and (found := _PORT.search(line)):
            port = found[1]
            model = _BLOB.search(line)
            blobs[port] = model[0] if model else ""
            gone.pop(port, None)
        elif _FAILED.search(line):
            address = _ADDRESS.search(line)
            gone.setdefault(address[1] if address else port, False)
        elif _KILLED.search(line):
            gone[next((each for each in reversed(gone) if not gone[each]), port)] = True
    return [
        Ended(blob, len(ports), any(gone[each] for each in ports))
        for blob in dict.fromkeys(blobs.get(each, "") for each in gone)
        if (ports := [each for each in gone if blobs.get(each, "") == blob])
    ]


def asked(cluster: Cluster, pod: str, container: str) -> Compute | None:
    """Reads a pod's log with `compute`. Raises KubectlError if the log is not available."""
    options = (f"--container={container}", f"--limit-bytes={_READ_BYTES}")
    return compute(cluster.run("logs", pod, *options, timeout=_SECONDS))


def computing_on_cpu(cluster: Cluster, workloads: Iterable[KubeObject]) -> Iterator[str]:
    """A sentence and a fix for each Ollama pod with GPUs that computes on the CPU. `workloads` are the stack's.

    Skips pods whose log is not available or does not tell. A ready pod's log does: Ollama detects GPUs before it serves
    requests (server/routes.go, Serve).
    """
    for each in workloads:
        name, labels = each["metadata"]["name"], each["metadata"].get("labels") or {}
        if each["kind"] != "StatefulSet" or labels.get("app.kubernetes.io/name") != "ollama":
            continue
        container = each["spec"]["template"]["spec"]["containers"][0]["name"]
        for pod in (f"{name}-{ordinal}" for ordinal in range(each["spec"]["replicas"])):
            with suppress(KubectlError):
                found = asked(cluster, pod, container)
                if found is not None and found.on_cpu:
                    yield f"Pod/{pod} {found.sentence}.\n  {found.remedy}"
