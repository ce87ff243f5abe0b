"""Published download sizes of models, and the memory of their contexts. Nothing is estimated."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from settings.reading.yaml_file import read_yaml

_DATA = Path(__file__).with_name("model_sizes.yaml")
_UNITS = {"MB": 10**6, "GB": 10**9}
_KV_BYTES = {"f16": 2, "q8_0": 34 / 32, "q4_0": 18 / 32}
_BATCH = 512
"""Default batch size: tokens of a prompt that are processed at once. Source: Ollama 0.34.4, api/types.go."""
_HOST, _NAMESPACE, _TAG = "registry.ollama.ai", "library", "latest"


@dataclass(frozen=True)
class ModelSize:
    """The published size of a model."""

    printed: str
    """The size as published: `4.7GB`."""
    moves: bool
    """Whether the tag is mutable: then the size is that of the day when it was looked up."""

    @property
    def bytes(self) -> int:
        """The published size, in bytes."""
        return int(self._number * self._unit)

    @property
    def least_bytes(self) -> int:
        """The smallest size that is rounded to the published one."""
        digits = self._number.as_tuple().exponent
        return int((self._number - Decimal(5).scaleb(int(digits) - 1)) * self._unit)

    @property
    def _number(self) -> Decimal:
        return Decimal(self.printed[:-2])

    @property
    def _unit(self) -> int:
        return _UNITS[self.printed[-2:]]


@dataclass(frozen=True)
class Context:
    """Dimensions of a model that decide the memory of its context."""

    layers: int
    """Layers with attention to the whole context."""
    heads: int
    """Key-value heads of each layer."""
    width: int
    """Dimensions of each head."""
    most: int
    """Maximum context length, in tokens."""
    local: int = 0
    """Layers with sliding window attention."""
    window: int = 0
    """Size of the sliding window, in tokens."""

    def bytes(self, tokens: int, parallel: int, kind: str) -> int:
        """Memory of `parallel` contexts of `tokens` each. `kind` is the type of the KV cache: f16, q8_0 or q4_0.

        llama.cpp's sliding window has room for one batch more, and stays f16. Sources: llama.cpp, pull requests 13194 and
        21277, and ggml/src/ggml-common.h (blocks of 32 numbers with a scale of 2 bytes).
        """
        tokens = min(tokens, self.most)
        one = 2 * self.heads * self.width
        windows = min(tokens * parallel, self.window * parallel + _BATCH)
        return int(
            self.layers * tokens * parallel * one * _KV_BYTES[kind] + self.local * windows * one * _KV_BYTES["f16"]
        )


def full_name(model: str) -> tuple[str, str, str, str]:
    """Host, namespace, model and tag, with Ollama's defaults, in lower case: Ollama's names are case-insensitive.

    Source: github.com/ollama/ollama v0.17.4, types/model/name.go (ParseNameBare, DefaultName).
    """
    path, colon, tag = model.rpartition(":")
    if not colon or "/" in tag:
        path, tag = model, _TAG
    place, _, name = path.rpartition("/")
    host, _, namespace = place.rpartition("/")
    return (host or _HOST).lower(), (namespace or _NAMESPACE).lower(), name.lower(), tag.lower()


def same_model(one: str, other: str) -> bool:
    """Whether both names refer to the same model: `llama3.2` is `llama3.2:latest`."""
    return full_name(one) == full_name(other)


def size_of(model: str) -> ModelSize | None:
    """The download size of the model; None if unknown."""
    full = full_name(model)
    printed = _sizes().get(full)
    return None if printed is None else ModelSize(printed, moves=full[-1] == _TAG)


def context_of(model: str) -> Context | None:
    """The dimensions of the model's context; None if unknown."""
    return _contexts().get(full_name(model))


@cache
def _sizes() -> dict[tuple[str, str, str, str], str]:
    return {full_name(model): size for source in _data()["sources"] for model, size in source["models"].items()}


@cache
def _contexts() -> dict[tuple[str, str, str, str], Context]:
    return {
        full_name(model): Context(**numbers)
        for source in _data()["contexts"]
        for model, numbers in source["models"].items()
    }


@cache
def _data() -> Mapping[str, Any]:
    found: Mapping[str, Any] = read_yaml(_DATA)
    return found
