"""Servers that the WebUI uses: their variables, the order of these, and keys by reference."""

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from airis.render import program
from settings import load
from settings.webui.connections import ConnectionsSettings
from tests.unit.conftest import Refuse
from tests.unit.drawing import container, draw_once, draw_program, env, manifest, names, stack_of

pytestmark = pytest.mark.timeout(60)

OWN = "http://ollama-service.airis.svc.cluster.local:11434"
GPU_BOX = "http://gpu.example.com:11434"


def key(name: str) -> dict[str, str]:
    return {"name": name, "key": "api"}


def reference(name: str) -> dict[str, Any]:
    return {"secretKeyRef": key(name)}


def webui_env(**settings: object) -> dict[str, Any]:
    return env(manifest(draw_once(**settings), "Deployment", "airis-deployment"))


def added(**connections: object) -> Mapping[str, Any]:
    """The variables that these settings add to the defaults, or change."""
    before, after = webui_env(), webui_env(webui={"connections": connections})
    assert before.keys() - {"OLLAMA_BASE_URL"} <= after.keys()
    return {name: value for name, value in after.items() if before.get(name) != value}


def expanded(workload: Mapping[str, Any], secrets: Mapping[str, str]) -> dict[str, str]:
    """The environment as the kubelet expands it: `$(NAME)` only from earlier variables."""
    found: dict[str, str] = {}
    for each in container(workload)["env"]:
        if "valueFrom" in each:
            found[each["name"]] = secrets.get(each["valueFrom"]["secretKeyRef"]["name"], "other")
        else:
            found[each["name"]] = re.sub(r"\$\((\w+)\)", lambda at: found.get(at[1], at[0]), each["value"])
    return found


def test_default_sets_no_variables() -> None:
    assert added() == {}
    assert ConnectionsSettings().urls == ()


def test_other_ollama_servers_come_after_the_stacks_own() -> None:
    urls = [GPU_BOX, "https://ollama.example.org/path"]
    assert added(ollamaUrls=urls) == {"OLLAMA_BASE_URLS": ";".join([OWN, *urls])}
    assert "OLLAMA_BASE_URL" not in webui_env(webui={"connections": {"ollamaUrls": urls}})


def test_several_pods_of_the_stacks_ollama_come_first() -> None:
    variables = webui_env(ollama={"replicas": 2}, webui={"connections": {"ollamaUrls": [GPU_BOX]}})
    assert variables["OLLAMA_BASE_URLS"].split(";") == [
        "http://ollama-0.ollama.airis.svc.cluster.local:11434",
        "http://ollama-1.ollama.airis.svc.cluster.local:11434",
        GPU_BOX,
    ]


def test_former_servers_are_passed_only_to_the_prepare_container() -> None:
    former = ["http://open-webui-ollama.chat.svc:11434", "http://old:11434"]
    workload = manifest(
        draw_once(webui={"connections": {"formerOllamaUrls": former}}), "Deployment", "airis-deployment"
    )
    (prepare,) = workload["spec"]["template"]["spec"]["initContainers"]
    server = container(workload)
    assert server["env"] == container(manifest(draw_once(), "Deployment", "airis-deployment"))["env"]
    assert [each for each in prepare["env"] if each not in server["env"]] == [
        {"name": "AIRIS_FORMER_OLLAMA_URLS", "value": ";".join(former)}
    ]


def test_without_its_own_ollama_a_stack_uses_the_other_servers() -> None:
    variables = webui_env(ollama={"enabled": False}, webui={"connections": {"ollamaUrls": [GPU_BOX]}})
    assert variables["OLLAMA_BASE_URL"] == GPU_BOX
    assert not variables.keys() & {"OLLAMA_BASE_URLS", "ENABLE_OLLAMA_API"}


