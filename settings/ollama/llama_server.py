"""Variables that size Ollama's `llama-server` by the limits of its pod. Without them, it counts the host's CPUs.

Sources: llama.cpp, common/arg.cpp (`--threads`; `--cache-ram`, 8192 MiB for each loaded model); Ollama, llm/llama_server.go,
which passes neither option, and passes its environment on.
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
"""The variables of `llama_variables`. `env` may set them, and takes precedence."""

_LLAMA_SERVER = release("0.30.0")
"""The first release of Ollama that runs models with llama.cpp's server."""

_MIB = 2**20
_DEFAULT_CACHE_MIB = 8192
_FOR_CACHES = 0.5
"""The share of the memory left by the models that prompt caches may fill; contexts and buffers need the rest."""


def has_llama_server(image: str) -> bool:
    """Whether this image of Ollama runs models with llama.cpp's server. Assumed for an image of unknown release."""
    return (release_of(image, OLLAMA) or _LLAMA_SERVER) >= _LLAMA_SERVER


def llama_variables(settings: OllamaFields) -> dict[str, str]:
    """The variables of the `llama-server` of each loaded model; none for releases of Ollama without it."""
    if not has_llama_server(settings.image):
        return {}
    found = {LLAMA_THREADS: threads(settings.resources.limits), PROMPT_CACHE: prompt_cache_mib(settings)}
    return {name: str(value) for name, value in found.items() if value is not None}


def prompt_cache_mib(settings: OllamaFields) -> int | None:
    """Size of the prompt cache of each loaded model, in MiB, in the pod's memory; None for llama-server's default.

    `server.promptCache`, or else derived from the memory limit: half of what the models leave of it, divided by the maximum
    number of loaded models. On CPU, models of unknown size are assumed to fill half of the limit.
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
    """Warns if more threads are configured than the CPU limit has cores."""
    limit = threads(settings.resources.limits)
    if limit is None:
        return
    for key, number in _given(settings).items():
        if number > limit:
            yield (
                f"airis:ollama.{key}: {number} threads share a CPU limit of {settings.resources.limits.cpu}, and are "
                f"throttled: {limit} is faster"
            )


def _given(settings: OllamaFields) -> Mapping[str, int]:
    """Configured numbers of threads, by key."""
    created = {
        f"create[{index}].parameters.numThread": each.parameters.num_thread or 0
        for index, each in enumerate(settings.create)
    }
    own = settings.env.get(LLAMA_THREADS, "")
    return created | ({f"env.{LLAMA_THREADS}": int(own)} if own.isdecimal() else {})
