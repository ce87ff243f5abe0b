"""Checks whether models fit onto the volume and into memory, as far as their sizes are known."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from settings.ollama.fields import OllamaFields
from settings.ollama.model_sizes import ModelSize, context_of, full_name, size_of
from settings.types.quantity import as_bytes

_FULL = 0.9
"""Share of the volume above which a warning is due: while a model is pulled again, its old version is kept too."""
_BUFFERS = 1.1
"""A loaded model needs its size, and about a tenth more for computation; its context, if known, is added."""
_TOKENS = 4096
"""The default context length. On large GPUs, Ollama chooses more, and less if that does not fit. Source: Ollama 0.34.4,
server/routes.go (defaultNumCtx) and sched.go (reduceAutoNumCtxForLoadOOM)."""
_GIB = 2**30


@dataclass(frozen=True)
class _Loaded:
    """A loaded model."""

    name: str
    size: ModelSize
    tokens: str
    """Context length, as text."""
    context: int
    """Bytes of the context; 0 if unknown."""

    @property
    def bytes(self) -> int:
        return int(self.size.bytes * _BUFFERS) + self.context

    def __str__(self) -> str:
        return f"{self.name} ({self.size.printed}) needs about {_gigabytes(self.bytes)} with {self.tokens}"


def volume_too_small(settings: OllamaFields) -> str | None:
    """The allowed size, if the volume certainly cannot hold the models; otherwise None.

    Only tags that name a size are certain. Models of the same name and size count once, because they mostly share files.
    """
    certain = {name: size for name, size in _sizes(settings).items() if not size.moves}
    if _sum(certain, least=True) <= as_bytes(settings.storage.size):
        return None
    return f"at least {_gigabytes(_sum(certain))} for {_listed(certain)}, and room for more"


def memory_too_small(settings: OllamaFields) -> str | None:
    """The allowed limit, if the memory limit certainly cannot hold a model; otherwise None.

    On CPU, the weights of models whose tags name a size are certain: Ollama reads them into memory, and does not map the file
    (server/sched.go, disableMmapDefaultReason). Models that `preload` keeps loaded forever are added up.
    """
    limited = settings.resources.limits.memory
    if settings.gpu is not None or limited is None:
        return None
    read = {
        name: each for name, each in _loaded(settings).items() if not each.size.moves and not _mapped(settings, name)
    }
    kept = [read[name] for name in _preloaded_for_ever(settings) if name in read]
    for together in ([each] for each in read.values()), [kept]:
        for models in together:
            if sum(each.size.least_bytes for each in models) > as_bytes(limited):
                needed = sum(each.bytes for each in models)
                names = ", ".join(f"{each.name} ({each.size.printed})" for each in models)
                why = ", which preload keeps loaded together" if len(models) > 1 else ""
                return (
                    f"at least {_gibibytes(needed)} for {names}{why}: about {_gigabytes(needed)} with context; or a GPU"
                )
    return None


def volume_warnings(settings: OllamaFields) -> Iterator[str]:
    """Warns if the known models fill the volume, or almost."""
    known = _sizes(settings)
    if _sum(known) > _FULL * as_bytes(settings.storage.size):
        yield (
            f"airis:ollama.storage.size: {settings.storage.size} may be too small for {_listed(known)}: "
            f"{_gigabytes(_sum(known))} in total"
        )


def memory_warnings(settings: OllamaFields) -> Iterator[str]:
    """Warns if the models that may be loaded need more memory than the GPUs, or the pod, have.

    On GPUs, Ollama unloads models to make room for another one. On CPU, it loads up to the maximum number (server/sched.go,
    load).
    """
    models, gpu = _largest(settings), settings.gpu
    if gpu is None:
        yield from _limit_warnings(settings, models)
        return
    if models and gpu.min_memory is not None and models[0].bytes > gpu.count * as_bytes(gpu.min_memory):
        has = f"{gpu.count} x {gpu.min_memory}" if gpu.count > 1 else gpu.min_memory
        yield f"airis:ollama.gpu: {models[0]}, more than {has}: part of it may run on CPU, which is slow"
    yield from _limit_warnings(settings, ())


def _limit_warnings(settings: OllamaFields, models: Sequence[_Loaded]) -> Iterator[str]:
    """Warns if these models, and the prompt caches of all models, need more than the pod's memory limit."""
    key, limited = "airis:ollama.resources.limits.memory", settings.resources.limits.memory
    if limited is None:
        return
    limit = as_bytes(limited)
    if models and models[0].bytes > limit:
        advice = f"set at least {_gibibytes(models[0].bytes)}"
        yield f"{key}: {models[0]}, more than {limited}: it may fail to load, or be OOM-killed; {advice}"
        return
    given = settings.server.prompt_cache
    cache = as_bytes(given) if given not in (None, "0") else 0
    number = min(settings.most_loaded, max(1, len(settings.pulled_models)))
    needed = sum(each.bytes for each in models) + cache * number
    if needed > limit:
        prompts = [f"{number} x {given} of prompt cache (server.promptCache)"] if cache else []
        parts = "; ".join([*map(str, models), *prompts])
        lower = "parallel, contextLength" if models else "promptCache"
        yield (
            f"{key}: {limited} may be too small for all models that may be loaded, {_gigabytes(needed)}: {parts}; "
            f"set at least {_gibibytes(needed)}, or lower server.maxLoadedModels, {lower}"
        )


