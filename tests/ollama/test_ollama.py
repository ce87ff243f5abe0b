"""Each pinned release of Ollama parses the Modelfiles, variables and names that airis writes."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airis.terminal.errors import EnvironmentProblem
from settings.ollama.model_sizes import full_name
from settings.ollama.modelfile import modelfile
from settings.ollama.modelfile_text import quotable
from settings.ollama.models import CreatedModel, Parameters
from settings.ollama.server import OllamaServerSettings
from settings.types.releases import OLLAMA, marks, release
from settings.types.variables import declared, variables
from tests.ollama.asking import VERSIONS, Answer, ask
from tests.releases.releases import refused_parameters

pytestmark = pytest.mark.timeout(600)  # the first run builds Ollama's parsers

every_release = pytest.mark.parametrize("version", VERSIONS)


def asked(
    version: str,
    modelfiles: Sequence[str] = (),
    environments: Sequence[Mapping[str, str]] = (),
    names: Sequence[str] = (),
) -> Answer:
    try:
        return ask(version, modelfiles=modelfiles, environments=environments, names=names)
    except EnvironmentProblem as problem:
        pytest.skip(f"NOT ASKED, because Ollama's parser cannot be built here: {problem.message}")


def created(**further: Any) -> CreatedModel:
    return CreatedModel.model_validate({"name": "a", "from": "gemma3:1b", **further})


def test_the_newest_release_is_that_of_the_default_image() -> None:
    assert len(VERSIONS) > 1
    assert VERSIONS[-1] == OLLAMA.version


@every_release
def test_a_whole_modelfile(version: str) -> None:
    model = created(
        system='You are "Mario".\n\n"""Quoted""" at the beginning,\nat the end: """',
        template='{{ .Prompt }}"',
        parameters={"numCtx": 8192, "temperature": 0.2, "topP": 1, "useMmap": False, "stop": ["</s>", "\n", '"', " "]},
        messages=[{"role": "user", "content": "Who: you?"}, {"role": "assistant", "content": "It's\nme"}],
        license="MIT\n",
    )
    (answer,) = asked(version, [modelfile(model)]).requests
    assert answer["request"] == {
        "model": "",
        "name": "",
        "from": "gemma3:1b",
        "system": model.system,
        "template": model.template,
        "license": ["MIT\n"],
        "parameters": {
            "num_ctx": 8192,
            "temperature": pytest.approx(0.2),
            "top_p": 1,
            "use_mmap": False,
            "stop": ["</s>", "\n", '"', " "],
        },
        "messages": [
            {"role": "user", "content": "Who: you?"},
            {"role": "assistant", "content": "It's\nme"},
        ],
    }


def _can_be_quoted(text: str) -> bool:
    try:
        return quotable(text) == text
    except ValueError:
        return False


# Characters that are hard to quote, and others; without those of newer Unicode versions, on which Python and Go may differ
HARD = st.lists(st.sampled_from(['"', '""', '"""', "\n", "\r\n", " ", "\t", "a", "#", "FROM b", "ü", "{{", "\u00a0"]))
ANY = st.text(st.characters(max_codepoint=0x2FFF, exclude_categories=("Cs", "Cn")))


@every_release
@given(texts=st.lists(HARD.map("".join) | ANY, min_size=20, max_size=40))
@settings(max_examples=40, deadline=None)
def test_accepted_text_is_parsed_unchanged_and_refused_text_is_not(version: str, texts: list[str]) -> None:
    answers = asked(version, [f'FROM b\nSYSTEM """{text}"""\nPARAMETER stop """{text}"""\n' for text in texts]).requests
    for text, answer in zip(texts, answers, strict=True):
        request = answer.get("request", {})
        read = request.get("system") == text and request.get("parameters") == {"stop": [text]}
        assert read == _can_be_quoted(text), (text, answer)


@pytest.mark.parametrize(
    "text",
    ['ends a line"""\nand goes on', 'ends a line"""  \nand goes on', '"""\ncode\n"""', "no\u00a0break", "\u200b"],
)
@every_release
def test_refused_text_is_not_parsed_unchanged(version: str, text: str) -> None:
    assert not _can_be_quoted(text)
    (answer,) = asked(version, [f'FROM b\nSYSTEM """{text}"""\n']).requests
    assert answer.get("request", {}).get("system") != text


@every_release
def test_exactly_the_parameters_of_the_release_can_be_set(version: str) -> None:
    fields = {name: marks(field.metadata) for name, field in Parameters.model_fields.items()}
    supported = {name for name, found in fields.items() if all(mark.by(release(version)) for mark in found)}
    assert set(asked(version).parameters) - refused_parameters(version) == supported


