"""Variables that size programs by the limits of their pod."""

import json
from typing import Any

import pytest

from settings import load
from tests.unit.conftest import Refuse
from tests.unit.drawing import draw, env, manifest, stack_of

pytestmark = pytest.mark.timeout(60)

THREADS, CACHE = "LLAMA_ARG_THREADS", "LLAMA_ARG_CACHE_RAM"


def ollama(**settings: object) -> dict[str, Any]:
    return env(manifest(draw(ollama=settings), "StatefulSet", "ollama"))


def config(ollama: dict[str, object]) -> str:
    return f"airis:ollama: {json.dumps(ollama)}"


def warnings_of(**settings: object) -> list[str]:
    return list(load(stack_of(**settings).config, source="x").warnings())


def limits(**amounts: str | None) -> dict[str, Any]:
    """Only these limits, without requests, which could exceed them."""
    none = {"cpu": None, "memory": None}
    return {"resources": {"requests": none, "limits": {**none, **amounts}}}


@pytest.mark.parametrize(("cpu", "threads"), [("500m", "1"), ("1", "1"), ("1900m", "1"), ("2", "2"), ("16", "16")])
def test_one_thread_for_each_whole_core_and_at_least_one(cpu: str, threads: str) -> None:
    assert ollama(**limits(cpu=cpu))[THREADS] == threads
    webui = manifest(draw(webui=limits(cpu=cpu)), "Deployment", "airis-deployment")
    assert env(webui)["OMP_NUM_THREADS"] == threads


def test_without_limits_no_variables_are_set() -> None:
    assert {THREADS, CACHE}.isdisjoint(ollama(**limits()))
    assert "OMP_NUM_THREADS" not in env(manifest(draw(webui=limits()), "Deployment", "airis-deployment"))


@pytest.mark.parametrize(
    ("settings", "mib"),
    [
        ({}, 4096 // 2 // 2 // 3),  # models of unknown size count as half of the limit
        ({"models": ["llama3.2:1b"]}, (4096 - 1364 - 128) // 2 // 3),  # 1.3 GB and a tenth, and 4096 tokens
        ({"models": ["llama3.2:1b"], "server": {"maxLoadedModels": 1}}, (4096 - 1364 - 128) // 2),
        ({"models": ["llama3.2:1b"], "server": {"contextLength": 65536}}, (4096 - 1364 - 2048) // 2 // 3),
        ({"models": ["llama3.1"], **limits(memory="5G")}, 0),  # no room
        ({"models": ["llama3.1:70b"], "gpu": {}}, 4096 // 2 // 3),  # in the GPU's memory
        ({"gpu": {"count": 2}}, 4096 // 2 // 6),
        (limits(memory="1Ti"), 8192),  # llama-server's default
    ],
)
def test_the_prompt_cache_is_half_of_the_memory_left_by_the_models(settings: dict[str, Any], mib: int) -> None:
    room = {"storage": {"size": "100Gi"}}
    assert ollama(**room, **settings)[CACHE] == str(mib)


@pytest.mark.parametrize(("given", "mib"), [("1Gi", "1024"), ("100M", "95"), (0, "0"), ("0", "0")])
def test_the_prompt_cache_setting_takes_precedence(given: object, mib: str) -> None:
    assert ollama(server={"promptCache": given})[CACHE] == mib
    assert ollama(server={"promptCache": given}, **limits())[CACHE] == mib


@pytest.mark.parametrize("given", [-1, "10%", "1GB"])
def test_an_invalid_prompt_cache_is_refused(given: object, refuse: Refuse) -> None:
    assert "airis:ollama.server.promptCache" in refuse(config({"server": {"promptCache": given}}))


def test_env_takes_precedence_over_derived_variables() -> None:
    found = ollama(env={THREADS: "3", CACHE: "-1"})
    assert (found[THREADS], found[CACHE]) == ("3", "-1")


@pytest.mark.parametrize("source", ["env", "secretEnv"])
def test_prompt_cache_and_its_variable_in_env_are_refused_together(source: str, refuse: Refuse) -> None:
    value = "512" if source == "env" else {"name": "apart", "key": "cache"}
    text = refuse(config({"server": {"promptCache": "1Gi"}, source: {CACHE: value}}))
    assert f"airis:ollama.{source}.{CACHE}" in text
    assert "server.promptCache" in text


def test_releases_without_llama_server_get_no_variables() -> None:
    assert {THREADS, CACHE}.isdisjoint(ollama(image="ollama/ollama:0.17.4"))


def test_prompt_cache_is_refused_for_releases_without_llama_server(refuse: Refuse) -> None:
    assert "0.17.4" in refuse(config({"image": "ollama/ollama:0.17.4", "server": {"promptCache": "1Gi"}}))


def test_more_threads_than_the_cpu_limit_are_warned_of() -> None:
    created = {"name": "mine", "from": "llama3.2:1b", "parameters": {"numThread": 8}}
    told = warnings_of(ollama={"create": [created], "env": {THREADS: "5"}})
    assert [each.split(": ")[0] for each in told if "threads" in each] == [
        "airis:ollama.create[0].parameters.numThread",
        f"airis:ollama.env.{THREADS}",
    ]
    assert not any(
        "threads" in each
        for each in warnings_of(ollama={"create": [{**created, "parameters": {"numThread": 4}}], "env": {THREADS: "4"}})
    )
