"""What Ollama's log says about the devices that it computes on.

Ollama looks for GPUs once, when it starts, and logs one line for each that it uses; where it finds none, one line with
`library=cpu`. Sources: ollama/ollama 0.17.4 and 0.34.4, discover/types.go (LogDetails) and logutil/logutil.go (slog's text
format).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from airis.cluster import Cluster
from airis.kubectl import KubectlError, KubeObject

_READ_BYTES = 1 << 20
"""How much of a container's log to read, from its beginning. The lines are among the first."""
_SECONDS = 30.0
"""How long one answer may take."""

_START = 'msg="Listening on '
_DEVICE = re.compile(r'msg="inference compute" .*?\blibrary="?([^\s"]+)')
_CPU = "cpu"
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
