"""Models as desired state: which are there, which are made from others, which are loaded, and which are gone."""

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
"""Ollama keeps numbers as float32."""


def _number(low: float = -_UNLIMITED, high: float = _UNLIMITED) -> Callable[[Any], float]:
    """A check for numbers in these bounds."""
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
    """How a model runs and answers; null leaves each to the model it is made from.

    `numCtx` is `num_ctx` in a Modelfile. Source of names and types: github.com/ollama/ollama v0.17.4 and v0.34.4,
    api/types.go (Options). What only some releases take is marked.
    """

    num_ctx: Annotated[_Whole, Field(ge=4, le=_Bits32)] = None
    """Tokens that the model keeps in view."""
    num_batch: Annotated[_Whole, Field(ge=1, le=_Bits32)] = None
    """Tokens of a prompt that are read at once."""
    num_gpu: Annotated[_Whole, Field(ge=-1, le=_Bits32)] = None
    """Layers on GPUs; -1 for as many as fit, 0 for CPU alone."""
    main_gpu: Annotated[_Whole, Field(ge=0, le=_Bits32)] = None
    """The GPU that holds the whole model, by its number. For releases before 0.30.0: the one for what is not split."""
    use_mmap: StrictBool | None = None
    """Whether the file is mapped into memory instead of read."""
    num_thread: Annotated[_Whole, Field(ge=0, le=_Bits32)] = None
    """Threads on CPU; 0 for Ollama's choice."""
    num_keep: Annotated[_Whole, Field(ge=-1, le=_Bits32)] = None
    """Tokens at the beginning that stay when the context is full; -1 for all of the prompt."""
    seed: Annotated[_Whole, Field(ge=-(2**31), le=_Bits32)] = None
    """Where chance begins: the same seed gives the same answer. -1 for another each time."""
    num_predict: Annotated[_Whole, Field(ge=-2, le=_Bits32)] = None
    """Tokens of an answer at most; -1 for no limit, -2 until the context is full."""
    top_k: Annotated[_Whole, Field(ge=0, le=_Bits32)] = None
    """Choose among this many most likely tokens; 0 for all."""
    top_p: Share | None = None
    """Choose among the likeliest tokens that together have this probability."""
    min_p: Share | None = None
    """Leave out tokens that are less likely than this, relative to the likeliest."""
    typical_p: Annotated[Share | None, Supported(before="0.34.1")] = None
    """Choose among tokens of typical probability, up to this sum; 1 for all."""
    repeat_last_n: Annotated[_Whole, Field(ge=-1, le=_Bits32)] = None
    """Tokens to look back on for repetitions; 0 for none, -1 for the whole context."""
    temperature: Amount | None = None
    """How freely tokens are chosen; 0 always takes the likeliest."""
    repeat_penalty: Amount | None = None
    """How strongly repetitions are avoided; 1 for not at all."""
    presence_penalty: Number | None = None
    """Added weight against tokens that were there before."""
    frequency_penalty: Number | None = None
    """Added weight against tokens by how often they were there."""
    draft_num_predict: Annotated[_Whole, Field(ge=0, le=_Bits32), Supported(since="0.30.0")] = None
    """Tokens that a model's draft, if it has one, proposes at a time; 0 for none."""
    stop: tuple[Quotable, ...] = ()
    """Texts that end the answer."""


class Message(Settings):
    """One message of an example conversation that stands before every chat."""

    role: Literal["system", "user", "assistant"]
    """Who speaks."""
    content: Quotable
    """What is said."""


class CreatedModel(Settings):
    """A model that is made from another one, as a Modelfile would say it. Adapters are files, and have no place here."""

    name: ModelName
    """Its name. A model that has the name already is replaced."""
    base: Annotated[ModelName, Field(alias="from")]
    """The model that it is made from: one of `models`, one that stands before it in `create`, or any other, which is then
    pulled too."""
    system: Quotable | None = None
    """System prompt; null for that of the base."""
    template: Quotable | None = None
    """Template of the prompt, in Go's template language; null for that of the base."""
    parameters: Parameters = Parameters()
    """How it runs and answers."""
    messages: tuple[Message, ...] = ()
    """An example conversation; [] for that of the base."""
    license: Quotable | None = None
    """Text of the licence; null for that of the base."""

    def rules(self) -> Iterator[Broken]:
        """A model that is made from itself would be another one each time."""
        yield from super().rules()
        if same_model(self.name, self.base):
            yield Broken("name", self.name, "another name than from", ("from",))


class ModelsSettings(Settings):
    """Which models each Ollama has. A Job for each pod sees to it, and `up` fails when it cannot."""

    models: tuple[ModelName, ...] = ()
    """Models that each pod is to have. A Job for each pod pulls them once the pod is ready. `up` fails when a model cannot be
    pulled."""
    model_pull_policy: Literal["IfNotPresent", "Always"] = "IfNotPresent"
    """What the Job does about a model that is there already: leave it, which needs no network, or ask the registry whether its
    tag has moved (`Always`). The Job runs when something about it changes, not by itself."""
    model_pull_seconds: Annotated[StrictInt, Field(ge=60)] = 3600
    """How long a pod's Job may take for all models, retries included."""
    create: tuple[CreatedModel, ...] = ()
    """Models that are made from others: another system prompt, other parameters. Their order counts."""
    preload: tuple[ModelName, ...] = ()
    """Models, out of `models` and `create`, that the Job loads into memory at its end. They stay as long as `preloadKeepAlive`
    says; a pod that starts anew loads them at the first request."""
    preload_keep_alive: GoDuration | None = None
    """How long preloaded models stay in memory after their last request: `30m`, or seconds; negative is for ever. Null for
    the server's own `server.keepAlive`."""
    absent_models: tuple[ModelName, ...] = ()
    """Models that the Job removes where they are. Models that stand nowhere are left alone: they may be people's own."""

    @property
    def has_model_job(self) -> bool:
        """Whether there is anything to see to."""
        return bool(self.models or self.create or self.absent_models)

    @property
    def pulled_models(self) -> tuple[str, ...]:
        """Everything that comes from a registry: `models`, and what `create` is made from beside them."""
        found = list(self.models)
        for index, each in enumerate(self.create):
            made_before = (other.name for other in self.create[:index])
            if not _among(each.base, (*found, *made_before)):
                found.append(each.base)
        return tuple(found)

    def rules(self) -> Iterator[Broken]:
        """Each name once, and no contradictions."""
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
                    "preloadKeepAlive", self.preload_keep_alive, "not 0, which would unload the models at once"
                )

    def _creatable(self) -> Iterator[Broken]:
        """What `create` says can be done from top to bottom."""
        created = tuple(each.name for each in self.create)
        for index, each in enumerate(self.create):
            if _among(each.name, created[:index]):
                yield Broken(f"create.{index}.name", each.name, "each name once", ("create",))
            if _among(each.name, self.models):
                allowed = "a name that is not among models: the created model would take its place"
                yield Broken(f"create.{index}.name", each.name, allowed, ("models",))
            if _among(each.base, created[index + 1 :]):
                yield Broken(f"create.{index}.from", each.base, "a model that stands before it in create", ("create",))


def _among(name: str, names: Iterable[str]) -> bool:
    return any(same_model(name, other) for other in names)