# Every setting, with a value that is not the default in any release
SERVER: dict[str, object] = {
    "contextLength": 8192,
    "parallel": 4,
    "maxLoadedModels": 2,
    "maxQueue": 64,
    "keepAlive": "1h30m",
    "loadTimeout": 90,
    "flashAttention": True,
    "kvCacheType": "q8_0",
    "multiUserCache": True,
    "schedSpread": True,
    "gpuOverhead": "1Gi",
    "llmLibrary": "cuda_v12",
    "newEngine": True,
    "cloud": True,
    "remotes": ["ollama.com", "models.example.com"],
    "origins": ["https://chat.example.com"],
    "noPrune": True,
    "logLevel": "DEBUG",
}


def environment(given: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in variables(OllamaServerSettings.model_validate(given)).items()}


@every_release
def test_ollama_understands_every_variable_that_is_for_the_release(version: str) -> None:
    (values,) = asked(version, environments=[environment(SERVER)]).values
    origins = values["OLLAMA_ORIGINS"].strip("[]").split()
    assert origins[0] == "https://chat.example.com"
    supported = declared(OllamaServerSettings, "", release=release(version))
    understood = {
        "OLLAMA_CONTEXT_LENGTH": "8192",
        "OLLAMA_DEBUG": "DEBUG",
        "OLLAMA_FLASH_ATTENTION": "true",
        "OLLAMA_GPU_OVERHEAD": "1073741824",
        "OLLAMA_KEEP_ALIVE": "1h30m0s",
        "OLLAMA_KV_CACHE_TYPE": "q8_0",
        "OLLAMA_LLM_LIBRARY": "cuda_v12",
        "OLLAMA_LOAD_TIMEOUT": "1m30s",
        "OLLAMA_MAX_LOADED_MODELS": "2",
        "OLLAMA_MAX_QUEUE": "64",
        "OLLAMA_MULTIUSER_CACHE": "true",
        "OLLAMA_NEW_ENGINE": "true",
        "OLLAMA_NOPRUNE": "true",
        "OLLAMA_NO_CLOUD": "false",
        "OLLAMA_NUM_PARALLEL": "4",
        "OLLAMA_REMOTES": "[ollama.com models.example.com]",
        "OLLAMA_SCHED_SPREAD": "true",
    }
    assert {name: values.get(name) for name in supported if name != "OLLAMA_ORIGINS"} == {
        name: value for name, value in understood.items() if name in supported
    }
    assert values.keys() & declared(OllamaServerSettings, "").keys() == supported.keys()


FOREVER = "2562047h47m16.854775807s"


@pytest.mark.parametrize(
    ("setting", "value", "name", "understood"),
    [
        ("keepAlive", -1, "OLLAMA_KEEP_ALIVE", FOREVER),
        ("keepAlive", "-5m", "OLLAMA_KEEP_ALIVE", FOREVER),
        ("keepAlive", 0, "OLLAMA_KEEP_ALIVE", "0s"),
        ("keepAlive", "2562047h", "OLLAMA_KEEP_ALIVE", "2562047h0m0s"),
        ("keepAlive", "1.5h", "OLLAMA_KEEP_ALIVE", "1h30m0s"),
        ("keepAlive", "100µs", "OLLAMA_KEEP_ALIVE", "100µs"),
        ("loadTimeout", 0, "OLLAMA_LOAD_TIMEOUT", FOREVER),
        ("flashAttention", False, "OLLAMA_FLASH_ATTENTION", "false"),
        ("cloud", False, "OLLAMA_NO_CLOUD", "true"),
        ("logLevel", "INFO", "OLLAMA_DEBUG", "INFO"),
        ("logLevel", "TRACE", "OLLAMA_DEBUG", "DEBUG-4"),
    ],
)
@every_release
def test_other_values(version: str, setting: str, value: object, name: str, understood: str) -> None:
    (values,) = asked(version, environments=[environment({setting: value})]).values
    assert values[name] == understood


@every_release
def test_names_are_completed_as_by_ollama(version: str) -> None:
    models = ["llama3.2", "llama3.2:1b", "team/Model_1", "hf.co/someone/model:Q4_K_M", "localhost:5000/a/b:c", "_x"]
    written = ["{}/{}/{}:{}".format(*full_name(model)) for model in models]
    assert [each.lower() for each in asked(version, names=models).full_names] == written


@every_release
def test_refused_names_are_invalid_in_ollama(version: str) -> None:
    refused = ["some.one/model", ".models.sh", "a:b:c", "modèle", "-a", "a" * 81, ""]
    assert asked(version, names=refused).full_names == [""] * len(refused)