def test_a_stack_without_any_ollama() -> None:
    drawn = draw_once(ollama={"enabled": False, "models": ["llama3.2:1b"], "gpu": {"count": 2}})
    assert [str(each) for each in drawn.objects if "ollama" in each.name] == []
    assert names(drawn, "PersistentVolumeClaim") == ["airis-pvc"]
    assert (drawn.exports["gpu"], drawn.exports["ollamaUrls"]) == ({}, [])
    variables = env(manifest(drawn, "Deployment", "airis-deployment"))
    assert variables["ENABLE_OLLAMA_API"] == "False"
    assert not variables.keys() & {"OLLAMA_BASE_URL", "OLLAMA_BASE_URLS"}


def test_enabled_ollama_is_the_default() -> None:
    said, unsaid = (
        {str(each): each.manifest for each in draw_once(**given).objects}
        for given in ({"ollama": {"enabled": True}, "webui": {"connections": {}, "auth": {}}}, {})
    )
    assert said == unsaid
    assert "StatefulSet/ollama" in said
    assert "ENABLE_OLLAMA_API" not in webui_env()


def test_an_unused_image_may_have_a_mutable_tag_in_production() -> None:
    production = {"production": True, "webui": {"image": "airis:1.2.3"}}
    stack = stack_of(**production, ollama={"enabled": False, "image": "ollama/ollama:latest"})
    assert program.run(stack).objects
    assert [each for each in load(stack.config, source="x").warnings() if "airis:ollama" in each] == []


def test_without_ollama_the_policy_has_no_rule_for_it() -> None:
    drawn = draw_once(ollama={"enabled": False}, network={"restrictEgress": True})
    (egress,) = manifest(drawn, "NetworkPolicy", "airis")["spec"]["egress"]
    assert "to" not in egress


@pytest.mark.parametrize(
    ("given", "found"),
    [("", {}), (", ollama_urls=[]", {"ENABLE_OLLAMA_API": "False"})],
    ids=["left to the administrator", "none"],
)
def test_the_component_outside_of_a_stack(given: str, found: dict[str, str], tmp_path: Any) -> None:
    drawn = draw_program(tmp_path, f'from components import WebUI\nWebUI("chat", namespace="apps"{given})\n')
    variables = env(manifest(drawn, "Deployment", "chat-deployment"))
    assert {name: value for name, value in variables.items() if "OLLAMA" in name} == found


def test_keys_and_urls_are_in_the_same_order() -> None:
    servers = [
        {"url": "https://a.example.com/v1", "keyFrom": key("a")},
        {"url": "https://b.example.com/v1"},
        {"url": "https://c.example.com/v1", "keyFrom": key("c")},
    ]
    assert added(openai=servers) == {
        "AIRIS_OPENAI_KEY_0": reference("a"),
        "AIRIS_OPENAI_KEY_2": reference("c"),
        "ENABLE_OPENAI_API": "True",
        "OPENAI_API_BASE_URLS": "https://a.example.com/v1;https://b.example.com/v1;https://c.example.com/v1",
        "OPENAI_API_KEYS": "$(AIRIS_OPENAI_KEY_0);;$(AIRIS_OPENAI_KEY_2)",
    }
    workload = manifest(draw_once(webui={"connections": {"openai": servers}}), "Deployment", "airis-deployment")
    assert expanded(workload, {"a": "sk-a", "c": "sk-c"})["OPENAI_API_KEYS"] == "sk-a;;sk-c"


def test_key_variables_come_before_the_list_that_expands_them() -> None:
    servers = [{"url": f"https://{each}.example.com/v1", "keyFrom": key("k")} for each in range(32)]
    connections = {"openai": servers, "pipelines": {"url": "http://pipelines:9099", "keyFrom": key("pipelines")}}
    workload = manifest(draw_once(webui={"connections": connections}), "Deployment", "airis-deployment")
    keys = expanded(workload, {"k": "sk", "pipelines": "p"})["OPENAI_API_KEYS"]
    assert keys.split(";") == ["sk"] * 32 + ["p"]


@pytest.mark.parametrize("count", [1, 2])
def test_servers_without_keys_do_not_use_another_variable(count: int) -> None:
    servers = [{"url": f"http://{each}.example.com/v1"} for each in range(count)]
    assert added(openai=servers)["OPENAI_API_KEYS"] == ";"


