"""Settings of the servers that the WebUI works with: models, retrieval, speech.

Open WebUI keeps all of these in its database from the first start that knows them on, unless
`airis:webui.enablePersistentConfig` is false (open_webui/models/config.py, seed_defaults).
"""

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from settings.types.base import Broken, Settings
from settings.types.open_webui import ModelPrefix, OllamaUrl, OpenAiUrl, Text
from settings.types.references import SecretKeyRef
from settings.types.variables import Value, VariableSettings
from settings.webui.retrieval import ContentExtractionSettings, EmbeddingsSettings, RerankingSettings
from settings.webui.speech import SpeechToTextSettings, TextToSpeechSettings

_MOST = 32
_KEYS = tuple(f"AIRIS_OPENAI_KEY_{index}" for index in range(_MOST + 1))


class OpenAiSettings(Settings):
    """A server with an OpenAI-compatible API: OpenAI, vLLM, LiteLLM, llama.cpp, ..."""

    url: OpenAiUrl
    """Base URL, such as `https://api.openai.com/v1`."""
    key_from: SecretKeyRef | None = None
    """An existing Secret with the API key, without semicolons; null sends none."""
    models: tuple[Text, ...] = ()
    """The models to offer; an empty list for all that the server has."""
    prefix: ModelPrefix | None = None
    """What is put in front of the models' names, with a dot, where several servers have models of one name."""

    def options(self) -> dict[str, Any]:
        """What of it goes into `OPENAI_API_CONFIGS`. Source: open_webui/routers/openai.py, get_all_models_responses."""
        return {
            **({"model_ids": list(self.models)} if self.models else {}),
            **({"prefix_id": self.prefix} if self.prefix else {}),
        }


class PipelinesSettings(Settings):
    """A Pipelines server of your own. To Open WebUI it is one more OpenAI-compatible server; airis runs none."""

    url: OpenAiUrl
    """URL of the server, such as `http://pipelines.airis.svc:9099`."""
    key_from: SecretKeyRef
    """An existing Secret with its key, `PIPELINES_API_KEY`."""


class ConnectionsSettings(VariableSettings):
    """Servers beside the stack's own Ollama. Kept in Open WebUI's database from the first start on: later changes have an
    effect only with `airis:webui.enablePersistentConfig: false`, or by hand in the browser.
    """

    DERIVED: ClassVar = frozenset(
        {"ENABLE_OPENAI_API", "OPENAI_API_BASE_URLS", "OPENAI_API_CONFIGS", "OPENAI_API_KEYS", *_KEYS}
    )

    ollama_urls: tuple[OllamaUrl, ...] = ()
    """Further Ollama servers, after the stack's own; without own ones (`airis:ollama.enabled: false`), the only ones."""
    former_ollama_urls: tuple[OllamaUrl, ...] = ()
    """Ollama servers of before, such as those of a Helm release. Where Open WebUI's database still has one, the stack's own and
    those above take its place there before the WebUI starts. `airis adopt` fills this in."""
    openai: Annotated[tuple[OpenAiSettings, ...], Field(max_length=_MOST)] | None = None
    """OpenAI-compatible servers. Null leaves it to Open WebUI: api.openai.com, with whatever key the browser gives it. An
    empty list turns such servers off."""
    pipelines: PipelinesSettings | None = None
    """A Pipelines server, after those of `openai`. With it, null there means an empty list."""
    content_extraction: ContentExtractionSettings | None = None
    """What turns documents into text; null for Open WebUI's own loaders."""
    embeddings: EmbeddingsSettings | None = None
    """What turns text into vectors; null for a model in the WebUI's own pods."""
    reranking: RerankingSettings | None = None
    """What puts search results into order; null leaves them as they are."""
    speech_to_text: SpeechToTextSettings | None = None
    """What writes down what people say; null for Whisper in the WebUI's own pods."""
    text_to_speech: TextToSpeechSettings | None = None
    """What reads answers out; null for the browser's own voices."""

    def derived(self) -> Mapping[str, Value]:
        """The servers' URLs and keys, in two lists of one order.

        Keys stay in their Secrets: each has a variable of its own, by reference, and Kubernetes puts them into the list.
        """
        servers = self._openai_servers()
        if servers is None:
            return {}
        if not servers:
            return {"ENABLE_OPENAI_API": "False"}
        keys: dict[str, Value] = {
            name: server.key_from for name, server in zip(_KEYS, servers, strict=False) if server.key_from is not None
        }
        listed = ";".join(f"$({name})" if name in keys else "" for name in _KEYS[: len(servers)])
        options = {str(index): server.options() for index, server in enumerate(servers) if server.options()}
        return {
            **keys,
            "ENABLE_OPENAI_API": "True",
            "OPENAI_API_BASE_URLS": ";".join(server.url for server in servers),
            # An empty list would have Open WebUI take OPENAI_API_KEY instead; an item too many is cut off
            "OPENAI_API_KEYS": listed or ";",
            **({"OPENAI_API_CONFIGS": json.dumps(options, ensure_ascii=False)} if options else {}),
        }

    def _openai_servers(self) -> tuple[OpenAiSettings, ...] | None:
        if self.pipelines is None:
            return self.openai
        pipelines = OpenAiSettings(url=self.pipelines.url, key_from=self.pipelines.key_from)
        return (*(self.openai or ()), pipelines)

    @property
    def urls(self) -> tuple[str, ...]:
        """Every server that is named here."""
        single = (
            self.content_extraction,
            self.embeddings,
            self.reranking,
            self.speech_to_text,
            self.text_to_speech,
        )
        return (
            *self.ollama_urls,
            *(server.url for server in self._openai_servers() or ()),
            *(each.url for each in single if each is not None and each.url is not None),
        )

    def rules(self) -> Iterator[Broken]:
        """Each server once; two of one URL can only be told apart by their models' names."""
        for index, url in enumerate(self.ollama_urls):
            if url in self.ollama_urls[:index]:
                yield Broken(f"ollamaUrls.{index}", url, "each server once")
        seen: set[tuple[str, str | None]] = set()
        for index, server in enumerate(self.openai or ()):
            if (server.url, server.prefix) in seen:
                allowed = "each server once, or each time with another prefix"
                yield Broken(f"openai.{index}.url", server.url, allowed, (f"openai.{index}.prefix",))
            seen.add((server.url, server.prefix))

    def in_stack(self, *, own_ollama: bool) -> Iterator[Broken]:
        """What needs an Ollama server that there is none of; keys are relative to the stack."""
        embeddings = self.embeddings
        needed = embeddings is not None and embeddings.engine == "ollama" and embeddings.url is None
        if needed and not own_ollama and not self.ollama_urls:
            allowed = "the URL of an Ollama server, because the stack has none"
            reads = ("ollama.enabled", "webui.connections.ollamaUrls")
            yield Broken("webui.connections.embeddings.url", None, allowed, reads)
        if self.former_ollama_urls and not own_ollama and not self.ollama_urls:
            reads = ("ollama.enabled", "webui.connections.ollamaUrls")
            shown = list(self.former_ollama_urls)
            yield Broken(
                "webui.connections.formerOllamaUrls", shown, "[]: there is no server to take their place", reads
            )

    def warnings(self, *, closed: bool) -> Iterator[str]:
        """What works, and may surprise later. `closed`: whether pods may reach nothing outside."""
        if closed and self.urls:
            yield (
                "airis:webui.connections: airis:network.restrictEgress keeps the WebUI from "
                f"{', '.join(self.urls)}; add their addresses to airis:network.egressTo"
            )