def needed_at_once(settings: OllamaFields, limit: int) -> int:
    """Bytes of the pod's memory that the largest models need that may be loaded at the same time.

    0 with a GPU, because the models are in its memory. On CPU, if no size is known, half of `limit`.
    """
    if settings.gpu is not None:
        return 0
    largest = _largest(settings)
    return sum(each.bytes for each in largest) if largest else limit // 2


def _largest(settings: OllamaFields) -> Sequence[_Loaded]:
    """The largest models that may be loaded at the same time, in descending order. Names of the same files count once."""
    distinct = {(each.name.partition(":")[0], each.size.printed): each for each in _loaded(settings).values()}
    return sorted(distinct.values(), key=lambda each: each.bytes, reverse=True)[: settings.most_loaded]


def _loaded(settings: OllamaFields) -> Mapping[str, _Loaded]:
    """The pulled models of known size, with the longest context that the settings configure for each."""
    server, found = settings.server, {}
    parallel = server.parallel or 1
    for name, size in _sizes(settings).items():
        known = context_of(name)
        tokens = max([server.context_length or _TOKENS, *_own_contexts(settings, name)])
        context = 0 if known is None else known.bytes(tokens, parallel, server.kv_cache_type or "f16")
        length = f"{parallel} x {tokens}" if parallel > 1 else str(tokens)
        found[name] = _Loaded(name, size, f"{length} tokens of context" if known else "its context", context)
    return found


def _own_contexts(settings: OllamaFields, model: str) -> Iterator[int]:
    """The context lengths of models that `create` derives from this one: in memory it is one model, reloaded for each
    context.
    """
    made = {full_name(model)}
    for each in settings.create:
        if full_name(each.base) in made:
            made.add(full_name(each.name))
            if each.parameters.num_ctx is not None:
                yield each.parameters.num_ctx


def _mapped(settings: OllamaFields, model: str) -> bool:
    """Whether `create` enables mmap for the model, so that its file need not be in memory as a whole."""
    return any(full_name(each.base) == full_name(model) and each.parameters.use_mmap for each in settings.create)


def _preloaded_for_ever(settings: OllamaFields) -> Iterator[str]:
    """The pulled models that `preload` keeps loaded forever."""
    kept = settings.preload_keep_alive or settings.server.keep_alive or ""
    if kept.startswith("-"):
        wanted = {full_name(each) for each in settings.preload}
        yield from (each for each in settings.pulled_models if full_name(each) in wanted)


def _sizes(settings: OllamaFields) -> Mapping[str, ModelSize]:
    return {name: size for name in settings.pulled_models if (size := size_of(name)) is not None}


def _sum(sizes: Mapping[str, ModelSize], *, least: bool = False) -> int:
    distinct = {(name.partition(":")[0], size.printed): size for name, size in sizes.items()}
    return sum(size.least_bytes if least else size.bytes for size in distinct.values())


def _listed(sizes: Mapping[str, ModelSize]) -> str:
    return ", ".join(f"{name} ({size.printed})" for name, size in sizes.items())


def _gigabytes(size: int) -> str:
    return f"{size / 10**9:.1f} GB"


def _gibibytes(size: int) -> str:
    return f"{ceil(size / _GIB)}Gi"