def test_an_empty_list_disables_openai_and_null_does_not() -> None:
    assert added(openai=[]) == {"ENABLE_OPENAI_API": "False"}
    assert added(openai=None) == {}


def test_options_of_a_server_have_its_index() -> None:
    servers = [
        {"url": "https://a.example.com/v1"},
        {"url": "https://b.example.com/v1", "models": ["gpt-x", "gpt-ä"], "prefix": "b"},
    ]
    assert json.loads(added(openai=servers)["OPENAI_API_CONFIGS"]) == {
        "1": {"model_ids": ["gpt-x", "gpt-ä"], "prefix_id": "b"}
    }


def test_pipelines_is_an_additional_openai_server() -> None:
    pipelines = {"url": "http://pipelines.tools.svc:9099", "keyFrom": key("pipelines")}
    after = [{"url": "https://a.example.com/v1", "keyFrom": key("a")}]
    assert added(openai=after, pipelines=pipelines)["OPENAI_API_BASE_URLS"].split(";") == [
        "https://a.example.com/v1",
        "http://pipelines.tools.svc:9099",
    ]
    assert (
        added(pipelines=pipelines)
        == added(openai=[], pipelines=pipelines)
        == {
            "AIRIS_OPENAI_KEY_0": reference("pipelines"),
            "ENABLE_OPENAI_API": "True",
            "OPENAI_API_BASE_URLS": "http://pipelines.tools.svc:9099",
            "OPENAI_API_KEYS": "$(AIRIS_OPENAI_KEY_0)",
        }
    )


@pytest.mark.parametrize(
    ("extraction", "variables"),
    [
        ({"engine": "tika"}, {"TIKA_SERVER_URL": "http://documents:9998"}),
        ({"engine": "docling"}, {"DOCLING_SERVER_URL": "http://documents:9998"}),
        (
            {"engine": "docling", "keyFrom": key("docling")},
            {"DOCLING_SERVER_URL": "http://documents:9998", "DOCLING_API_KEY": reference("docling")},
        ),
        (
            {"engine": "external", "keyFrom": key("loader")},
            {
                "EXTERNAL_DOCUMENT_LOADER_URL": "http://documents:9998",
                "EXTERNAL_DOCUMENT_LOADER_API_KEY": reference("loader"),
            },
        ),
    ],
    ids=str,
)
def test_content_extraction_variables(extraction: dict[str, Any], variables: dict[str, Any]) -> None:
    assert added(contentExtraction={**extraction, "url": "http://documents:9998"}) == {
        "CONTENT_EXTRACTION_ENGINE": extraction["engine"],
        **variables,
    }


@pytest.mark.parametrize(
    ("embeddings", "variables"),
    [
        ({"engine": "ollama", "model": "nomic-embed-text"}, {}),
        (
            {"engine": "ollama", "model": "m", "url": GPU_BOX, "keyFrom": key("e"), "batchSize": 8},
            {
                "RAG_OLLAMA_BASE_URL": GPU_BOX,
                "RAG_OLLAMA_API_KEY": reference("e"),
                "RAG_EMBEDDING_BATCH_SIZE": "8",
            },
        ),
        ({"engine": "openai", "model": "m", "keyFrom": key("e")}, {"RAG_OPENAI_API_KEY": reference("e")}),
        (
            {"engine": "openai", "model": "m", "url": "http://vllm:8000/v1"},
            {"RAG_OPENAI_API_BASE_URL": "http://vllm:8000/v1"},
        ),
        (
            {
                "engine": "azure_openai",
                "model": "m",
                "url": "https://a.openai.azure.com",
                "keyFrom": key("e"),
                "apiVersion": "2024-10-21",
            },
            {
                "RAG_AZURE_OPENAI_BASE_URL": "https://a.openai.azure.com",
                "RAG_AZURE_OPENAI_API_KEY": reference("e"),
                "RAG_AZURE_OPENAI_API_VERSION": "2024-10-21",
            },
        ),
    ],
    ids=str,
)
def test_embeddings_variables(embeddings: dict[str, Any], variables: dict[str, Any]) -> None:
    assert added(embeddings=embeddings) == {
        "RAG_EMBEDDING_ENGINE": embeddings["engine"],
        "RAG_EMBEDDING_MODEL": embeddings["model"],
        **variables,
    }


