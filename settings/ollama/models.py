"""Models as desired state: which are pulled, created from others, preloaded, and removed."""

import re
from collections.abc import Callable, Iterable, Iterator
from math import isfinite
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, StrictInt, WithJsonSchema

from settings.ollama.model_sizes import same_model
from settings.ollama.modelfile_text import quotable
from settings.types.base import Broken, Settings
from settings.types.duration import GoDuration
from settings.types.names import ModelName
from settings.types.releases import Supported

Quotable = Annotated[str, AfterValidator(quotable)]
"""Text that a Modelfile can hold."""

_UNLIMITED = float("inf")
_LARGEST = 3.4e38
"""Ollama stores numbers as float32."""


def _number(low: float = -_UNLIMITED, high: float = _UNLIMITED) -> Callable[[Any], float]:
    """A check for numbers in this range."""
    at_least = "" if low == -_UNLIMITED else f", at least {low:g}"
    allowed = f"a number{at_least}" if high == _UNLIMITED else f"a number from {low:g} to {high:g}"

    def check(given: Any) -> float:
        if isinstance(given, bool) or not isinstance(given, int | float):
            raise ValueError(allowed)
        if not isfinite(given) or abs(given) > _LARGEST or not low <= given <= high:
            raise ValueError(allowed)
        return float(given)

    return check


Number = Annotated[float, BeforeValidator(_number())]
"""Any number."""
Amount = Annotated[float, BeforeValidator(_number(0)), WithJsonSchema({"type": "number", "minimum": 0})]
"""A number that is not negative."""
Share = Annotated[float, BeforeValidator(_number(0, 1)), WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1})]
"""A probability."""

_Whole = StrictInt | None
_Bits32 = 2**31 - 1


class Parameters(Settings):
    """Model parameters. Null keeps the parameter of the base model.

    `numCtx` is `num_ctx` in a Modelfile. Source of names and types: github.com/ollama/ollama v0.17.4 and v0.34.4, api/types.go
    (Options). Parameters that only some releases support are marked.
    """

    num_ctx: Annotated[_Whole, Field(ge=4, le=_Bits32)] = None
    """Context length, in tokens."""
    num_batch: Annotated[_Whole, Field(ge=1, le=_Bits32)] = None
    """Batch size: tokens of a prompt that are processed at once."""
    num_gpu: Annotated[_Whole, Field(ge=-1, le=_Bits32)] = None
    """Layers on GPUs; -1 for as many as fit, 0 for CPU only."""
    main_gpu: Annotated[_Whole, Field(ge=0, le=_Bits32)] = None
    """Index of the GPU that holds the whole model. Before release 0.30.0: the GPU for tensors that are not split."""
    use_mmap: StrictBool | None = None
    """Map the model's file into memory instead of reading it."""
    num_thread: Annotated[_Whole, Field(ge=0, le=_Bits32)] = None
    """Threads on CPU; 0 lets Ollama choose."""
    num_keep: Annotated[_Whole, Field(ge=-1, le=_Bits32)] = None
    """Tokens at the beginning of the prompt that are kept when the context is full; -1 for the whole prompt."""
    seed: Annotated[_Whole, Field(ge=-(2**31), le=_Bits32)] = None
    """Seed of the random number generator: the same seed gives the same answer. -1 for a random seed."""
    num_predict: Annotated[_Whole, Field(ge=-2, le=_Bits32)] = None
    """Maximum number of tokens of an answer; -1 for no limit, -2 until the context is full."""
    top_k: Annotated[_Whole, Field(ge=0, le=_Bits32)] = None
    """Sample from this many most likely tokens; 0 for all."""
    top_p: Share | None = None
    """Sample from the most likely tokens that together have this probability (nucleus sampling)."""
    min_p: Share | None = None
    """Exclude tokens that are less likely than this, relative to the most likely token."""
    typical_p: Annotated[Share | None, Supported(before="0.34.1")] = None
    """Locally typical sampling, up to this cumulative probability; 1 to disable."""
    repeat_last_n: Annotated[_Whole, Field(ge=-1, le=_Bits32)] = None
    """Tokens to check for repetitions; 0 for none, -1 for the whole context."""
    temperature: Amount | None = None
    """Sampling temperature; 0 always chooses the most likely token."""
    repeat_penalty: Amount | None = None
    """Penalty for repetitions; 1 for none."""
    presence_penalty: Number | None = None
    """Penalty for tokens that have occurred."""
    frequency_penalty: Number | None = None
    """Penalty for tokens by how often they have occurred."""
    draft_num_predict: Annotated[_Whole, Field(ge=0, le=_Bits32), Supported(since="0.30.0")] = None
    """Tokens that the draft model, if there is one, proposes at a time; 0 for none."""
    stop: tuple[Quotable, ...] = ()
    """Stop sequences, which end the answer."""


