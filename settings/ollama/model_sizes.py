"""How large models are to download, and their contexts in memory, as far as their publishers say; nothing is guessed."""

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
"""Tokens of a prompt that are read at once, where a model says nothing else. Source: Ollama 0.34.4, api/types.go."""
_HOST, _NAMESPACE, _TAG = "registry.ollama.ai", "library", "latest"


@dataclass(frozen=True)
class ModelSize:
    """What was published about a model."""

    printed: str
    """As it was printed: `4.7GB`."""
    moves: bool
    """Whether the tag is one that moves on to other models: then this is what it was when it was looked up."""

    @property
    def bytes(self) -> int:
        """Bytes, as printed."""
        return int(self._number * self._unit)

    @property
    def least_bytes(self) -> int:
        """The fewest bytes that are printed so: half of the last digit less."""
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
    """By what the memory for a model's context grows."""

    layers: int
    """Layers that see all of it."""
    heads: int
    """Heads of keys and values in each layer."""
    width: int
    """Numbers in each head."""
    most: int
    """Tokens of the longest context."""
    local: int = 0
    """Layers that see a window of it."""
    window: int = 0
    """Tokens of that window."""

    def bytes(self, tokens: int, parallel: int, kind: str) -> int:
        """Memory for `parallel` contexts of `tokens` each. `kind` is how keys and values are kept: f16, q8_0 or q4_0.

        A window of llama.cpp's has room for the tokens that are read at once, and stays f16. Sources: llama.cpp, pull requests
        13194 and 21277, and ggml/src/ggml-common.h (blocks of 32 numbers with a scale of 2 bytes).
        """
        tokens = min(tokens, self.most)
        one = 2 * self.heads * self.width
        windows = min(tokens * parallel, self.window * parallel + _BATCH)
        return int(
            self.layers * tokens * parallel * one * _KV_BYTES[kind] + self.local * windows * one * _KV_BYTES["f16"]
        )


def full_name(model: str) -> tuple[str, str, str, str]:
    """Host, namespace, model and tag, with Ollama's own where none is said, in lower case: by case Ollama tells none apart.

    Source: github.com/ollama/ollama v0.17.4, types/model/name.go (ParseNameBare, DefaultName).
    """
    path, colon, tag = model.rpartition(":")
    if not colon or "/" in tag:
        path, tag = model, _TAG
    place, _, name = path.rpartition("/")
    host, _, namespace = place.rpartition("/")
    return (host or _HOST).lower(), (namespace or _NAMESPACE).lower(), name.lower(), tag.lower()


def same_model(one: str, other: str) -> bool:
    """Whether Ollama takes both names for the same model: `llama3.2` is `llama3.2:latest`."""
    return full_name(one) == full_name(other)


def size_of(model: str) -> ModelSize | None:
    """How large the model is to download; None where nothing is known."""
    full = full_name(model)
    printed = _sizes().get(full)
    return None if printed is None else ModelSize(printed, moves=full[-1] == _TAG)


def context_of(model: str) -> Context | None:
    """By what the memory for the model's context grows; None where nothing is known."""
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