def test_with_several_ollama_servers_the_first_computes_embeddings() -> None:
    embeddings = {"engine": "ollama", "model": "nomic-embed-text"}
    both = added(ollamaUrls=[GPU_BOX], embeddings=embeddings)
    assert both["RAG_OLLAMA_BASE_URL"] == OWN
    elsewhere = added(ollamaUrls=[GPU_BOX], embeddings={**embeddings, "url": "http://other:11434"})
    assert elsewhere["RAG_OLLAMA_BASE_URL"] == "http://other:11434"
    assert "RAG_OLLAMA_BASE_URL" not in added(ollamaUrls=[GPU_BOX])


def test_reranking_variables() -> None:
    reranking = {"url": "http://rerank:8000/v1/rerank", "model": "r", "keyFrom": key("r"), "timeoutSeconds": 5}
    assert added(reranking=reranking) == {
        "ENABLE_RAG_HYBRID_SEARCH": "True",
        "RAG_RERANKING_ENGINE": "external",
        "RAG_RERANKING_MODEL": "r",
        "RAG_EXTERNAL_RERANKER_URL": "http://rerank:8000/v1/rerank",
        "RAG_EXTERNAL_RERANKER_API_KEY": reference("r"),
        "RAG_EXTERNAL_RERANKER_TIMEOUT": "5",
    }


@pytest.mark.parametrize(
    ("engine", "more", "variables"),
    [
        (
            "openai",
            {"url": "http://whisper:8000/v1", "model": "whisper-1", "keyFrom": key("s")},
            {
                "AUDIO_STT_OPENAI_API_BASE_URL": "http://whisper:8000/v1",
                "AUDIO_STT_OPENAI_API_KEY": reference("s"),
                "AUDIO_STT_MODEL": "whisper-1",
            },
        ),
        (
            "openai",
            {"url": "http://w/v1", "model": "w"},
            {"AUDIO_STT_OPENAI_API_BASE_URL": "http://w/v1", "AUDIO_STT_MODEL": "w"},
        ),
        (
            "azure",
            {"region": "westeurope", "url": "https://speech.example.com", "keyFrom": key("s")},
            {
                "AUDIO_STT_AZURE_REGION": "westeurope",
                "AUDIO_STT_AZURE_BASE_URL": "https://speech.example.com",
                "AUDIO_STT_AZURE_API_KEY": reference("s"),
            },
        ),
        ("deepgram", {"keyFrom": key("s")}, {"DEEPGRAM_API_KEY": reference("s")}),
        (
            "mistral",
            {"keyFrom": key("s"), "url": "https://m/v1"},
            {"AUDIO_STT_MISTRAL_API_KEY": reference("s"), "AUDIO_STT_MISTRAL_API_BASE_URL": "https://m/v1"},
        ),
    ],
)
def test_speech_to_text_variables(engine: str, more: dict[str, Any], variables: dict[str, Any]) -> None:
    assert added(speechToText={"engine": engine, **more}) == {"AUDIO_STT_ENGINE": engine, **variables}


