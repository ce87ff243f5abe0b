"""Settings of the Ollama server: their variables, and values that Ollama would silently ignore."""

from collections.abc import Mapping
from typing import Any

import pytest

from settings.ollama.server import OllamaServerSettings
from settings.types.releases import OLLAMA
from settings.types.variables import declared
from tests.unit.conftest import Refuse
from tests.unit.drawing import draw, draw_once, env, manifest

pytestmark = pytest.mark.timeout(60)

READ_BY_OLLAMA = {
    # github.com/ollama/ollama, envconfig/config.go
    "OLLAMA_CONTEXT_LENGTH",
    "OLLAMA_DEBUG",
    "OLLAMA_FLASH_ATTENTION",
    "OLLAMA_GPU_OVERHEAD",
    "OLLAMA_KEEP_ALIVE",
    "OLLAMA_KV_CACHE_TYPE",
    "OLLAMA_LLM_LIBRARY",
    "OLLAMA_LOAD_TIMEOUT",
    "OLLAMA_MAX_LOADED_MODELS",
    "OLLAMA_MAX_QUEUE",
    "OLLAMA_MULTIUSER_CACHE",
    "OLLAMA_NEW_ENGINE",
    "OLLAMA_NOPRUNE",
    "OLLAMA_NO_CLOUD",
    "OLLAMA_NUM_PARALLEL",
    "OLLAMA_ORIGINS",
    "OLLAMA_REMOTES",
    "OLLAMA_SCHED_SPREAD",
}


def server(settings: Mapping[str, object], image: str = OLLAMA.image) -> dict[str, Any]:
    """The environment of an Ollama with these settings, and with a GPU."""
    return env(manifest(draw(ollama={"image": image, "server": settings, "gpu": {}}), "StatefulSet", "ollama"))


def test_default_sets_no_variables() -> None:
    assert READ_BY_OLLAMA.isdisjoint(env(manifest(draw_once(), "StatefulSet", "ollama")))


def test_only_variables_that_ollama_reads_are_set() -> None:
    assert set(declared(OllamaServerSettings, "server")) == READ_BY_OLLAMA


def test_every_setting_becomes_the_text_that_ollama_parses() -> None:
    settings = {
        "contextLength": 8192,
        "parallel": 4,
        "maxLoadedModels": 2,
        "maxQueue": 64,
        "keepAlive": "1h30m",
        "loadTimeout": "10m",
        "flashAttention": True,
        "kvCacheType": "q8_0",
        "multiUserCache": True,
        "schedSpread": False,
        "gpuOverhead": "1Gi",
        "llmLibrary": "cuda_v12",
        "newEngine": True,
        "cloud": True,
        "remotes": ["ollama.com", "models.example.com"],
        "origins": ["https://chat.example.com", "http://10.0.0.1:*"],
        "noPrune": True,
        "logLevel": "DEBUG",
    }
    drawn = server(settings, "ollama/ollama:0.17.4")  # a release that reads all of them
    assert {name: drawn[name] for name in READ_BY_OLLAMA} == {
        "OLLAMA_CONTEXT_LENGTH": "8192",
        "OLLAMA_NUM_PARALLEL": "4",
        "OLLAMA_MAX_LOADED_MODELS": "2",
        "OLLAMA_MAX_QUEUE": "64",
        "OLLAMA_KEEP_ALIVE": "1h30m",
        "OLLAMA_LOAD_TIMEOUT": "10m",
        # Go's ParseBool accepts True and False; Ollama treats anything else as true
        "OLLAMA_FLASH_ATTENTION": "True",
        "OLLAMA_KV_CACHE_TYPE": "q8_0",
        "OLLAMA_MULTIUSER_CACHE": "True",
        "OLLAMA_SCHED_SPREAD": "False",
        "OLLAMA_GPU_OVERHEAD": "1073741824",
        "OLLAMA_LLM_LIBRARY": "cuda_v12",
        "OLLAMA_NEW_ENGINE": "True",
        "OLLAMA_NO_CLOUD": "False",
        "OLLAMA_REMOTES": "ollama.com,models.example.com",
        "OLLAMA_ORIGINS": "https://chat.example.com,http://10.0.0.1:*",
        "OLLAMA_NOPRUNE": "True",
        "OLLAMA_DEBUG": "1",
    }


