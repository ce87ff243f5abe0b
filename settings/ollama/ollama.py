"""Settings of the Ollama model server."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import model_validator

from settings.ollama.fields import OllamaFields
from settings.ollama.gpu import GpuSettings, is_amd
from settings.ollama.llama_server import PROMPT_CACHE, has_llama_server, thread_warnings
from settings.ollama.model_fit import memory_too_small, memory_warnings, volume_too_small, volume_warnings
from settings.pods.measured import measured_warnings
from settings.types.base import Broken
from settings.types.images import own_tag
from settings.types.releases import OLLAMA, unsupported_rules, unsupported_warnings
from settings.types.variables import declared

_AMD_SUFFIX = "-rocm"
"""Suffix of the tags of Ollama's images for AMD GPUs. Source: github.com/ollama/ollama, .github/workflows/release.yaml."""

_FOLLOWING = {
    "HOME": "airis:podSecurity",
    "HTTPS_PROXY": "airis:proxy",
    "HTTP_PROXY": "nothing, because Ollama's documentation advises against it",
    "NO_PROXY": "airis:proxy",
    "NVIDIA_VISIBLE_DEVICES": "airis:ollama.gpu",
    "OLLAMA_HOST": "the image",
    "OLLAMA_IGPU_ENABLE": "airis:ollama.gpu.vendor",
    "OLLAMA_MODELS": "HOME",
    "OLLAMA_VULKAN": "airis:ollama.gpu.vendor",
    "REQUESTS_CA_BUNDLE": "airis:caBundle",
    "SSL_CERT_FILE": "airis:caBundle",
}
"""Variables that depend on more than Ollama's own settings (data directory, GPUs, proxy), with what decides on each."""

_LIBRARIES = {"nvidia": "cuda_", "amd": "rocm", "intel": "vulkan"}
"""Prefixes of Ollama's GPU libraries, by vendor. Source: Ollama's CMakePresets.json."""


