"""Sizes of models, and errors and warnings for a volume or memory that is too small for them."""

import json
import re
from typing import Any

import pytest
import yaml

from settings import StackSettings, load
from settings.ollama.model_sizes import context_of, full_name, same_model, size_of
from tests.unit.conftest import Refuse
from tests.unit.drawing import COMMITTED, ROOT

pytestmark = pytest.mark.timeout(60)

DATA = yaml.safe_load((ROOT / "settings" / "ollama" / "model_sizes.yaml").read_text(encoding="utf-8"))
ROOMY = {"limits": {"memory": "1Ti"}}


def read(**ollama: Any) -> StackSettings:
    config = {"airis:ollama": json.dumps(ollama), "airis:webui": json.dumps({"image": "ghcr.io/a/b:1.2.3"})}
    return load(config, source="Pulumi.x.yaml")


def warnings(**ollama: Any) -> list[str]:
    return list(read(**ollama).warnings())


def test_every_source_has_url_and_date() -> None:
    assert DATA["sources"]
    for source in DATA["sources"]:
        assert source["url"].startswith("https://")
        assert re.fullmatch(r"\d{4}(-\d\d){0,2}", source["date"])
        for model, size in source["models"].items():
            assert re.fullmatch(r"\d+(\.\d)?(MB|GB)", size), model
            assert size_of(model) is not None


@pytest.mark.parametrize(
    ("model", "printed", "size", "least"),
    [
        ("llama3.2:1b", "1.3GB", 1_300_000_000, 1_250_000_000),
        ("gemma3:1b", "815MB", 815_000_000, 814_500_000),
        ("llama3.3", "43GB", 43_000_000_000, 42_500_000_000),
        ("llama3.2", "2.0GB", 2_000_000_000, 1_950_000_000),
    ],
)
def test_a_size_is_as_exact_as_it_was_printed(model: str, printed: str, size: int, least: int) -> None:
    found = size_of(model)
    assert found is not None
    assert (found.printed, found.bytes, found.least_bytes) == (printed, size, least)


def test_a_name_without_a_tag_is_mutable() -> None:
    moving, staying = size_of("gpt-oss"), size_of("gpt-oss:20b")
    assert moving is not None
    assert staying is not None
    assert (moving.moves, staying.moves) == (True, False)


@pytest.mark.parametrize("model", ["llama3.2:8b-instruct", "hf.co/someone/llama3.2:1b", "team/llama3.2:1b", "unheard"])
def test_unpublished_sizes_are_unknown(model: str) -> None:
    assert size_of(model) is None


@pytest.mark.parametrize(
    ("model", "full"),
    [
        ("llama3.2", ("registry.ollama.ai", "library", "llama3.2", "latest")),
        ("Llama3.2:1B", ("registry.ollama.ai", "library", "llama3.2", "1b")),
        ("team/model", ("registry.ollama.ai", "team", "model", "latest")),
        ("localhost:5000/team/model", ("localhost:5000", "team", "model", "latest")),
        ("localhost:5000/team/model:a", ("localhost:5000", "team", "model", "a")),
    ],
)
def test_a_name_gets_ollamas_default_host_namespace_and_tag(model: str, full: tuple[str, ...]) -> None:
    assert full_name(model) == full


def test_equivalent_names_are_the_same_model() -> None:
    assert same_model("llama3.2", "registry.ollama.ai/library/LLAMA3.2:latest")
    assert not same_model("llama3.2", "llama3.2:1b")
    assert not same_model("llama3.2", "team/llama3.2")


@pytest.mark.parametrize("stack", COMMITTED)
def test_the_committed_stacks_fit(stack: str) -> None:
    config = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8"))["config"]
    settings = load(
        {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}, source="x"
    )
    assert list(settings.ollama.warnings()) == []


def test_no_warning_for_models_that_fit() -> None:
    assert warnings(models=["llama3.2:1b", "nomic-embed-text", "unheard"]) == []


@pytest.mark.parametrize(
    ("models", "size", "needed"),
    [
        ("['llama3.1:70b']", "30Gi", "at least 40.0 GB for llama3.1:70b (40GB), and room for more"),
        (
            "['gemma3:27b', 'gpt-oss:20b']",
            "27Gi",
            "at least 31.0 GB for gemma3:27b (17GB), gpt-oss:20b (14GB), and room for more",
        ),
    ],
)
def test_a_volume_that_is_certainly_too_small_is_refused(models: str, size: str, needed: str, refuse: Refuse) -> None:
    said = refuse(f"airis:ollama: {{models: {models}, storage: {{size: {size}}}}}")
    assert f'  airis:ollama.storage.size\n    given    "{size}"\n    allowed  {needed}' in said


