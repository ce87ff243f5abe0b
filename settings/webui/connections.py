"""Settings of the servers that the WebUI uses: models, retrieval, speech.

From the first start on, Open WebUI keeps these in its database, unless `airis:webui.enablePersistentConfig` is false
(open_webui/models/config.py, seed_defaults).
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
    """Reference to an existing Secret with the API key, without semicolons; null sends none."""
    models: tuple[Text, ...] = ()
    """Models to offer; an empty list for all models of the server."""
    prefix: ModelPrefix | None = None
    """Prefix of the model names, followed by a dot, if several servers have models of the same name."""

    def options(self) -> dict[str, Any]:
        """The server's entry in `OPENAI_API_CONFIGS`. Source: open_webui/routers/openai.py, get_all_models_responses."""
        return {
            **({"model_ids": list(self.models)} if self.models else {}),
            **({"prefix_id": self.prefix} if self.prefix else {}),
        }


class PipelinesSettings(Settings):
    """An existing Pipelines server, which airis does not deploy. Open WebUI treats it as an OpenAI-compatible server."""

    url: OpenAiUrl
    """URL of the server, such as `http://pipelines.airis.svc:9099`."""
    key_from: SecretKeyRef
    """Reference to an existing Secret with the server's key, `PIPELINES_API_KEY`."""


class ConnectionsSettings(VariableSettings):
    """Servers that the WebUI uses, in addition to the stack's Ollama.

    Kept in Open WebUI's database from the first start on. Later changes have an effect only with
    `airis:webui.enablePersistentConfig: false`, or must be made in the browser.
    """

    DERIVED: ClassVar = frozenset(
        {"ENABLE_OPENAI_API", "OPENAI_API_BASE_URLS", "OPENAI_API_CONFIGS", "OPENAI_API_KEYS", *_KEYS}
    )

    ollama_urls: tuple[OllamaUrl, ...] = ()
    """URLs of additional Ollama servers, after the stack's own. The only ones with `airis:ollama.enabled: false`."""
    former_ollama_urls: tuple[OllamaUrl, ...] = ()
    """URLs of previous Ollama servers, such as those of a Helm release. Before the WebUI starts, they are replaced in Open
    WebUI's database by the stack's Ollama and `ollamaUrls`. Written by `airis adopt`."""
    openai: Annotated[tuple[OpenAiSettings, ...], Field(max_length=_MOST)] | None = None
    """OpenAI-compatible servers. Null for Open WebUI's default: api.openai.com, with the key that administrators set in the
    browser. An empty list disables OpenAI-compatible servers."""
    pipelines: PipelinesSettings | None = None
    """A Pipelines server, after those of `openai`. If it is set, `openai: null` means an empty list."""
    content_extraction: ContentExtractionSettings | None = None
    """Server that extracts text from documents; null for Open WebUI's built-in loaders."""
    embeddings: EmbeddingsSettings | None = None
    """Server that computes embeddings; null for a local model in the WebUI's pods."""
    reranking: RerankingSettings | None = None
    """Server that reranks search results; null for no reranking."""
    speech_to_text: SpeechToTextSettings | None = None
    """Server for speech-to-text; null for Whisper in the WebUI's pods."""
    text_to_speech: TextToSpeechSettings | None = None
    """Server for text-to-speech; null for the browser's voices."""

    def derived(self) -> Mapping[str, Value]:
        """The servers' URLs and keys, in two lists of the same order.

        Keys stay in their Secrets: each has its own variable, by reference, which Kubernetes expands in the list.
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
            # With an empty list, Open WebUI would use OPENAI_API_KEY instead; it drops surplus items
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
        """The URLs of all servers."""
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
        """Each server once. Several with the same URL need different model prefixes."""
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
        """Settings that need an Ollama server if there is none. Keys are relative to the stack."""
        embeddings = self.embeddings
        needed = embeddings is not None and embeddings.engine == "ollama" and embeddings.url is None
        if needed and not own_ollama and not self.ollama_urls:
            allowed = "the URL of an Ollama server, because the stack has none"
            reads = ("ollama.enabled", "webui.connections.ollamaUrls")
            yield Broken("webui.connections.embeddings.url", None, allowed, reads)
        if self.former_ollama_urls and not own_ollama and not self.ollama_urls:
            reads = ("ollama.enabled", "webui.connections.ollamaUrls")
            shown = list(self.former_ollama_urls)
            yield Broken("webui.connections.formerOllamaUrls", shown, "[], because no server replaces them", reads)

    def warnings(self, *, closed: bool) -> Iterator[str]:
        """Settings that work, but may cause problems later. `closed`: whether egress is restricted to the stack."""
        if closed and self.urls:
            yield (
                "airis:webui.connections: airis:network.restrictEgress blocks connections to "
                f"{', '.join(self.urls)}; add their addresses to airis:network.egressTo"
            )
