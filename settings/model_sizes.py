"""How large models are to download, as far as their publishers say; nothing is guessed."""

from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path

from settings.yaml_file import read_yaml

_DATA = Path(__file__).with_name("model_sizes.yaml")
_UNITS = {"MB": 10**6, "GB": 10**9}
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


@cache
def _sizes() -> dict[tuple[str, str, str, str], str]:
    data = read_yaml(_DATA)
    return {full_name(model): size for source in data["sources"] for model, size in source["models"].items()}
