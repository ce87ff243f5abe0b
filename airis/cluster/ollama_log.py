"""What Ollama's log says about the devices that it computes on, and about models whose server has ended.

Ollama looks for GPUs once, when it starts, and logs one line for each that it uses; where it finds none, one line with
`library=cpu`. Sources: ollama/ollama 0.17.4 and 0.34.4, discover/types.go (LogDetails) and logutil/logutil.go (slog's text
format).

Since 0.30.0 each loaded model has a `llama-server` of its own, on a port of its own. When the kernel kills one for memory, the
server and its pod go on. Source: ollama/ollama 0.34.4, llm/llama_server.go.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from airis.cluster.connection import Cluster
from airis.cluster.kubectl import KubectlError, KubeObject

_READ_BYTES = 1 << 20
"""How much of a container's log to read, from its beginning. The lines are among the first."""
_SECONDS = 30.0
"""How long one answer may take."""

_START = 'msg="Listening on '
_DEVICE = re.compile(r'msg="inference compute" .*?\blibrary="?([^\s"]+)')
_CPU = "cpu"
_BEGUN = 'msg="starting llama-server"'
_PORT = re.compile(r"--port (\d+)")
_BLOB = re.compile(r"sha256-[0-9a-f]{64}")
_FAILED = re.compile(r'msg="llama-server (?:completion|chat) error"')
"""A request that its server did not answer to the end; one that a client gave up is not logged so."""
_ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)/")
_KILLED = re.compile(r'(?:msg="llama-server process no longer running".*|process has terminated: )signal: killed')
"""A server that was still wanted, or that was starting. Ollama itself unloads models by that signal, and logs it otherwise."""
_CAUSES: Mapping[str, str] = {
    "NVIDIA driver too old": "install a newer NVIDIA driver on the node, or take an older release of Ollama",
    "skipping CUDA device": "the GPU is older than this release of Ollama supports: take an older release, or another node",
    "no rocblas support for gfx target": "set HSA_OVERRIDE_GFX_VERSION in airis:ollama.env to a supported target (docs/gpu.md)",
    "dropping integrated GPU": "set OLLAMA_IGPU_ENABLE to 1 in airis:ollama.env",
    "experimental Vulkan support disabled": "set OLLAMA_VULKAN to 1 in airis:ollama.env",
    "user overrode visible devices": "take the variables that hide GPUs (CUDA_VISIBLE_DEVICES and the like) out of "
    "airis:ollama.env and of the image",
    "failure during llama-server GPU discovery": "look at `detail` in that line of Ollama's log: the image may lack the "
    "library of the GPU's vendor",
    "failure during GPU discovery": "look at `error` in that line of Ollama's log: the image may lack the library of the GPU's "
    "vendor",
    "GPU discovery watchdog timed out": "look at the node's driver: the GPU does not answer",
}
"""What Ollama logs when it passes over a GPU, with what helps. Sources: discover/runner.go, llama_server.go, cuda_compat.go,
amd.go of the same releases."""

REMEDY = (
    "check on the node that the driver works (`nvidia-smi`, `rocm-smi`), that airis:ollama.image has the vendor's library, and "
    "airis:ollama.gpu.runtimeClass; docs/troubleshooting.md has the causes"
)
"""What helps where Ollama gives no cause."""


@dataclass(frozen=True)
class Compute:
    """What one start of Ollama found."""

    libraries: tuple[str, ...]
    """`CUDA`, `ROCm`, `Vulkan`, ...: one for each GPU that it uses; `cpu` alone if it uses none."""
    causes: tuple[str, ...] = ()
    """Why it passed over GPUs, in Ollama's words."""

    @property
    def on_cpu(self) -> bool:
        """Whether it uses no GPU."""
        return all(each.lower() == _CPU for each in self.libraries)

    @property
    def sentence(self) -> str:
        """What is wrong with a pod that computes on the CPU, to stand behind its name."""
        causes = f": {'; '.join(self.causes)}" if self.causes else ""
        return f"has a GPU, and Ollama computes on the CPU{causes}"

    @property
    def remedy(self) -> str:
        """What helps where a GPU was expected."""
        return "; ".join(_CAUSES[each] for each in self.causes) or REMEDY


def compute(log: str) -> Compute | None:
    """Reads the log of an Ollama server; of several starts the last counts.

    None where the log does not tell: Ollama is still looking, logs warnings alone (OLLAMA_DEBUG below 0), or the beginning of
    the log is lost.
    """
    lines = log.rpartition(_START)[2].splitlines()
    libraries = tuple(found[1] for line in lines if (found := _DEVICE.search(line)))
    if not libraries:
        return None
    messages = [line.partition(" msg=")[2] for line in lines]
    return Compute(libraries, tuple(each for each in _CAUSES if any(each in one for one in messages)))


@dataclass(frozen=True)
class Ended:
    """A model whose servers have ended while they were needed."""

    blob: str
    """The model's file, as `sha256-...`; empty where the log does not tell."""
    count: int
    """How many of its servers have ended so."""
    killed: bool
    """Whether one was killed, as the kernel does for memory."""


def ended(log: str) -> Sequence[Ended]:
    """Reads in the log of an Ollama server which models' servers have ended by themselves, since its last start."""
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
    """Asks for the log of a pod, and reads it as `compute` does. Raises KubectlError where it cannot be had."""
    options = (f"--container={container}", f"--limit-bytes={_READ_BYTES}")
    return compute(cluster.run("logs", pod, *options, timeout=_SECONDS))


def computing_on_cpu(cluster: Cluster, workloads: Iterable[KubeObject]) -> Iterator[str]:
    """A sentence, and a remedy, for each pod of an Ollama with GPUs that computes on the CPU. `workloads` are the stack's.

    A pod whose log cannot be had, or does not tell, is passed over. A ready pod's log tells: Ollama looks for GPUs before it
    answers (server/routes.go, Serve).
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
