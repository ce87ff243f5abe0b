"""Variables by which Ollama's `llama-server` sizes itself by the limits of its pod. Without them, it counts the host's CPUs.

Sources: llama.cpp, common/arg.cpp (`--threads`; `--cache-ram`, 8192 MiB for each loaded model); Ollama, llm/llama_server.go,
which passes neither, and hands its environment on.
"""

from collections.abc import Iterator, Mapping

from settings.ollama.fields import OllamaFields
from settings.ollama.model_fit import needed_at_once
from settings.pods.process_limits import threads
from settings.types.quantity import as_bytes
from settings.types.releases import OLLAMA, release, release_of

LLAMA_THREADS = "LLAMA_ARG_THREADS"
PROMPT_CACHE = "LLAMA_ARG_CACHE_RAM"
LLAMA_VARIABLES = frozenset({LLAMA_THREADS, PROMPT_CACHE})
"""The variables of `llama_variables`: `env` may set them, and wins."""

_LLAMA_SERVER = release("0.30.0")
"""The first release of Ollama in which llama.cpp's own server runs the models."""

_MIB = 2**20
_DEFAULT_CACHE_MIB = 8192
_FOR_CACHES = 0.5
"""How much of what the models leave of the memory limit may hold prompts: contexts and buffers are in there, too."""


def has_llama_server(image: str) -> bool:
    """Whether llama.cpp's own server runs the models in this image of Ollama; one that does not tell its release has it."""
    return (release_of(image, OLLAMA) or _LLAMA_SERVER) >= _LLAMA_SERVER


def llama_variables(settings: OllamaFields) -> dict[str, str]:
    """For the `llama-server` of each loaded model; none for a release of Ollama that has none."""
    if not has_llama_server(settings.image):
        return {}
    found = {LLAMA_THREADS: threads(settings.resources.limits), PROMPT_CACHE: prompt_cache_mib(settings)}
    return {name: str(value) for name, value in found.items() if value is not None}


def prompt_cache_mib(settings: OllamaFields) -> int | None:
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


def thread_warnings(settings: OllamaFields) -> Iterator[str]:
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


def _given(settings: OllamaFields) -> Mapping[str, int]:
    """Numbers of threads that the settings name, by their keys."""
    created = {
        f"create[{index}].parameters.numThread": each.parameters.num_thread or 0
        for index, each in enumerate(settings.create)
    }
    own = settings.env.get(LLAMA_THREADS, "")
    return created | ({f"env.{LLAMA_THREADS}": int(own)} if own.isdecimal() else {})