@pytest.mark.parametrize(
    ("engine", "more", "variables"),
    [
        (
            "openai",
            {"url": "http://tts:8000/v1", "keyFrom": key("s")},
            {"AUDIO_TTS_OPENAI_API_BASE_URL": "http://tts:8000/v1", "AUDIO_TTS_OPENAI_API_KEY": reference("s")},
        ),
        (
            "azure",
            {"region": "westeurope", "voice": "v", "url": "https://a", "keyFrom": key("s")},
            {
                "AUDIO_TTS_AZURE_SPEECH_REGION": "westeurope",
                "AUDIO_TTS_AZURE_SPEECH_BASE_URL": "https://a",
                "AUDIO_TTS_API_KEY": reference("s"),
                "AUDIO_TTS_VOICE": "v",
            },
        ),
        (
            "elevenlabs",
            {"model": "m", "voice": "v", "url": "https://e", "keyFrom": key("s")},
            {
                "ELEVENLABS_API_BASE_URL": "https://e",
                "AUDIO_TTS_API_KEY": reference("s"),
                "AUDIO_TTS_MODEL": "m",
                "AUDIO_TTS_VOICE": "v",
            },
        ),
        (
            "mistral",
            {"model": "m", "voice": "v", "url": "https://m/v1", "keyFrom": key("s")},
            {
                "AUDIO_TTS_MISTRAL_API_BASE_URL": "https://m/v1",
                "AUDIO_TTS_MISTRAL_API_KEY": reference("s"),
                "AUDIO_TTS_MODEL": "m",
                "AUDIO_TTS_VOICE": "v",
            },
        ),
    ],
)
def test_text_to_speech_variables(engine: str, more: dict[str, Any], variables: dict[str, Any]) -> None:
    assert added(textToSpeech={"engine": engine, **more}) == {"AUDIO_TTS_ENGINE": engine, **variables}


def test_servers_blocked_by_restricted_egress_are_warned_of() -> None:
    connections = {
        "ollamaUrls": [GPU_BOX],
        "openai": [{"url": "https://a.example.com/v1"}],
        "embeddings": {"engine": "openai", "model": "m", "url": "http://vllm:8000/v1"},
    }

    def told(**network: object) -> list[str]:
        stack = stack_of(webui={"connections": connections}, network=network)
        return [each for each in load(stack.config, source="x").warnings() if "restrictEgress" in each]

    (words,) = told(restrictEgress=True)
    assert all(url in words for url in (GPU_BOX, "https://a.example.com/v1", "http://vllm:8000/v1"))
    assert "airis:network.egressTo" in words
    assert told(restrictEgress=True, egressTo=["10.0.0.0/8"]) == []
    assert told() == told(restrictEgress=True, policies=False) == []


KEY = "{name: a, key: b}"
SERVER = "the server's base URL, such as http://gpu.example.com:11434"
BASE = "the base URL, such as https://api.example.com/v1"
PLAIN = "a URL without trailing /, query, user, ; and $("
ANY_URL = "a URL such as https://api.example.com/v1"
REQUIRED = "a value: this key is required"