@pytest.mark.parametrize(
    ("setting", "value", "name", "text"),
    [
        ("cloud", False, "OLLAMA_NO_CLOUD", "True"),
        ("flashAttention", False, "OLLAMA_FLASH_ATTENTION", "False"),
        ("logLevel", "INFO", "OLLAMA_DEBUG", "0"),
        ("logLevel", "TRACE", "OLLAMA_DEBUG", "2"),
        ("keepAlive", -1, "OLLAMA_KEEP_ALIVE", "-1s"),
        ("keepAlive", "-1", "OLLAMA_KEEP_ALIVE", "-1s"),
        ("keepAlive", 0, "OLLAMA_KEEP_ALIVE", "0s"),
        ("keepAlive", 300, "OLLAMA_KEEP_ALIVE", "300s"),
        ("keepAlive", "1.5h", "OLLAMA_KEEP_ALIVE", "1.5h"),
        ("keepAlive", "2562047h", "OLLAMA_KEEP_ALIVE", "2562047h"),
        ("loadTimeout", "1m30s", "OLLAMA_LOAD_TIMEOUT", "1m30s"),
        ("kvCacheType", "f16", "OLLAMA_KV_CACHE_TYPE", "f16"),
        ("contextLength", 4, "OLLAMA_CONTEXT_LENGTH", "4"),
        ("parallel", 256, "OLLAMA_NUM_PARALLEL", "256"),
        ("origins", ["*"], "OLLAMA_ORIGINS", "*"),
        ("origins", ["app://*"], "OLLAMA_ORIGINS", "app://*"),
        ("origins", ["moz-extension://abc"], "OLLAMA_ORIGINS", "moz-extension://abc"),
    ],
)
def test_further_values(setting: str, value: object, name: str, text: str) -> None:
    assert server({setting: value})[name] == text


DURATION = "a duration such as 30m, 1h30m or 90s, or whole seconds; at most 2562047h"
ORIGIN = "an origin such as https://chat.example.com, http://10.0.0.1:* or *: at most one *, and no path"