class Message(Settings):
    """A message of the example conversation at the beginning of every chat."""

    role: Literal["system", "user", "assistant"]
    """Role of the message's author."""
    content: Quotable
    """Text of the message."""


class CreatedModel(Settings):
    """A model that is created from another one, as by a Modelfile. Adapters are not supported, because they are files."""

    name: ModelName
    """Name of the model. An existing model of this name is replaced."""
    base: Annotated[ModelName, Field(alias="from")]
    """Base model: one of `models`, an earlier one in `create`, or any other model, which is then pulled."""
    system: Quotable | None = None
    """System prompt; null for that of the base model."""
    template: Quotable | None = None
    """Prompt template, in Go's template language; null for that of the base model."""
    parameters: Parameters = Parameters()
    """Model parameters."""
    messages: tuple[Message, ...] = ()
    """Example conversation; an empty list for that of the base model."""
    license: Quotable | None = None
    """License text; null for that of the base model."""

    def rules(self) -> Iterator[Broken]:
        """A model that is created from itself would change at each run."""
        yield from super().rules()
        if same_model(self.name, self.base):
            yield Broken("name", self.name, "another name than from", ("from",))


class ModelsSettings(Settings):
    """Models of each Ollama pod, managed by one Job for each pod."""

    models: tuple[ModelName, ...] = ()
    """Models of each pod. A Job for each pod pulls them once the pod is ready. `up` fails if a model cannot be pulled."""
    model_pull_policy: Literal["IfNotPresent", "Always"] = "IfNotPresent"
    """`IfNotPresent` pulls a model only if it is missing, and needs no network otherwise. `Always` also checks the registry for
    a newer version of the tag. The Job runs when its settings change, not periodically."""
    model_pull_seconds: Annotated[StrictInt, Field(ge=60)] = 3600
    """Time limit of a pod's Job for all models, retries included."""
    create: tuple[CreatedModel, ...] = ()
    """Models that are created from others, with another system prompt or other parameters, in this order."""
    preload: tuple[ModelName, ...] = ()
    """Models out of `models` and `create` that the Job loads into memory at its end. They stay loaded for `preloadKeepAlive`; a
    restarted pod loads them at the first request."""
    preload_keep_alive: GoDuration | None = None
    """How long preloaded models stay loaded after their last request: `30m`, or seconds; negative for forever. Null for
    `server.keepAlive`."""
    absent_models: tuple[ModelName, ...] = ()
    """Models that the Job removes. Models in no list are kept, because users may have pulled them."""

    @property
    def has_model_job(self) -> bool:
        """Whether there is work for the Job."""
        return bool(self.models or self.create or self.absent_models)

    @property
    def pulled_models(self) -> tuple[str, ...]:
        """Every model that comes from a registry: `models`, and the base models of `create` that are not in it."""
        found = list(self.models)
        for index, each in enumerate(self.create):
            made_before = (other.name for other in self.create[:index])
            if not _among(each.base, (*found, *made_before)):
                found.append(each.base)
        return tuple(found)

    def rules(self) -> Iterator[Broken]:
        """Unique names, and no contradictions."""
        yield from super().rules()
        lists = {"models": self.models, "preload": self.preload, "absentModels": self.absent_models}
        for key, names in lists.items():
            for index, name in enumerate(names):
                if _among(name, names[:index]):
                    yield Broken(f"{key}.{index}", name, "each model once")
        yield from self._creatable()
        created = [each.name for each in self.create]
        for index, name in enumerate(self.preload):
            if not _among(name, (*self.models, *created)):
                yield Broken(f"preload.{index}", name, "one of models, or a name in create", ("models", "create"))
        for index, name in enumerate(self.absent_models):
            if _among(name, (*self.pulled_models, *created)):
                allowed = "a model that is neither in models nor in create"
                yield Broken(f"absentModels.{index}", name, allowed, ("models", "create"))
        if self.preload_keep_alive is not None:
            if not self.preload:
                yield Broken("preloadKeepAlive", self.preload_keep_alive, "only together with preload", ("preload",))
            elif not re.search(r"[1-9]", self.preload_keep_alive):
                yield Broken(
                    "preloadKeepAlive", self.preload_keep_alive, "not 0, which would unload the models immediately"
                )

    def _creatable(self) -> Iterator[Broken]:
        """`create` can be processed from top to bottom."""
        created = tuple(each.name for each in self.create)
        for index, each in enumerate(self.create):
            if _among(each.name, created[:index]):
                yield Broken(f"create.{index}.name", each.name, "each name once", ("create",))
            if _among(each.name, self.models):
                allowed = "a name that is not in models: the created model would replace that one"
                yield Broken(f"create.{index}.name", each.name, allowed, ("models",))
            if _among(each.base, created[index + 1 :]):
                yield Broken(f"create.{index}.from", each.base, "an earlier model in create", ("create",))


def _among(name: str, names: Iterable[str]) -> bool:
    return any(same_model(name, other) for other in names)