def test_base_models_of_created_models_count(refuse: Refuse) -> None:
    said = refuse("airis:ollama: {create: [{name: a, from: 'llama3.1:70b'}]}")
    assert '  airis:ollama.storage.size\n    given    "30Gi" (the default)' in said


@pytest.mark.parametrize(
    "settings",
    [
        {"models": ["llama3.1:70b"], "storage": {"size": "40G"}, "resources": ROOMY},  # 39.5 GB is rounded to 40GB
        {"models": ["llama3.3"]},  # a mutable tag
        {"models": ["unheard:70b"]},
        {
            "models": ["llama3.1:70b"],
            "storage": {"existingClaim": "large"},
            "resources": ROOMY,
        },  # of unknown size
    ],
    ids=str,
)
def test_models_that_may_fit_are_not_refused(settings: dict[str, Any]) -> None:
    read(**settings)


def test_files_of_two_tags_count_once() -> None:
    assert warnings(models=["gpt-oss", "gpt-oss:20b"], storage={"size": "16G"}, resources=ROOMY) == []


def test_a_volume_that_will_be_almost_full_is_warned_of() -> None:
    models = ["gemma3:27b", "gemma3:12b"]
    (said,) = warnings(models=models, storage={"size": "27G"}, resources=ROOMY)
    assert said == (
        "airis:ollama.storage.size: 27G may be too small for gemma3:27b (17GB), gemma3:12b (8.1GB): 25.1 GB in total"
    )
    assert warnings(models=models, storage={"size": "28G"}, resources=ROOMY) == []


def test_the_size_of_an_existing_claim_is_not_checked() -> None:
    settings = {"models": ["gemma3:27b"], "resources": ROOMY}
    assert warnings(**settings, storage={"size": "18G"}) != []
    assert warnings(**settings, storage={"size": "18G", "existingClaim": "large"}) == []


KEY = "airis:ollama.resources.limits.memory"


def limit(memory: str | None) -> dict[str, Any]:
    return {"resources": {"requests": {"memory": None}, "limits": {"memory": memory}}}