@pytest.mark.parametrize(
    ("config", "path", "given", "allowed"),
    [
        ("ollamaUrls: ['http://a:11434/']", "ollamaUrls[0]", '"http://a:11434/"', PLAIN),
        ("ollamaUrls: ['http://a:11434/api']", "ollamaUrls[0]", '"http://a:11434/api"', SERVER),
        ("ollamaUrls: ['http://a:11434/v1']", "ollamaUrls[0]", '"http://a:11434/v1"', SERVER),
        ("ollamaUrls: ['a:11434']", "ollamaUrls[0]", '"a:11434"', ANY_URL),
        ("ollamaUrls: ['http://a;http://b']", "ollamaUrls[0]", '"http://a;http://b"', PLAIN),
        ("ollamaUrls: ['http://u:hunter2@a']", "ollamaUrls[0]", "[not shown]", PLAIN),
        ("ollamaUrls: ['http://a?b=c']", "ollamaUrls[0]", '"http://a?b=c"', PLAIN),
        ("ollamaUrls: ['http://a/$(HOME)']", "ollamaUrls[0]", '"http://a/$(HOME)"', PLAIN),
        ("formerOllamaUrls: ['http://a:11434/']", "formerOllamaUrls[0]", '"http://a:11434/"', PLAIN),
        ("ollamaUrls: ['http://a', 'http://a']", "ollamaUrls[1]", '"http://a"', "each server once"),
        ("openai: [{url: 'https://a/v1/'}]", "openai[0].url", '"https://a/v1/"', PLAIN),
        ("openai: [{url: 'https://a/v1/models'}]", "openai[0].url", '"https://a/v1/models"', BASE),
        ("openai: [{url: 'https://a/v1/chat/completions'}]", "openai[0].url", '"https://a/v1/chat/completions"', BASE),
        (f"openai: [{{keyFrom: {KEY}}}]", "openai[0].url", "nothing", REQUIRED),
        ("openai: [{url: 'https://a/v1', keyFrom: sk-1}]", "openai[0].keyFrom", "[not shown]", "keys and values"),
        ("openai: [{url: 'https://a/v1', prefix: 'a.b'}]", "openai[0].prefix", '"a.b"', "letters, digits, - and _"),
        ("openai: [{url: 'https://a/v1', models: ['']}]", "openai[0].models[0]", '""', "a text of one line"),
        (
            "openai: [{url: 'https://a/v1'}, {url: 'https://a/v1'}]",
            "openai[1].url",
            '"https://a/v1"',
            "each server once, or each time with another prefix",
        ),
        ("pipelines: {url: 'http://a:9099'}", "pipelines.keyFrom", "nothing", REQUIRED),
        (
            "contentExtraction: {engine: unstructured, url: 'http://a'}",
            "contentExtraction.engine",
            '"unstructured"',
            "one of",
        ),
        ("contentExtraction: {engine: tika}", "contentExtraction.url", "nothing", REQUIRED),
        (
            "contentExtraction: {engine: external, url: 'http://a'}",
            "contentExtraction.keyFrom",
            "null (the default)",
            "a reference to an existing Secret, with engine external",
        ),
        (
            f"contentExtraction: {{engine: tika, url: 'http://a', keyFrom: {KEY}}}",
            "contentExtraction.keyFrom",
            '{"name": "a"}',
            "null, because Tika has no keys",
        ),
        ("embeddings: {engine: ollama}", "embeddings.model", "nothing", REQUIRED),
        (
            "embeddings: {engine: openai, model: m}",
            "embeddings.keyFrom",
            "null (the default)",
            "a reference to an existing Secret; or also set url, for another server",
        ),
        (
            "embeddings: {engine: openai, model: m, url: 'http://a/v1/embeddings'}",
            "embeddings.url",
            '"http://a/v1/embeddings"',
            "the base URL",
        ),
        (
            "embeddings: {engine: ollama, model: m, url: 'http://a:11434/api'}",
            "embeddings.url",
            '"http://a:11434/api"',
            "the base URL of Ollama",
        ),
        (
            f"embeddings: {{engine: azure_openai, model: m, url: 'http://a', keyFrom: {KEY}}}",
            "embeddings.apiVersion",
            "null (the default)",
            "a value, with engine azure_openai",
        ),
        (
            f"embeddings: {{engine: azure_openai, model: m, apiVersion: '1', keyFrom: {KEY}}}",
            "embeddings.url",
            "null (the default)",
            "a value, with engine azure_openai",
        ),
        (
            "embeddings: {engine: ollama, model: m, apiVersion: '1'}",
            "embeddings.apiVersion",
            '"1"',
            "only with engine azure_openai",
        ),
        (
            "embeddings: {engine: ollama, model: m, batchSize: 0}",
            "embeddings.batchSize",
            "0",
            "a whole number, at least 1",
        ),
        ("reranking: {url: 'http://a'}", "reranking.model", "nothing", REQUIRED),
        (
            "reranking: {url: 'http://a', model: m, timeoutSeconds: 0}",
            "reranking.timeoutSeconds",
            "0",
            "a whole number, at least 1",
        ),
        (
            "speechToText: {engine: openai, model: w}",
            "speechToText.keyFrom",
            "null (the default)",
            "or engine openai with the url of a server that needs no key",
        ),
        (
            "speechToText: {engine: openai, url: 'http://a/v1'}",
            "speechToText.model",
            "null (the default)",
            "the name of a model, with engine openai",
        ),
        (
            f"speechToText: {{engine: azure, model: w, keyFrom: {KEY}}}",
            "speechToText.model",
            '"w"',
            "null, with engine azure",
        ),
        (
            f"speechToText: {{engine: deepgram, url: 'http://a', keyFrom: {KEY}}}",
            "speechToText.url",
            '"http://a"',
            "null, because deepgram has a fixed URL",
        ),
        (
            f"speechToText: {{engine: deepgram, region: a, keyFrom: {KEY}}}",
            "speechToText.region",
            '"a"',
            "only with engine azure",
        ),
        (
            f"textToSpeech: {{engine: azure, keyFrom: {KEY}}}",
            "textToSpeech.voice",
            "null (the default)",
            "a voice of azure",
        ),
        (
            f"textToSpeech: {{engine: elevenlabs, voice: v, keyFrom: {KEY}}}",
            "textToSpeech.model",
            "null (the default)",
            "a model of elevenlabs",
        ),
        ("textToSpeech: {engine: transformers}", "textToSpeech.engine", '"transformers"', "one of"),
    ],
)
def test_invalid_settings_are_refused(config: str, path: str, given: str, allowed: str, refuse: Refuse) -> None:
    said = refuse(f"airis:webui: {{connections: {{{config}}}}}")
    assert said.startswith("Pulumi.test.yaml: 1 setting is wrong"), said
    assert f"  airis:webui.connections.{path}\n    given    {given}\n" in said
    assert allowed in said


