"""Settings of the Ollama server itself: how it shares its memory and time.

Source of all names and effects: github.com/ollama/ollama v0.17.4 and v0.34.4, envconfig/config.go and the places that read
it. What only some releases know is marked.
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
    """Ollama's own settings. A bad value would be ignored by Ollama without a word; here it is refused.

    Null leaves each to Ollama.
    """

    context_length: Annotated[StrictInt | None, Field(ge=4, le=2**31 - 1), Variable("OLLAMA_CONTEXT_LENGTH")] = None
    """Tokens that a model keeps in view when a request says nothing else. Null: 4096, 32768 or 262144, by the memory of the
    GPUs (below 24 GiB, below 48 GiB, more). Memory for it grows with this times `parallel`."""
    parallel: Annotated[StrictInt | None, Field(ge=1, le=256), Variable("OLLAMA_NUM_PARALLEL")] = None
    """Requests that one model answers at once; null for 1. Each has a context of its own: the memory for contexts is
    `contextLength` times this. Some kinds of model take one at a time whatever is set."""
    max_loaded_models: Annotated[StrictInt | None, Field(ge=1), Variable("OLLAMA_MAX_LOADED_MODELS")] = None
    """Models that are in memory at once; null for 3 for each GPU, or 3 on CPU."""
    max_queue: Annotated[StrictInt | None, Field(ge=1), Variable("OLLAMA_MAX_QUEUE")] = None
    """Requests that may wait; further ones get 503. Null for 512."""
    keep_alive: Annotated[GoDuration | None, Variable("OLLAMA_KEEP_ALIVE")] = None
    """How long a model stays in memory after its last request: `30m`, or seconds. Negative is for ever, 0 not at all. Null for
    5 minutes. A request may say something else."""
    load_timeout: Annotated[GoDuration | None, Variable("OLLAMA_LOAD_TIMEOUT")] = None
    """How long the loading of a model may stand still before it is given up. 0 and less is for ever. Null for 5 minutes."""
    flash_attention: Annotated[StrictBool | None, Variable("OLLAMA_FLASH_ATTENTION")] = None
    """Whether attention is computed in the way that needs less memory, where GPU and model can. Null lets Ollama decide for
    each model."""
    kv_cache_type: Annotated[Literal["f16", "q8_0", "q4_0"] | None, Variable("OLLAMA_KV_CACHE_TYPE")] = None
    """How the context is kept in memory: `q8_0` takes about half of `f16`, `q4_0` a quarter, at some cost in quality. Both
    need flash attention: with `flashAttention: false` models do not load, and releases before 0.30.0 want it true. Null for
    `f16`."""
    prompt_cache: Annotated[BytesOrNone | None, Supported(since="0.30.0")] = None
    """Memory that each loaded model may fill with prompts that it has read, so that it need not read them again: in the
    pod, also where the model is on a GPU. Rounded down to 1Mi; 0 for none. Null follows from the pod's memory limit: half of
    what the models leave of it, shared by as many as may be loaded (docs/models.md). Sets `LLAMA_ARG_CACHE_RAM`."""
    multi_user_cache: Annotated[StrictBool | None, Variable("OLLAMA_MULTIUSER_CACHE"), Supported(before="0.30.0")] = (
        None
    )
    """Whether cached prompts are chosen for many users with different prompts. Null for false."""
    sched_spread: Annotated[StrictBool | None, Variable("OLLAMA_SCHED_SPREAD")] = None
    """Whether a model is always spread over all GPUs of the pod, even if it fits into one. Null for false."""
    gpu_overhead: Annotated[Bytes | None, Variable("OLLAMA_GPU_OVERHEAD", text=_plain_bytes)] = None
    """Memory of each GPU that Ollama leaves free, in bytes (`1Gi`). Null for none."""
    llm_library: Annotated[
        Literal["cuda_v12", "cuda_v13", "cuda_jetpack5", "cuda_jetpack6", "rocm", "rocm_v7_2", "vulkan"] | None,
        Variable("OLLAMA_LLM_LIBRARY"),
        Supported(before="0.30.0", values=("rocm",)),
        Supported(since="0.30.0", values=("rocm_v7_2",)),
    ] = None
    """The only GPU library that Ollama may use; null for whichever works. It has to be in the image."""
    new_engine: Annotated[StrictBool | None, Variable("OLLAMA_NEW_ENGINE"), Supported(before="0.30.0")] = None
    """Whether Ollama's own engine also runs models that llama.cpp's would run. Null for false."""
    cloud: Annotated[StrictBool | None, Variable("OLLAMA_NO_CLOUD", text=_not)] = None
    """Whether models that run in Ollama's cloud, and its web search, may be used. False keeps every prompt inside. Null leaves
    it to Ollama, which allows them to whoever has signed the server in."""
    remotes: Annotated[tuple[Dns1123Subdomain, ...], Variable("OLLAMA_REMOTES", separator=",")] = ()
    """Hosts on which remote models may run; [] for ollama.com alone."""
    origins: Annotated[
        tuple[Annotated[str, AfterValidator(_origin)], ...], Variable("OLLAMA_ORIGINS", separator=",")
    ] = ()
    """Origins of web pages whose scripts may call Ollama, beside those of its own machine. Open WebUI needs none: its server
    calls, not the browser."""
    no_prune: Annotated[StrictBool | None, Variable("OLLAMA_NOPRUNE")] = None
    """Whether data that belongs to no model is kept at a start; needed where several pods share one volume. Null for false."""
    log_level: Annotated[
        Literal["INFO", "DEBUG", "TRACE"] | None, Variable("OLLAMA_DEBUG", text=_DEBUG.__getitem__)
    ] = None
    """From which level on the server writes to its log: DEBUG shows how memory is divided, TRACE also what people write. Null
    for INFO."""

    def rules(self) -> Iterator[Broken]:
        """What Ollama would ignore."""
        yield from super().rules()
        if self.cloud is False and self.remotes:
            yield Broken("remotes", list(self.remotes), "[], because cloud: false allows no remote models", ("cloud",))
        for key, each in (("origins", self.origins), ("remotes", self.remotes)):
            for index, value in enumerate(each):
                if value in each[:index]:
                    yield Broken(f"{key}.{index}", value, "each once")