@pytest.mark.parametrize(
    ("model", "tokens", "parallel", "kind", "mebibytes"),
    [
        ("llama3.2:1b", 4096, 1, "f16", 2 * 16 * 8 * 64 * 2 * 4096 >> 20),
        ("llama3.1:8b", 4096, 4, "f16", 4 * 512),
        ("llama3.1:8b", 4096, 4, "q8_0", 4 * 272),
        ("llama3.1:8b", 4096, 4, "q4_0", 4 * 144),
        ("phi4", 10**6, 1, "f16", 200 * 16),  # its maximum context length is 16384
        (
            "gemma3:27b",
            32768,
            1,
            "f16",
            (10 * 32768 + 52 * 1536) * 8 >> 10,
        ),  # most layers have sliding window attention
        ("gemma3:27b", 32768, 1, "q8_0", (10 * 32768 * 17 // 32 + 52 * 1536) * 8 >> 10),
        ("gemma3:27b", 512, 1, "f16", 62 * 512 * 8 >> 10),
    ],
)
def test_the_memory_of_a_context_depends_on_the_model(
    model: str, tokens: int, parallel: int, kind: str, mebibytes: int
) -> None:
    known = context_of(model)
    assert known is not None
    assert known.bytes(tokens, parallel, kind) >> 20 == mebibytes


def test_every_model_with_a_context_has_a_size() -> None:
    for source in DATA["contexts"]:
        assert source["url"].startswith("https://")
        for model in source["models"]:
            assert context_of(model) is not None
    known = {each for source in DATA["contexts"] for each in source["models"]}
    sized = {each for source in DATA["sources"] for each in source["models"]}
    assert known - sized <= {"llama3.1:8b", "llama3.2:3b", "llama3.3:70b", "gemma3:4b"}
    assert context_of("nomic-embed-text") is None


def test_a_memory_limit_that_is_certainly_too_small_is_refused(refuse: Refuse) -> None:
    said = refuse("airis:ollama: {models: ['llama3.2:1b', 'gemma3:12b']}")
    allowed = "at least 10Gi for gemma3:12b (8.1GB): about 9.7 GB with context; or a GPU"
    assert f'  {KEY}\n    given    "4Gi" (the default)\n    allowed  {allowed}' in said


def test_models_that_are_preloaded_forever_are_added_up(refuse: Refuse) -> None:
    text = "airis:ollama: {models: [MODELS], preload: [MODELS], KEEP, resources: {limits: {memory: 2Gi}}}".replace(
        "MODELS", "'llama3.2:1b', 'gemma3:1b', 'moondream'"
    )
    said = refuse(text.replace("KEEP", "preloadKeepAlive: -1").replace(", 'moondream'", ", 'gemma2:2b'"))
    assert "llama3.2:1b (1.3GB), gemma3:1b (815MB), gemma2:2b (1.6GB), which preload keeps loaded together" in said
    kept = {"models": ["llama3.2:1b", "gemma3:1b", "gemma2:2b"], "preload": ["llama3.2:1b", "gemma3:1b", "gemma2:2b"]}
    assert [each.partition(": ")[0] for each in warnings(**kept, preloadKeepAlive="5m", **limit("2Gi"))] == [KEY]


@pytest.mark.parametrize(
    "settings",
    [
        {"models": ["gemma3"], **limit("3G")},  # a mutable tag
        {"models": ["gemma3:12b"], **limit("8050M")},  # 8.05 GB is rounded to 8.1GB
        {"models": ["gemma3:12b"], "gpu": {}},
        {"create": [{"name": "a", "from": "gemma3:12b", "parameters": {"useMmap": True}}]},
    ],
    ids=str,
)
def test_a_memory_limit_that_may_suffice_is_not_refused(settings: dict[str, Any]) -> None:
    read(**settings)


def test_a_memory_limit_that_is_too_small_is_warned_of() -> None:
    (said,) = warnings(models=["llama3.2:1b", "gemma3:12b"], **limit("9G"))
    assert said == (
        f"{KEY}: gemma3:12b (8.1GB) needs about 9.7 GB with 4096 tokens of context, more than 9G: "
        "it may fail to load, or be OOM-killed; set at least 10Gi"
    )
    assert warnings(models=["gemma3:12b"], **limit("10G")) == []
    assert warnings(models=["gemma3:12b"], **limit(None)) == []


def test_contexts_are_multiplied_by_parallel_requests() -> None:
    server = {"contextLength": 32768, "parallel": 4}
    (said,) = warnings(models=["llama3.2:1b"], server=server)
    assert "llama3.2:1b (1.3GB) needs about 5.7 GB with 4 x 32768 tokens of context, more than 4Gi" in said
    assert warnings(models=["llama3.2:1b"], server={**server, "kvCacheType": "q8_0"}) == []


def test_the_longest_context_of_created_models_counts() -> None:
    made = {"name": "long", "from": "llama3.2:1b", "parameters": {"numCtx": 131072}}
    again = {"name": "longer", "from": "long", "system": "Answer."}
    (said,) = warnings(models=["llama3.2:1b"], create=[made, again])
    assert "131072 tokens" in said


def test_models_that_may_be_loaded_together_are_added_up() -> None:
    models = ["llama3.2:1b", "phi4-mini", "gemma3:1b"]
    (said,) = warnings(models=models)
    assert said.startswith(
        f"{KEY}: 4Gi may be too small for all models that may be loaded, 5.8 GB: phi4-mini (2.5GB) needs"
    )
    assert "set at least 6Gi, or lower server.maxLoadedModels" in said
    assert warnings(models=models, server={"maxLoadedModels": 1}) == []


def test_the_prompt_cache_counts() -> None:
    (said,) = warnings(models=["llama3.2:1b"], server={"promptCache": "3Gi"})
    assert "1 x 3Gi of prompt cache (server.promptCache)" in said
    (said,) = warnings(models=["llama3.2:1b", "unheard"], server={"promptCache": "2Gi"})
    assert "2 x 2Gi of prompt cache (server.promptCache)" in said
    for fits in (0, "1Gi"):
        assert warnings(models=["llama3.2:1b"], server={"promptCache": fits}) == []


def test_the_prompt_cache_is_in_the_pods_memory_with_a_gpu_too() -> None:
    (said,) = warnings(models=["gemma3:12b"], gpu={}, server={"promptCache": "5Gi"})
    assert said.startswith(
        f"{KEY}: 4Gi may be too small for all models that may be loaded, 5.4 GB: 1 x 5Gi of prompt cache"
    )
    assert warnings(models=["gemma3:12b"], gpu={}, server={"promptCache": "4Gi"}) == []


def test_gpus_that_are_too_small_are_warned_of() -> None:
    gpu = {"preset": "gpu-operator", "minMemory": "16Gi"}
    (said,) = warnings(models=["gemma3:27b"], gpu=gpu)
    assert said == (
        "airis:ollama.gpu: gemma3:27b (17GB) needs about 19.7 GB with 4096 tokens of context, more than 16Gi: "
        "part of it may run on CPU, which is slow"
    )
    assert warnings(models=["gemma3:27b"], gpu={**gpu, "count": 2}) == []
    assert warnings(models=["gemma3:27b"], gpu={}) == []  # of unknown size


def test_the_memory_of_several_gpus_is_added_up() -> None:
    gpu = {"preset": "gpu-operator", "minMemory": "16Gi", "count": 2}
    storage = {"size": "100Gi"}
    (said,) = warnings(models=["llama3.1:70b"], gpu=gpu, storage=storage)
    assert "more than 2 x 16Gi" in said