def test_more_servers_than_variables_for_their_keys_are_refused(refuse: Refuse) -> None:
    servers = ", ".join(f"{{url: 'http://{each}/v1'}}" for each in range(33))
    said = refuse(f"airis:webui: {{connections: {{openai: [{servers}]}}}}")
    assert "airis:webui.connections.openai\n" in said
    assert "at most 32" in said


def test_ollama_embeddings_require_an_ollama_server(refuse: Refuse) -> None:
    embeddings = "embeddings: {engine: ollama, model: m}"
    said = refuse(f"airis:ollama: {{enabled: false}}\nairis:webui: {{connections: {{{embeddings}}}}}")
    assert "  airis:webui.connections.embeddings.url\n    given    null (the default)\n" in said
    assert "the URL of an Ollama server, because the stack has none" in said


def test_former_servers_require_a_replacement(refuse: Refuse) -> None:
    said = refuse(
        f"airis:ollama: {{enabled: false}}\nairis:webui: {{connections: {{formerOllamaUrls: ['{GPU_BOX}']}}}}"
    )
    assert "  airis:webui.connections.formerOllamaUrls\n" in said
    assert "[], because no server replaces them" in said


@pytest.mark.parametrize(
    "connections",
    [
        {"embeddings": {"engine": "ollama", "model": "m", "url": GPU_BOX}},
        {"ollamaUrls": [GPU_BOX], "formerOllamaUrls": ["http://old:11434"]},
        {"embeddings": {"engine": "ollama", "model": "m"}, "ollamaUrls": [GPU_BOX]},
        {"openai": [{"url": "https://a/v1", "prefix": "a"}, {"url": "https://a/v1", "prefix": "b"}]},
        {"openai": [{"url": f"http://{each}/v1"} for each in range(32)]},
        {"ollamaUrls": ["http://a/apis", "https://10.0.0.1:11434"]},
    ],
    ids=lambda given: str(given)[:60],
)
def test_similar_valid_settings_are_accepted(connections: dict[str, Any]) -> None:
    assert program.run(stack_of(ollama={"enabled": False}, webui={"connections": connections})).objects


def test_variables_of_settings_are_refused_in_env(refuse: Refuse) -> None:
    for name, by in [
        ("OPENAI_API_KEYS", "airis:webui.connections"),
        ("AIRIS_OPENAI_KEY_31", "airis:webui.connections"),
        ("RAG_OLLAMA_BASE_URL", "airis:webui.connections.embeddings"),
        ("AUDIO_TTS_API_KEY", "airis:webui.connections.textToSpeech"),
        ("ENABLE_OLLAMA_API", "airis:ollama.enabled and airis:webui.connections.ollamaUrls"),
    ]:
        said = refuse(f"airis:webui: {{secretEnv: {{{name}: {KEY}}}}}")
        assert f"another name: airis sets this one itself, from {by}" in said
