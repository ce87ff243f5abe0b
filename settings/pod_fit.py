"""Variables by which programs size themselves by the limits of their pod. Without them, they count the host's CPUs.

Sources: llama.cpp, common/arg.cpp (`--threads`; `--cache-ram`, 8192 MiB for each loaded model); Ollama, llm/llama_server.go,
which passes neither, and hands its environment on; OpenMP 5.2, section 21.1.2, which PyTorch and OpenBLAS read too.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from settings.model_fit import needed_at_once
from settings.quantity import as_bytes, cpu_millicores
from settings.releases import OLLAMA, release, release_of
from settings.workload import ResourceAmounts

if TYPE_CHECKING:
    from settings.ollama import OllamaSettings

THREADS = "OMP_NUM_THREADS"
LLAMA_THREADS = "LLAMA_ARG_THREADS"
PROMPT_CACHE = "LLAMA_ARG_CACHE_RAM"

_LLAMA_SERVER = release("0.30.0")
"""The first release of Ollama in which llama.cpp's own server runs the models."""

_RETURNED = {"MALLOC_ARENA_MAX": "2", "MALLOC_MMAP_THRESHOLD_": str(128 * 2**10)}
OVERRIDABLE = frozenset({THREADS, LLAMA_THREADS, PROMPT_CACHE, *_RETURNED})
"""All of these variables: `env` may set them, and wins."""

_MIB = 2**20
_DEFAULT_CACHE_MIB = 8192
_FOR_CACHES = 0.5
"""How much of what the models leave of the memory limit may hold prompts: contexts and buffers are in there, too."""


def has_llama_server(image: str) -> bool:
    """Whether llama.cpp's own server runs the models in this image of Ollama; one that does not tell its release has it."""
    return (release_of(image, OLLAMA) or _LLAMA_SERVER) >= _LLAMA_SERVER


def threads(limits: ResourceAmounts) -> int | None:
    """As many threads as the CPU limit has whole cores, at least 1; None without a limit. More than that are throttled.

    Measured on two cores, with a model of 440 MB: at a limit of 1, 27.9 tokens/s with one thread, 21.4 with two, 11.4 with
    eight (issue 20; ollama/ollama#17916 reports 0.27 in place of 12.07).
    """
    return None if limits.cpu is None else max(1, cpu_millicores(limits.cpu) // 1000)


def python_variables(limits: ResourceAmounts) -> dict[str, str]:
    """For the WebUI: threads of its numerical libraries, none without a CPU limit; and that memory is given back.

    glibc returns a large block at once when it is freed, but raises what counts as large each time (mallopt(3),
    M_MMAP_THRESHOLD), and has eight arenas for each core (M_ARENA_MAX). An embedding model frees blocks for each passage of a
    document: while Open WebUI 0.12.4 read one of 5 MiB with its default model, it grew from 777 MiB to 2968, and with these
    two variables to 1056. At a CPU quota of 1, a text of 0.3 MB took 35 s with one thread, 68 s with two, 64 s with eight.
    """
    number = threads(limits)
    return {**_RETURNED, **({} if number is None else {THREADS: str(number)})}


def llama_variables(settings: "OllamaSettings") -> dict[str, str]:
    """For the `llama-server` of each loaded model; none for a release of Ollama that has none."""
    if not has_llama_server(settings.image):
        return {}
    found = {LLAMA_THREADS: threads(settings.resources.limits), PROMPT_CACHE: prompt_cache_mib(settings)}
    return {name: str(value) for name, value in found.items() if value is not None}


def prompt_cache_mib(settings: "OllamaSettings") -> int | None:
    """Mebibytes of cached prompts that each loaded model may keep in the pod's memory; None leaves it to llama-server.

    `server.promptCache` decides, or else the memory limit: half of what the models leave of it, divided by how many may be
    loaded at once. On CPU, models of unknown size are taken to fill half of the limit.
    """
    given, limited = settings.server.prompt_cache, settings.resources.limits.memory
    if given is not None:
        return 0 if given == "0" else as_bytes(given) // _MIB
    if limited is None:
        return None
    limit = as_bytes(limited)
    room = limit - needed_at_once(settings, limit)
    share = max(0, int(room * _FOR_CACHES)) // settings.most_loaded // _MIB
    return min(share, _DEFAULT_CACHE_MIB)


def thread_warnings(settings: "OllamaSettings") -> Iterator[str]:
    """That more threads are asked for than the CPU limit has cores."""
    limit = threads(settings.resources.limits)
    if limit is None:
        return
    for key, number in _given(settings).items():
        if number > limit:
            yield (
                f"airis:ollama.{key}: {number} threads share a limit of {settings.resources.limits.cpu} CPUs, and wait for "
                f"each other: {limit} is faster"
            )


def _given(settings: "OllamaSettings") -> Mapping[str, int]:
    """Numbers of threads that the settings name, by their keys."""
    created = {
        f"create[{index}].parameters.numThread": each.parameters.num_thread or 0
        for index, each in enumerate(settings.create)
    }
    own = settings.env.get(LLAMA_THREADS, "")
    return created | ({f"env.{LLAMA_THREADS}": int(own)} if own.isdecimal() else {})