@pytest.mark.parametrize(
    ("settings", "key", "given", "allowed"),
    [
        ("contextLength: 3", "contextLength", "3", "a whole number, at least 4"),
        ("contextLength: 2147483648", "contextLength", "2147483648", "a whole number, at most 2147483647"),
        ("contextLength: 8k", "contextLength", '"8k"', "a whole number"),
        ("parallel: 0", "parallel", "0", "a whole number, at least 1"),
        ("parallel: 257", "parallel", "257", "a whole number, at most 256"),
        ("maxLoadedModels: 0", "maxLoadedModels", "0", "a whole number, at least 1"),
        ("maxQueue: 0", "maxQueue", "0", "a whole number, at least 1"),
        ("keepAlive: forever", "keepAlive", '"forever"', DURATION),
        ("keepAlive: 1d", "keepAlive", '"1d"', DURATION),
        ("keepAlive: 5 m", "keepAlive", '"5 m"', DURATION),
        ("keepAlive: ''", "keepAlive", '""', DURATION),
        ("keepAlive: 1.5", "keepAlive", "1.5", DURATION),
        ("keepAlive: true", "keepAlive", "true", DURATION),
        ("keepAlive: 2562048h", "keepAlive", '"2562048h"', DURATION),
        ("loadTimeout: 5M", "loadTimeout", '"5M"', DURATION),
        ("flashAttention: 1", "flashAttention", "1", "true or false"),
        ("flashAttention: 'yes'", "flashAttention", '"yes"', "true or false"),
        ("kvCacheType: q5_0", "kvCacheType", '"q5_0"', "one of 'f16', 'q8_0' or 'q4_0'"),
        ("gpuOverhead: 1gb", "gpuOverhead", '"1gb"', "bytes with a Kubernetes suffix"),
        ("llmLibrary: cuda", "llmLibrary", '"cuda"', "one of 'cuda_v12'"),
        ("logLevel: debug", "logLevel", '"debug"', "one of 'INFO', 'DEBUG' or 'TRACE'"),
        ("{cloud: false, remotes: [ollama.com]}", "remotes", '["ollama.com"]', "[], because cloud: false"),
        ("remotes: ['https://ollama.com']", "remotes[0]", '"https://ollama.com"', "a DNS-1123 subdomain"),
        ("remotes: [ollama.com, ollama.com]", "remotes[1]", '"ollama.com"', "each once"),
        ("origins: [chat.example.com]", "origins[0]", '"chat.example.com"', ORIGIN),
        ("origins: ['https://chat.example.com/']", "origins[0]", '"https://chat.example.com/"', ORIGIN),
        ("origins: ['https://*.example.com:*']", "origins[0]", '"https://*.example.com:*"', ORIGIN),
        ("origins: ['app://localhost']", "origins[0]", '"app://localhost"', ORIGIN),
        ("origins: ['https://a.example,https://b.example']", "origins[0]", '"https://a.example,https', ORIGIN),
        ("origins: ['*', '*']", "origins[1]", '"*"', "each once"),
    ],
)
def test_invalid_settings_are_refused(settings: str, key: str, given: str, allowed: str, refuse: Refuse) -> None:
    settings = settings if settings.startswith("{") else f"{{{settings}}}"
    said = refuse(f"airis:ollama: {{server: {settings}}}")
    assert f"  airis:ollama.server.{key}\n    given    {given}" in said
    assert f"allowed  {allowed}" in said


NO_GPU = "only together with airis:ollama.gpu"


@pytest.mark.parametrize(
    ("settings", "key", "allowed"),
    [
        ("server: {llmLibrary: cuda_v12}", "llmLibrary", NO_GPU),
        ("server: {gpuOverhead: 1Gi}", "gpuOverhead", NO_GPU),
        ("server: {llmLibrary: rocm}, gpu: {}", "llmLibrary", "null, or a library of the GPUs' vendor: cuda_"),
        (
            "server: {llmLibrary: vulkan}, gpu: {vendor: amd}",
            "llmLibrary",
            "null, or a library of the GPUs' vendor: rocm",
        ),
        (
            "server: {llmLibrary: cuda_v13}, gpu: {vendor: intel}",
            "llmLibrary",
            "null, or a library of the GPUs' vendor: vulkan",
        ),
    ],
)
def test_gpu_settings_that_do_not_match_the_gpus_are_refused(
    settings: str, key: str, allowed: str, refuse: Refuse
) -> None:
    said = refuse(f"airis:ollama: {{{settings}}}")
    assert f"  airis:ollama.server.{key}\n" in said
    assert f"allowed  {allowed}" in said


@pytest.mark.parametrize(("vendor", "library"), [("nvidia", "cuda_v13"), ("amd", "rocm_v7_2"), ("intel", "vulkan")])
def test_a_library_of_the_gpus_vendor_is_accepted(vendor: str, library: str) -> None:
    drawn = draw(ollama={"gpu": {"vendor": vendor}, "server": {"llmLibrary": library, "gpuOverhead": 500}})
    variables = env(manifest(drawn, "StatefulSet", "ollama"))
    assert (variables["OLLAMA_LLM_LIBRARY"], variables["OLLAMA_GPU_OVERHEAD"]) == (library, "500")


@pytest.mark.parametrize("name", sorted(READ_BY_OLLAMA))
def test_variables_of_settings_are_refused_in_env(name: str, refuse: Refuse) -> None:
    said = refuse(f"airis:ollama: {{env: {{{name}: '1'}}}}")
    assert f"airis:ollama.env.{name}" in said
    assert "from airis:ollama.server." in said
