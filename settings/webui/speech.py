"""Settings of the servers that write down what people say, and read answers out.

Open WebUI keeps all of these in its database from the first start that knows them on, unless
`airis:webui.enablePersistentConfig` is false.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal

from settings.types.base import Broken
from settings.types.open_webui import Endpoint, Text
from settings.types.references import SecretKeyRef
from settings.types.variables import Value, Variable, VariableSettings


class SpeechSettings(VariableSettings):
    """What both directions have in common."""

    URLS: ClassVar[Mapping[str, str]] = {}
    """The variable with the URL, by engine; an engine that is missing has its own URL."""
    KEYS: ClassVar[Mapping[str, str]] = {}
    """The variable with the key, by engine."""
    REGION: ClassVar[str] = ""
    """The variable with Azure's region."""

    engine: str
    """What the server speaks."""
    url: Endpoint | None = None
    """Base URL of the server; null for the provider's own. Deepgram knows no other."""
    key_from: SecretKeyRef | None = None
    """An existing Secret with the API key; null only for an OpenAI-compatible server that wants none."""
    region: Text | None = None
    """Azure's region, such as `westeurope`; null for `eastus`."""

    def derived(self) -> Mapping[str, Value]:
        """Each engine has variables of its own."""
        found: dict[str, Value] = {}
        if self.url is not None and self.engine in self.URLS:
            found[self.URLS[self.engine]] = self.url
        if self.key_from is not None:
            found[self.KEYS[self.engine]] = self.key_from
        if self.region is not None:
            found[self.REGION] = self.region
        return found

    def rules(self) -> Iterator[Broken]:
        """What the engine needs, and what it does not know."""
        if self.key_from is None and not (self.engine == "openai" and self.url is not None):
            allowed = "a reference to an existing Secret; or engine openai with the url of a server that wants no key"
            yield Broken("keyFrom", None, allowed, ("engine", "url"))
        if self.url is not None and self.engine not in self.URLS:
            yield Broken("url", self.url, f"null, because {self.engine} has no other", ("engine",))
        if self.region is not None and self.engine != "azure":
            yield Broken("region", self.region, "only with engine azure", ("engine",))


class SpeechToTextSettings(SpeechSettings):
    """A server that writes down what people say, in place of Whisper in the WebUI's own pods."""

    URLS: ClassVar = {
        "azure": "AUDIO_STT_AZURE_BASE_URL",
        "mistral": "AUDIO_STT_MISTRAL_API_BASE_URL",
        "openai": "AUDIO_STT_OPENAI_API_BASE_URL",
    }
    KEYS: ClassVar = {
        "azure": "AUDIO_STT_AZURE_API_KEY",
        "deepgram": "DEEPGRAM_API_KEY",
        "mistral": "AUDIO_STT_MISTRAL_API_KEY",
        "openai": "AUDIO_STT_OPENAI_API_KEY",
    }
    REGION: ClassVar = "AUDIO_STT_AZURE_REGION"
    DERIVED: ClassVar = frozenset({*URLS.values(), *KEYS.values(), REGION})

    engine: Annotated[Literal["openai", "azure", "deepgram", "mistral"], Variable("AUDIO_STT_ENGINE")]
    """What the server speaks; `openai` goes for all compatible ones."""
    model: Annotated[Text | None, Variable("AUDIO_STT_MODEL")] = None
    """The model, such as `whisper-1`; Azure has none to choose."""

    def rules(self) -> Iterator[Broken]:
        """An OpenAI-compatible server is asked for a model by name, and there is no default."""
        yield from super().rules()
        if self.engine == "openai" and self.model is None:
            yield Broken("model", None, "the name of a model, with engine openai", ("engine",))
        if self.engine == "azure" and self.model is not None:
            yield Broken("model", self.model, "null, with engine azure", ("engine",))


class TextToSpeechSettings(SpeechSettings):
    """A server that reads answers out, in place of the browser's own voices."""

    URLS: ClassVar = {
        "azure": "AUDIO_TTS_AZURE_SPEECH_BASE_URL",
        "elevenlabs": "ELEVENLABS_API_BASE_URL",
        "mistral": "AUDIO_TTS_MISTRAL_API_BASE_URL",
        "openai": "AUDIO_TTS_OPENAI_API_BASE_URL",
    }
    KEYS: ClassVar = {
        "azure": "AUDIO_TTS_API_KEY",
        "elevenlabs": "AUDIO_TTS_API_KEY",
        "mistral": "AUDIO_TTS_MISTRAL_API_KEY",
        "openai": "AUDIO_TTS_OPENAI_API_KEY",
    }
    REGION: ClassVar = "AUDIO_TTS_AZURE_SPEECH_REGION"
    DERIVED: ClassVar = frozenset({*URLS.values(), *KEYS.values(), REGION})

    engine: Annotated[Literal["openai", "azure", "elevenlabs", "mistral"], Variable("AUDIO_TTS_ENGINE")]
    """What the server speaks; `openai` goes for all compatible ones."""
    model: Annotated[Text | None, Variable("AUDIO_TTS_MODEL")] = None
    """The model; null for `tts-1`, which is OpenAI's."""
    voice: Annotated[Text | None, Variable("AUDIO_TTS_VOICE")] = None
    """The voice; null for `alloy`, which is OpenAI's."""

    def rules(self) -> Iterator[Broken]:
        """Open WebUI's defaults are OpenAI's names, which no other provider knows."""
        yield from super().rules()
        if self.engine != "openai" and self.voice is None:
            yield Broken("voice", None, f"a voice that {self.engine} has", ("engine",))
        if self.engine in ("elevenlabs", "mistral") and self.model is None:
            yield Broken("model", None, f"a model that {self.engine} has", ("engine",))