class OllamaSettings(OllamaFields):
    """Ollama, the model server: one StatefulSet, its Services and a PersistentVolumeClaim for each pod."""

    @model_validator(mode="before")
    @classmethod
    def _image_for_the_gpu(cls, given: Any) -> Any:
        """The default image has no library for AMD GPUs; its `-rocm` variant has."""
        if (
            not isinstance(given, Mapping)
            or not is_amd(given.get("gpu"))
            or given.get("image", OLLAMA.image) != OLLAMA.image
        ):
            return given
        return {**given, "image": f"{OLLAMA.image}{_AMD_SUFFIX}"}

    def rules(self) -> Iterator[Broken]:
        """Claims are not shared and hold their models; GPUs need an image with their vendor's library."""
        yield from super().rules()
        if self.gpu is not None:
            yield from self._gpu_matches(self.gpu)
        yield from self._models_fit()
        yield from self._server_has_gpus()
        yield from self._cache_can_be_quantised()
        yield from unsupported_rules(self, self.image, OLLAMA)
        if self.replicas > 1 and self.storage.existing_claim is not None:
            allowed = "at most 1, because storage.existingClaim is one claim, and each pod needs its own"
            yield Broken("replicas", self.replicas, allowed, ("storage.existingClaim",))

    def _models_fit(self) -> Iterator[Broken]:
        """Models that do not fit onto the volume, or into memory together."""
        if self.storage.existing_claim is None and (needed := volume_too_small(self)):
            yield Broken("storage.size", self.storage.size, needed, ("models", "create", "storage.existingClaim"))
        if needed := memory_too_small(self):
            reads = ("models", "create", "gpu", "preload", "preloadKeepAlive", "server.keepAlive")
            yield Broken("resources.limits.memory", self.resources.limits.memory, needed, reads)
        if len(self.preload) > self.most_loaded:
            allowed = f"at most {self.most_loaded}, the maximum number of loaded models (server.maxLoadedModels)"
            yield Broken("preload", list(self.preload), allowed, ("server.maxLoadedModels", "gpu"))

    def _server_has_gpus(self) -> Iterator[Broken]:
        """GPU settings of the server fit the GPUs."""
        library, maker = self.server.llm_library, self.gpu.maker if self.gpu else None
        if self.gpu is None:
            given = {"llmLibrary": library, "gpuOverhead": self.server.gpu_overhead}
            for key, value in given.items():
                if value is not None:
                    yield Broken(f"server.{key}", value, "only together with airis:ollama.gpu", ("gpu",))
        elif library is not None and maker is not None and not library.startswith(_LIBRARIES[maker]):
            allowed = f"null, or a library of the GPUs' vendor: {_LIBRARIES[maker]}"
            yield Broken("server.llmLibrary", library, allowed, ("gpu",))

    def _cache_can_be_quantised(self) -> Iterator[Broken]:
        """A quantized KV cache requires flash attention.

        Without it, models do not load since 0.30.0 (llm/server.go, and llama.cpp's src/llama-context.cpp). Earlier releases
        ignore the cache type unless flash attention is explicitly on.
        """
        server = self.server
        if server.kv_cache_type not in ("q8_0", "q4_0"):
            return
        reads = ("server.flashAttention", "image")
        if server.flash_attention is False:
            allowed = "f16, or flashAttention: true or null: a quantized cache requires flash attention"
            yield Broken("server.kvCacheType", server.kv_cache_type, allowed, reads)
        elif server.flash_attention is None and not has_llama_server(self.image):
            allowed = "f16, or also flashAttention: true: otherwise, Ollama before 0.30.0 ignores a quantized cache"
            yield Broken("server.kvCacheType", server.kv_cache_type, allowed, reads)

    def warnings(self) -> Iterator[str]:
        """Models that may not fit, as far as their sizes are known; settings that the image may not support."""
        if self.storage.existing_claim is None:
            yield from volume_warnings(self)
        yield from memory_warnings(self)
        yield from thread_warnings(self)
        yield from measured_warnings("ollama", self)
        for key, text in unsupported_warnings(self, self.image, OLLAMA):
            yield f"airis:ollama.{key}: {text}"

    def _gpu_matches(self, gpu: GpuSettings) -> Iterator[Broken]:
        """Other settings of the pods fit these GPUs. Only the tags of Ollama's own images show which libraries they hold."""
        tag = self._own_tag
        if tag and gpu.maker == "amd" and not tag.endswith(_AMD_SUFFIX):
            yield Broken("image", self.image, f"a tag that ends in {_AMD_SUFFIX}, because the GPUs are AMD's", ("gpu",))
        if tag and gpu.maker in ("nvidia", "intel") and tag.endswith(_AMD_SUFFIX):
            yield Broken("image", self.image, f"a tag without {_AMD_SUFFIX}, because the GPUs are not AMD's", ("gpu",))
        if self.runtime_class is not None and gpu.runtime_class is not None:
            yield Broken("runtimeClass", self.runtime_class, "null, because gpu.runtimeClass is set", ("gpu",))
        for key in self.node_selector.keys() & gpu.node_labels.keys():
            if self.node_selector[key] != gpu.node_labels[key]:
                allowed = f"{gpu.node_labels[key]}, as in gpu.nodeLabels; or omit this label"
                yield Broken("nodeSelector", {key: self.node_selector[key]}, allowed, ("gpu",))
        if self.replicas > 1 and gpu.dra is not None and gpu.dra.existing_claim is not None:
            allowed = (
                "at most 1, because gpu.dra.existingClaim is one claim; existingClaimTemplate makes one for each pod"
            )
            yield Broken("replicas", self.replicas, allowed, ("gpu",))

    def gpu_warnings(self, *, restricted: bool) -> Iterator[tuple[str, str]]:
        """GPU settings that work, but may cause problems: keys and texts. `restricted` is the Pod Security level."""
        if self.gpu is None:
            return
        yield from ((f"gpu.{key}", text) for key, text in self.gpu.warnings())
        if self.gpu.maker == "intel" and self._own_tag:
            yield "image", "Ollama's images contain no Vulkan driver for Intel GPUs: without one, Ollama runs on CPU"
        if restricted and self.gpu.maker in ("amd", "intel") and not self.gpu.supplemental_groups:
            text = "without the group of the nodes' /dev/dri, Ollama may not open the GPU, and run on CPU: docs/gpu.md"
            yield "gpu.supplementalGroups", text

    @property
    def _own_tag(self) -> str:
        """The tag of an image that Ollama publishes, or of a mirror of it; "" for any other image."""
        return own_tag(self.image, OLLAMA.repository) or ""

    @property
    def managed_env(self) -> Mapping[str, str]:
        """Variables that the component may set, with what decides on each.

        `env` may set those that are derived from the pod's limits (llama_server.py), except for one that a setting also sets.
        """
        cache = {} if self.server.prompt_cache is None else {PROMPT_CACHE: "airis:ollama.server.promptCache"}
        return {**declared(type(self), "airis:ollama"), **_FOLLOWING, **cache}

    @property
    def uses_gpu(self) -> bool:
        """Whether the pods request a GPU."""
        return self.gpu is not None
