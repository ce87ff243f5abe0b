"""Whether models fit onto the volume and into memory, as far as their sizes are known."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from settings.model_sizes import ModelSize, size_of
from settings.quantity import as_bytes

if TYPE_CHECKING:
    from settings.ollama import OllamaSettings

_FULL = 0.9
"""A volume that is fuller than this is worth a word: a model that is pulled anew stands beside the old one for a while."""
_CONTEXT = 1.1
"""A loaded model needs its size, and at least about a tenth more for the context."""


def volume_too_small(settings: "OllamaSettings") -> str | None:
    """What would be right for the volume that certainly cannot hold the models; None where it may.

    Certain are tags that name a size. Models of one name and one size count once: they are mostly the same files.
    """
    certain = {name: size for name, size in _sizes(settings).items() if not size.moves}
    if _sum(certain, least=True) <= as_bytes(settings.storage.size):
        return None
    return f"at least {_gigabytes(_sum(certain))} for {_listed(certain)}, and room for more"


def volume_warnings(settings: "OllamaSettings") -> Iterator[str]:
    """That the volume will be full, or almost, with what is known to come."""
    known = _sizes(settings)
    if _sum(known) > _FULL * as_bytes(settings.storage.size):
        yield (
            f"airis:ollama.storage.size: {settings.storage.size} may be too small for {_listed(known)}: "
            f"{_gigabytes(_sum(known))} together"
        )


def memory_warnings(settings: "OllamaSettings") -> Iterator[str]:
    """That the largest model needs more memory than there is: of the GPUs, or of the pod where there are none."""
    known = _sizes(settings)
    if not known:
        return
    name, size = max(known.items(), key=lambda each: each[1].bytes)
    needed, gpu, limit = int(size.bytes * _CONTEXT), settings.gpu, settings.resources.limits.memory
    what = f"{name} ({size.printed}) needs about {_gigabytes(needed)} with its context"
    if gpu is None:
        if limit is not None and needed > as_bytes(limit):
            yield f"airis:ollama.resources.limits.memory: {what}, more than {limit}: it may not load, or be killed"
    elif gpu.min_memory is not None and needed > gpu.count * as_bytes(gpu.min_memory):
        has = f"{gpu.count} x {gpu.min_memory}" if gpu.count > 1 else gpu.min_memory
        yield f"airis:ollama.gpu: {what}, more than {has}: part of it may run on CPU, which is slow"


def needed_at_once(settings: "OllamaSettings", limit: int) -> int:
    """Bytes of the pod's memory that the largest models need that may be loaded at once.

    None with a GPU, whose memory they are in. On CPU, where no size is known: half of `limit`, in bytes.
    """
    if settings.gpu is not None:
        return 0
    largest = sorted((size.bytes for size in _sizes(settings).values()), reverse=True)[: settings.most_loaded]
    return int(sum(largest) * _CONTEXT) if largest else limit // 2


def _sizes(settings: "OllamaSettings") -> Mapping[str, ModelSize]:
    return {name: size for name in settings.pulled_models if (size := size_of(name)) is not None}


def _sum(sizes: Mapping[str, ModelSize], *, least: bool = False) -> int:
    distinct = {(name.partition(":")[0], size.printed): size for name, size in sizes.items()}
    return sum(size.least_bytes if least else size.bytes for size in distinct.values())


def _listed(sizes: Mapping[str, ModelSize]) -> str:
    return ", ".join(f"{name} ({size.printed})" for name, size in sizes.items())


def _gigabytes(size: int) -> str:
    return f"{size / 10**9:.1f} GB"
