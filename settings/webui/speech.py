"""Settings of the servers for speech-to-text and text-to-speech.

From the first start on, Open WebUI keeps these in its database, unless `airis:webui.enablePersistentConfig` is false.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal

from settings.types.base import Broken
from settings.types.open_webui import Endpoint, Text
from settings.types.references import SecretKeyRef
from settings.types.variables import Value, Variable, VariableSettings


class SpeechSettings(VariableSettings):
    """Settings that speech-to-text and text-to-speech have in common."""

    URLS: ClassVar[Mapping[str, str]] = {}
    """The variable with the URL, by engine; other engines have a fixed URL."""
    KEYS: ClassVar[Mapping[str, str]] = {}
    """The variable with the key, by engine."""
    REGION: ClassVar[str] = ""
    """The variable with Azure's region."""

    engine: str
    """API of the server."""
    url: Endpoint | None = None
    """Base URL of the server; null for the provider's URL. Not supported by Deepgram."""
    key_from: SecretKeyRef | None = None
    """Reference to an existing Secret with the API key; null only for an OpenAI-compatible server without authentication."""
    region: Text | None = None
    """Azure region, such as `westeurope`; null for `eastus`."""

    def derived(self) -> Mapping[str, Value]:
        """Each engine has its own variables."""
        found: dict[str, Value] = {}
        if self.url is not None and self.engine in self.URLS:
            found[self.URLS[self.engine]] = self.url
        if self.key_from is not None:
            found[self.KEYS[self.engine]] = self.key_from
        if self.region is not None:
            found[self.REGION] = self.region
        return found

    def rules(self) -> Iterator[Broken]:
        """Settings that the engine requires, and settings that it does not support."""
        if self.key_from is None and not (self.engine == "openai" and self.url is not None):
            allowed = "a reference to an existing Secret; or engine openai with the url of a server that needs no key"
            yield Broken("keyFrom", None, allowed, ("engine", "url"))
        if self.url is not None and self.engine not in self.URLS:
            yield Broken("url", self.url, f"null, because {self.engine} has a fixed URL", ("engine",))
        if self.region is not None and self.engine != "azure":
            yield Broken("region", self.region, "only with engine azure", ("engine",))


class SpeechToTextSettings(SpeechSettings):
    """Server for speech-to-text, instead of Whisper in the WebUI's pods."""

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
    """API of the server; `openai` for all compatible servers."""
    model: Annotated[Text | None, Variable("AUDIO_STT_MODEL")] = None
    """Speech-to-text model, such as `whisper-1`; null with `azure`."""

    def rules(self) -> Iterator[Broken]:
        """An OpenAI-compatible server needs the name of a model, and there is no default."""
        yield from super().rules()
        if self.engine == "openai" and self.model is None:
            yield Broken("model", None, "the name of a model, with engine openai", ("engine",))
        if self.engine == "azure" and self.model is not None:
            yield Broken("model", self.model, "null, with engine azure", ("engine",))


class TextToSpeechSettings(SpeechSettings):
    """Server for text-to-speech, instead of the browser's voices."""

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
    """API of the server; `openai` for all compatible servers."""
    model: Annotated[Text | None, Variable("AUDIO_TTS_MODEL")] = None
    """Text-to-speech model; null for OpenAI's `tts-1`."""
    voice: Annotated[Text | None, Variable("AUDIO_TTS_VOICE")] = None
    """Voice; null for OpenAI's `alloy`."""

    def rules(self) -> Iterator[Broken]:
        """Open WebUI's defaults are OpenAI's names, which no other provider supports."""
        yield from super().rules()
        if self.engine != "openai" and self.voice is None:
            yield Broken("voice", None, f"a voice of {self.engine}", ("engine",))
        if self.engine in ("elevenlabs", "mistral") and self.model is None:
            yield Broken("model", None, f"a model of {self.engine}", ("engine",))
