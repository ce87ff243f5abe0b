"""Settings of the Ollama server: context length, parallel requests, loaded models, GPUs, logging.

Source of all names and effects: github.com/ollama/ollama v0.17.4 and v0.34.4, envconfig/config.go and the code that reads it.
Settings that only some releases support are marked.
"""

import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StrictBool, StrictInt

from settings.types.base import Broken
from settings.types.duration import GoDuration
from settings.types.names import Dns1123Subdomain
from settings.types.quantity import Bytes, BytesOrNone, as_bytes
from settings.types.releases import Supported
from settings.types.variables import Variable, VariableSettings

_ORIGIN = re.compile(r"\*|[a-z][-+.a-z0-9]*://[^\s,/*\"']*(?:\*[^\s,/*\"']*)?", re.ASCII)
_PLAIN_ORIGIN = re.compile(r"(?:https?|(?:chrome|safari|moz|ms-browser)-extension)://.+")
_DEBUG = {"INFO": "0", "DEBUG": "1", "TRACE": "2"}


def _origin(given: str) -> str:
    """Ollama does not start with an origin that its web framework refuses (gin-contrib/cors v1.7.2, Validate)."""
    if _ORIGIN.fullmatch(given) is None or not ("*" in given or _PLAIN_ORIGIN.fullmatch(given)):
        raise ValueError(
            "an origin such as https://chat.example.com, http://10.0.0.1:* or *: at most one *, and no path"
        )
    return given


def _not(value: bool) -> str:
    return str(not value)


def _plain_bytes(quantity: str) -> str:
    return str(as_bytes(quantity))


class OllamaServerSettings(VariableSettings):
    """Settings of the Ollama server. Ollama silently ignores invalid values; airis refuses them.

    Null uses Ollama's default.
    """

    context_length: Annotated[StrictInt | None, Field(ge=4, le=2**31 - 1), Variable("OLLAMA_CONTEXT_LENGTH")] = None
    """Default context length, in tokens. Null: 4096, 32768 or 262144, depending on GPU memory (below 24 GiB, below 48 GiB,
    more). The memory of a context grows with this times `parallel`."""
    parallel: Annotated[StrictInt | None, Field(ge=1, le=256), Variable("OLLAMA_NUM_PARALLEL")] = None
    """Parallel requests of each model; null for 1. Each request has its own context, so the memory of contexts is
    `contextLength` times this. Some model architectures process one request at a time regardless."""
    max_loaded_models: Annotated[StrictInt | None, Field(ge=1), Variable("OLLAMA_MAX_LOADED_MODELS")] = None
    """Maximum number of loaded models; null for 3 for each GPU, or 3 on CPU."""
    max_queue: Annotated[StrictInt | None, Field(ge=1), Variable("OLLAMA_MAX_QUEUE")] = None
    """Maximum number of queued requests; more are answered with 503. Null for 512."""
    keep_alive: Annotated[GoDuration | None, Variable("OLLAMA_KEEP_ALIVE")] = None
    """How long a model stays loaded after its last request: `30m`, or seconds. Negative keeps it loaded forever, 0 unloads it
    immediately. Null for 5 minutes. Requests can override it."""
    load_timeout: Annotated[GoDuration | None, Variable("OLLAMA_LOAD_TIMEOUT")] = None
    """How long loading a model may stall before it is aborted. 0 or negative for no timeout. Null for 5 minutes."""
    flash_attention: Annotated[StrictBool | None, Variable("OLLAMA_FLASH_ATTENTION")] = None
    """Use flash attention, which needs less memory, if GPU and model support it. Null lets Ollama decide for each model."""
    kv_cache_type: Annotated[Literal["f16", "q8_0", "q4_0"] | None, Variable("OLLAMA_KV_CACHE_TYPE")] = None
    """Quantization of the KV cache: `q8_0` needs about half of the memory of `f16`, `q4_0` a quarter, at some loss of quality.
    Both require flash attention: with `flashAttention: false` models do not load, and before release 0.30.0 it must be true.
    Null for `f16`."""
    prompt_cache: Annotated[BytesOrNone | None, Supported(since="0.30.0")] = None
    """Size of each loaded model's prompt cache, which avoids processing the same prompt again. It is in the pod's memory, even
    if the model is on a GPU. Rounded down to 1Mi; 0 disables it. Null derives it from the pod's memory limit: half of what the
    models leave, divided by the maximum number of loaded models (docs/models.md). Sets `LLAMA_ARG_CACHE_RAM`."""
    multi_user_cache: Annotated[StrictBool | None, Variable("OLLAMA_MULTIUSER_CACHE"), Supported(before="0.30.0")] = (
        None
    )
    """Optimize the prompt cache for several users. Null for false."""
    sched_spread: Annotated[StrictBool | None, Variable("OLLAMA_SCHED_SPREAD")] = None
    """Always spread a model over all GPUs of the pod, even if it fits onto one. Null for false."""
    gpu_overhead: Annotated[Bytes | None, Variable("OLLAMA_GPU_OVERHEAD", text=_plain_bytes)] = None
    """Memory of each GPU that Ollama leaves free, in bytes (`1Gi`). Null for none."""
    llm_library: Annotated[
        Literal["cuda_v12", "cuda_v13", "cuda_jetpack5", "cuda_jetpack6", "rocm", "rocm_v7_2", "vulkan"] | None,
        Variable("OLLAMA_LLM_LIBRARY"),
        Supported(before="0.30.0", values=("rocm",)),
        Supported(since="0.30.0", values=("rocm_v7_2",)),
    ] = None
    """The only GPU library that Ollama may use; null detects it. The image must contain it."""
    new_engine: Annotated[StrictBool | None, Variable("OLLAMA_NEW_ENGINE"), Supported(before="0.30.0")] = None
    """Use Ollama's engine also for models that llama.cpp's engine would run. Null for false."""
    cloud: Annotated[StrictBool | None, Variable("OLLAMA_NO_CLOUD", text=_not)] = None
    """Allow models in Ollama's cloud, and its web search. False keeps all prompts inside the cluster. Null for Ollama's
    default, which allows them once the server is signed in."""
    remotes: Annotated[tuple[Dns1123Subdomain, ...], Variable("OLLAMA_REMOTES", separator=",")] = ()
    """Hosts that may run remote models; an empty list for ollama.com only."""
    origins: Annotated[
        tuple[Annotated[str, AfterValidator(_origin)], ...], Variable("OLLAMA_ORIGINS", separator=",")
    ] = ()
    """Additional origins of web pages that may call Ollama from the browser. Open WebUI needs none, because its server calls
    Ollama."""
    no_prune: Annotated[StrictBool | None, Variable("OLLAMA_NOPRUNE")] = None
    """Keep unused model data at startup. Required if several pods share one volume. Null for false."""
    log_level: Annotated[
        Literal["INFO", "DEBUG", "TRACE"] | None, Variable("OLLAMA_DEBUG", text=_DEBUG.__getitem__)
    ] = None
    """Log level: DEBUG includes how memory is divided, TRACE also includes prompts. Null for INFO."""

    def rules(self) -> Iterator[Broken]:
        """Settings that Ollama would ignore."""
        yield from super().rules()
        if self.cloud is False and self.remotes:
            yield Broken("remotes", list(self.remotes), "[], because cloud: false disables remote models", ("cloud",))
        for key, each in (("origins", self.origins), ("remotes", self.remotes)):
            for index, value in enumerate(each):
                if value in each[:index]:
                    yield Broken(f"{key}.{index}", value, "each once")
