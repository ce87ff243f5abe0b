"""Models as desired state: the Jobs, the order of their steps, their network access, and invalid settings."""

import json
import tomllib
from typing import Any

import pytest
import yaml

from airis.cluster.finding import State
from airis.cluster.readiness import Live
from airis.render.program import Rendering
from policy.rules import RULES, Registered
from settings import load
from tests.unit.conftest import Refuse
from tests.unit.drawing import ROOT, draw, draw_once, find, manifest, names, pod_spec

pytestmark = pytest.mark.timeout(60)

MODELS = ["llama3.2:1b", "hf.co/someone/model:Q4_K_M"]
MARIO = {"name": "mario", "from": "gemma3:1b", "system": "You are Mario."}
PROXY = {"url": "http://proxy.example.com:3128"}


def only_job(drawn: Rendering) -> dict[str, Any]:
    (name,) = names(drawn, "Job")
    return dict(manifest(drawn, "Job", name))


def steps(drawn: Rendering) -> list[list[str]]:
    """The arguments of the single Job's containers, in their order."""
    spec = pod_spec(only_job(drawn))
    return [each["args"] for each in (*spec["initContainers"], *spec["containers"])]


def files(drawn: Rendering) -> dict[str, str]:
    """The data of the ConfigMap that the containers mount."""
    (volume,) = [each for each in pod_spec(only_job(drawn))["volumes"] if each["name"] == "models"]
    return dict(manifest(drawn, "ConfigMap", volume["configMap"]["name"])["data"])


def config_maps(drawn: Rendering) -> list[str]:
    """The names of Ollama's ConfigMaps."""
    return [each for each in names(drawn, "ConfigMap") if each.startswith("ollama-")]


def test_without_models_there_is_no_job() -> None:
    assert names(draw_once(), "Job") == []
    assert config_maps(draw_once()) == []


def test_a_paused_ollama_has_no_job() -> None:
    drawn = draw_once(ollama={"replicas": 0, "models": MODELS})
    assert names(drawn, "Job") == []
    assert config_maps(drawn) == []


def test_each_model_is_pulled_into_each_pod_by_its_stable_name() -> None:
    drawn = draw_once(ollama={"replicas": 2, "models": MODELS})
    jobs = [manifest(drawn, "Job", name) for name in names(drawn, "Job")]
    assert len(jobs) == 2
    for ordinal, job in enumerate(jobs):
        spec = pod_spec(job)
        assert [each["args"] for each in spec["initContainers"]] == [["ensure", model] for model in MODELS]
        for each in (*spec["initContainers"], *spec["containers"]):
            env = {variable["name"]: variable["value"] for variable in each["env"]}
            assert env["OLLAMA_HOST"] == f"http://ollama-{ordinal}.ollama.airis.svc.cluster.local:11434"
            assert int(env["PATIENCE_SECONDS"]) >= 30


def test_steps_are_in_the_order_of_their_dependencies() -> None:
    created = [MARIO, {"name": "luigi", "from": "mario"}]
    drawn = draw_once(
        ollama={
            "models": MODELS,
            "create": created,
            "preload": ["luigi", "llama3.2:1b"],
            "absentModels": ["old:7b"],
        }
    )
    assert steps(drawn) == [
        ["remove", "old:7b"],
        ["ensure", "llama3.2:1b"],
        ["ensure", "hf.co/someone/model:Q4_K_M"],
        ["ensure", "gemma3:1b"],  # the base model of mario; luigi is created from mario
        ["create", "mario", "/etc/airis/models/.0"],
        ["create", "luigi", "/etc/airis/models/.1"],
        ["load", "luigi"],
        ["load", "llama3.2:1b"],
        ["result"],
    ]


def test_a_base_model_in_models_is_pulled_once() -> None:
    drawn = draw_once(ollama={"models": ["gemma3:1b"], "create": [MARIO, {**MARIO, "name": "luigi"}]})
    assert [each[1] for each in steps(drawn) if each[0] == "ensure"] == ["gemma3:1b"]


def test_pull_policy_always_checks_the_registry() -> None:
    drawn = draw_once(ollama={"models": ["llama3.2"], "modelPullPolicy": "Always"})
    assert steps(drawn)[0] == ["pull", "llama3.2"]


@pytest.mark.parametrize(("given", "option"), [("30m", "--keepalive=30m"), (-1, "--keepalive=-1s")])
def test_preload_keep_alive_is_passed_on(given: object, option: str) -> None:
    drawn = draw(ollama={"models": ["llama3.2"], "preload": ["llama3.2"], "preloadKeepAlive": given})
    assert steps(drawn)[1] == ["load", "llama3.2", option]


@pytest.mark.parametrize(
    "further", [{"gpu": {"count": 2}}, {"server": {"maxLoadedModels": 4}}, {"preload": ["a", "b", "c"]}], ids=str
)
def test_preload_is_limited_by_max_loaded_models(further: dict[str, Any]) -> None:
    models = ["a", "b", "c", "d"]
    settings: dict[str, Any] = {"models": models, "preload": models, **further}
    assert [each[1] for each in steps(draw(ollama=settings)) if each[0] == "load"] == settings["preload"]


def test_containers_are_named_after_their_models() -> None:
    spec = pod_spec(only_job(draw_once(ollama={"models": MODELS, "create": [MARIO]})))
    assert [each["name"] for each in (*spec["initContainers"], *spec["containers"])] == [
        "ensure-0-llama3-2-1b",
        "ensure-1-hf-co-someone-model-q4-k-m",
        "ensure-2-gemma3-1b",
        "create-3-mario",
        "result",
    ]


def test_long_container_names_are_truncated_and_unique() -> None:
    models = [f"registry.example.com/{'team' * 10}/{'model' * 10}:{tag}" for tag in ("a", "b")]
    containers = [each["name"] for each in pod_spec(only_job(draw(ollama={"models": models})))["initContainers"]]
    assert len(set(containers)) == 2
    assert all(len(each) <= 63 and not each.endswith("-") for each in containers)


def test_a_failure_is_reported_by_the_containers_log() -> None:
    spec = pod_spec(only_job(draw_once(ollama={"models": MODELS})))
    assert {each["terminationMessagePolicy"] for each in spec["containers"]} == {"FallbackToLogsOnError"}


def test_models_are_arguments_and_never_part_of_a_script() -> None:
    spec = pod_spec(only_job(draw_once(ollama={"models": MODELS})))
    for each in (*spec["initContainers"], *spec["containers"]):
        assert each["command"] == ["/bin/sh", "/etc/airis/models/.models.sh"]
    assert "llama3.2" not in files(draw_once(ollama={"models": MODELS}))[".models.sh"]


def test_no_file_next_to_a_modelfile_has_the_name_of_a_model() -> None:
    """In `FROM name`, Ollama prefers a file next to the Modelfile; no model name begins with a dot."""
    assert all(name.startswith(".") for name in files(draw_once(ollama={"create": [MARIO]})))


def test_a_modelfile_contains_every_setting() -> None:
    drawn = draw(
        ollama={
            "create": [
                {
                    "name": "team/mario",
                    "from": "gemma3:1b",
                    "system": 'You are "Mario".\nBe brief.',
                    "template": "{{ .Prompt }}",
                    "parameters": {"numCtx": 8192, "temperature": 0.2, "useMmap": False, "stop": ["</s>", "\n"]},
                    "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "It's me"}],
                    "license": "MIT",
                }
            ]
        }
    )
    assert files(drawn)[".0"] == (
        "FROM gemma3:1b\n"
        "PARAMETER num_ctx 8192\n"
        "PARAMETER use_mmap false\n"
        "PARAMETER temperature 0.2\n"
        'PARAMETER stop """</s>"""\n'
        'PARAMETER stop """\n"""\n'
        'TEMPLATE """{{ .Prompt }}"""\n'
        'SYSTEM """You are "Mario".\nBe brief."""\n'
        'LICENSE """MIT"""\n'
        'MESSAGE user """Hi"""\n'
        'MESSAGE assistant """It\'s me"""\n'
    )


def test_a_job_has_retries_and_a_deadline() -> None:
    job = only_job(draw(ollama={"models": MODELS, "modelPullSeconds": 7200}))
    assert job["spec"]["activeDeadlineSeconds"] == 7200
    assert job["spec"]["backoffLimit"] == 6


def test_failed_pods_stay_with_their_logs() -> None:
    assert pod_spec(only_job(draw_once(ollama={"models": MODELS})))["restartPolicy"] == "Never"


def test_pulumi_notices_a_job_that_fails() -> None:
    """It does not detect failures by policy, and would continue to wait."""
    assert "podFailurePolicy" not in only_job(draw_once(ollama={"models": MODELS}))["spec"]


BASE: dict[str, Any] = {"models": ["llama3.2:1b"]}
PLACED: dict[str, Any] = {
    "tolerations": [{"key": "spot", "effect": "NoSchedule"}],
    "nodeSelector": {"disk": "fast"},
    "nodeAffinity": [{"key": "zone", "values": ["a"]}],
    "priorityClass": "important",
    "schedulerName": "other",
    "runtimeClass": "gvisor",
}
"""Scheduling fields of pods."""
AMD_GPU = {"vendor": "amd", "preset": "gpu-operator"}


def of_pod_and_job(drawn: Rendering) -> tuple[dict[str, Any], dict[str, Any]]:
    """The spec of Ollama's pod, and that of the pod of its Job."""
    return pod_spec(manifest(drawn, "StatefulSet", "ollama")), pod_spec(only_job(drawn))


@pytest.mark.parametrize("gpu", [None, {}, AMD_GPU, {"preset": "eks", "accelerator": "a10g"}], ids=str)
def test_jobs_run_where_ollama_may(gpu: dict[str, Any] | None) -> None:
    ollama, job = of_pod_and_job(draw(ollama={**BASE, **PLACED, "gpu": gpu}))
    for field in ("tolerations", "nodeSelector", "priorityClassName", "schedulerName", "runtimeClassName"):
        assert job[field] == ollama[field], field
    assert job["affinity"]["nodeAffinity"] == ollama["affinity"]["nodeAffinity"]
    assert len(job["tolerations"]) == (2 if gpu is not None else 1)


def test_jobs_take_no_gpu_and_no_runtime_that_gives_one() -> None:
    _, job = of_pod_and_job(draw(ollama={**BASE, "gpu": {"count": 2, "runtimeClass": "nvidia"}}))
    assert "runtimeClassName" not in job
    for each in (*job["initContainers"], *job["containers"]):
        assert each["resources"]["limits"].keys() == {"cpu", "memory", "ephemeral-storage"}
        assert {"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"} in each["env"]
    claims = of_pod_and_job(draw(ollama={**BASE, "gpu": {"dra": {}}}))[1]
    assert "resourceClaims" not in claims


def test_jobs_do_not_have_ollamas_pod_affinity() -> None:
    apart = {"antiAffinity": {"required": True}, "topologySpread": [{"topologyKey": "zone"}]}
    near = {"podAffinity": [{"labels": {"app": "cache"}, "required": True}], "terminationGracePeriodSeconds": 300}
    _, job = of_pod_and_job(draw(ollama={**BASE, **apart, **near}))
    assert "podAntiAffinity" not in job["affinity"]
    assert "requiredDuringSchedulingIgnoredDuringExecution" not in job["affinity"]["podAffinity"]
    assert "topologySpreadConstraints" not in job
    assert job["terminationGracePeriodSeconds"] < 30


def test_each_job_prefers_the_node_that_has_the_image() -> None:
    drawn = draw_once(ollama={**BASE, "replicas": 2})
    for ordinal, name in enumerate(names(drawn, "Job")):
        (wish,) = pod_spec(manifest(drawn, "Job", name))["affinity"]["podAffinity"][
            "preferredDuringSchedulingIgnoredDuringExecution"
        ]
        assert wish["podAffinityTerm"] == {
            "topologyKey": "kubernetes.io/hostname",
            "labelSelector": {"matchLabels": {"statefulset.kubernetes.io/pod-name": f"ollama-{ordinal}"}},
        }


def test_on_gke_jobs_do_not_select_gpu_nodes() -> None:
    """Autopilot refuses pods that select GPU nodes and request no GPU. Source: GoogleCloudPlatform/k8s-stackdriver#1079."""
    gpu = {"preset": "gke", "accelerator": "nvidia-l4"}
    ollama, job = of_pod_and_job(draw(ollama={**BASE, "gpu": gpu, "tolerations": [{"key": "spot"}]}))
    assert "nvidia.com/gpu" in [each["key"] for each in ollama["tolerations"]]
    assert [each["key"] for each in job["tolerations"]] == ["spot"]
    assert "nodeAffinity" not in job["affinity"]


UNLIKE: list[dict[str, Any]] = [
    {"ollama": {"models": ["llama3.2:3b"]}},
    {"ollama": {**BASE, "modelPullPolicy": "Always"}},
    {"ollama": {**BASE, "modelPullSeconds": 60}},
    {"ollama": {**BASE, "create": [MARIO]}},
    {"ollama": {**BASE, "create": [{**MARIO, "system": "You are Luigi."}]}},
    {"ollama": {**BASE, "preload": ["llama3.2:1b"]}},
    {"ollama": {**BASE, "preload": ["llama3.2:1b"], "preloadKeepAlive": "1h"}},
    {"ollama": {**BASE, "absentModels": ["old"]}},
    {"ollama": {**BASE, "image": "ollama/ollama:0.18.0"}},
    {"ollama": {**BASE, "imagePullPolicy": "Always"}},
    {"ollama": BASE, "labels": {"team": "a"}},
    {"ollama": BASE, "annotations": {"team": "a"}},
    {"ollama": BASE, "podSecurity": "baseline"},
    {"ollama": BASE, "clusterDomain": "example.internal"},
    {"ollama": BASE, "imagePullSecrets": ["registry"]},
    {"ollama": BASE, "registry": {"mirror": "registry.example.com"}},
    {"ollama": BASE, "caBundle": {"configMap": "authorities"}},
    {"ollama": {**BASE, "tolerations": [{"key": "spot"}]}},
    {"ollama": {**BASE, "gpu": {}}},
]


@pytest.mark.parametrize("settings", UNLIKE, ids=str)
def test_whatever_changes_a_jobs_template_changes_its_name(settings: dict[str, Any]) -> None:
    before, after = only_job(draw_once(ollama=BASE)), only_job(draw_once(**settings))
    assert before["spec"] != after["spec"], "says nothing about names"
    assert before["metadata"]["name"] != after["metadata"]["name"]


def test_different_jobs_have_different_names() -> None:
    jobs = {only_job(draw_once(**settings))["metadata"]["name"] for settings in UNLIKE}
    assert len(jobs) == len(UNLIKE)


@pytest.mark.parametrize(
    "settings",
    [
        {"ollama": {**BASE, "storage": {"size": "90Gi"}}},
        {"ollama": {**BASE, "server": {"parallel": 4}}},
        {"ollama": {**BASE, "resources": {"limits": {"memory": "8Gi"}}}},
        {"ollama": BASE, "proxy": PROXY},  # the server downloads, not the Job
        {"ollama": BASE, "webui": {"replicas": 1, "resources": {"limits": {"memory": "8Gi"}}}},
    ],
    ids=str,
)
def test_an_unchanged_job_is_not_run_again(settings: dict[str, Any]) -> None:
    before, after = only_job(draw_once(ollama=BASE)), only_job(draw_once(**settings))
    assert before["spec"] == after["spec"]
    assert before["metadata"]["name"] == after["metadata"]["name"]


def test_config_maps_of_jobs_are_immutable() -> None:
    one, other = draw_once(ollama={"create": [MARIO]}), draw_once(ollama={"create": [{**MARIO, "system": "Luigi"}]})
    (first,), (second,) = config_maps(one), config_maps(other)
    assert first != second
    assert manifest(one, "ConfigMap", first)["immutable"] is True


def test_only_the_webui_and_jobs_may_connect_to_ollama() -> None:
    drawn = draw_once(ollama={"models": MODELS})
    (rule,) = manifest(drawn, "NetworkPolicy", "ollama")["spec"]["ingress"]
    labels = [peer["podSelector"]["matchLabels"] for peer in rule["from"]]
    assert labels == [{"app": "airis"}, {"app": "ollama-pull"}]
    job = manifest(drawn, "Job", names(drawn, "Job")[0])
    assert job["spec"]["template"]["metadata"]["labels"]["app"] == "ollama-pull"
    # and no Service of Ollama selects them
    assert all(
        manifest(drawn, "Service", name)["spec"]["selector"] != {"app": "ollama-pull"}
        for name in names(drawn, "Service")
    )


@pytest.mark.parametrize("settings", [{"create": [MARIO]}, {"absentModels": ["old"]}], ids=str)
def test_jobs_without_models_to_pull_may_connect_to_ollama(settings: dict[str, Any]) -> None:
    (rule,) = manifest(draw_once(ollama=settings), "NetworkPolicy", "ollama")["spec"]["ingress"]
    assert {"app": "ollama-pull"} in [peer["podSelector"]["matchLabels"] for peer in rule["from"]]


def test_the_pods_of_a_job_keep_the_pod_security_level() -> None:
    spec = pod_spec(only_job(draw_once(ollama={"models": MODELS})))
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["automountServiceAccountToken"] is False
    for each in (*spec["initContainers"], *spec["containers"]):
        assert each["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert each["securityContext"]["readOnlyRootFilesystem"] is True


def test_no_rule_of_the_policy_is_broken() -> None:
    settings = {"models": MODELS, "create": [MARIO], "preload": ["mario"], "absentModels": ["old"]}
    drawn = draw_once(ollama=settings, webui={"image": "ghcr.io/a/b:1.2.3"})
    each = [Registered(dict(each.manifest), protect=each.protect, retain=each.retain) for each in drawn.objects]
    assert [str(problem) for rule in RULES for one in each for problem in rule.problems(one)] == []


def test_data_files_are_part_of_their_packages() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    shipped = project["tool"]["setuptools"]["package-data"]
    for package in ("airis", "components", "settings"):
        files = [each for each in (ROOT / package).rglob("*") if each.is_file() and each.suffix not in (".py", ".pyc")]
        assert files
        for each in files:
            assert each.name in shipped[".".join(each.parent.relative_to(ROOT).parts)]


def test_jobs_are_deleted_with_the_stack() -> None:
    drawn = draw_once(ollama={"models": MODELS})
    job = find(drawn, "Job", names(drawn, "Job")[0])
    assert not job.protect
    assert not job.retain


LABELS = {"batch.kubernetes.io/job-name": "pull"}


def job(*conditions: dict[str, str]) -> dict[str, Any]:
    return {
        "kind": "Job",
        "metadata": {"name": "pull", "namespace": "airis"},
        "spec": {"selector": {"matchLabels": LABELS}},
        "status": {"conditions": list(conditions)},
    }


def pod(name: str, phase: str, **status: Any) -> dict[str, Any]:
    meta = {"name": name, "namespace": "airis", "labels": LABELS}
    return {"kind": "Pod", "metadata": meta, "spec": {"nodeName": "cpu-0"}, "status": {"phase": phase, **status}}


SAID = "pulling manifest\nairis: ensure llama9 failed: pull model manifest: file does not exist\n"
STOPPED = {"name": "result", "state": {"terminated": {"exitCode": 1, "reason": "Error", "message": SAID}}}
DONE = {"name": "ensure-0-llama9", "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}


def test_the_verdict_names_the_model_that_failed() -> None:
    failed = job({"type": "Failed", "status": "True", "message": "Job has reached the specified backoff limit"})
    live = Live([failed, pod("pull-a", "Failed", initContainerStatuses=[DONE], containerStatuses=[STOPPED])])
    of_job, of_pod = live.findings([failed])
    assert (of_job.state, of_job.reason) == (State.PENDING, "Job has reached the specified backoff limit")
    assert of_pod.reason == "result: airis: ensure llama9 failed: pull model manifest: file does not exist"


def test_the_verdict_has_the_reason_of_a_waiting_init_container() -> None:
    pending = job()
    waiting = {"name": "ensure-0-llama9", "state": {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}}
    (_, of_pod) = Live([pending, pod("pull-a", "Pending", initContainerStatuses=[waiting])]).findings([pending])
    assert of_pod.reason == "no such image"


def test_a_job_that_succeeded_after_failures_is_ready() -> None:
    complete = job({"type": "Complete", "status": "True"})
    pods = [pod("pull-a", "Failed", containerStatuses=[STOPPED]), pod("pull-b", "Succeeded")]
    findings = Live([complete, *pods]).findings([complete])
    assert [(each.name, each.state) for each in findings] == [("pull", State.READY), ("pull-b", State.READY)]


MODEL = "a model such as llama3.2:1b or hf.co/someone/model:tag"


@pytest.mark.parametrize(
    ("settings", "key", "allowed"),
    [
        ("models: ['']", "models[0]", MODEL),
        ("models: ['a b']", "models[0]", MODEL),
        ("models: ['--help']", "models[0]", MODEL),
        ("models: ['.models.sh']", "models[0]", MODEL),
        ("models: ['../model']", "models[0]", MODEL),
        ("models: ['modèle']", "models[0]", MODEL),
        (
            "models: ['some.one/model']",
            "models[0]",
            MODEL,
        ),  # a dot only in a host, which must be followed by a namespace
        ("models: ['https://example.com/a/b']", "models[0]", MODEL),
        ("models: ['a:b:c']", "models[0]", MODEL),
        (f"models: ['{'a' * 81}']", "models[0]", MODEL),
        ("models: [a, b, a]", "models[2]", "each model once"),
        ("models: [llama3.2, 'llama3.2:latest']", "models[1]", "each model once"),
        ("models: [llama3.2, registry.ollama.ai/library/Llama3.2]", "models[1]", "each model once"),
        ("models: llama3.2", "models", "a list"),
        ("modelPullPolicy: Never", "modelPullPolicy", "one of 'IfNotPresent' or 'Always'"),
        ("modelPullSeconds: 59", "modelPullSeconds", "a whole number, at least 60"),
        ("preload: [a]", "preload[0]", "one of models, or a name in create"),
        ("{models: [a], preload: [a, a]}", "preload[1]", "each model once"),
        ("{models: [a], preloadKeepAlive: 1h}", "preloadKeepAlive", "only together with preload"),
        ("{models: [a], preload: [a], preloadKeepAlive: 0}", "preloadKeepAlive", "not 0, which would unload"),
        ("{models: [a], preload: [a], preloadKeepAlive: 1d}", "preloadKeepAlive", "a duration such as 30m"),
        (
            "{models: [a, b], preload: [a, b], server: {maxLoadedModels: 1}}",
            "preload",
            "at most 1, the maximum number of",
        ),
        ("{models: [a, b, c, d], preload: [a, b, c, d]}", "preload", "at most 3, the maximum number of loaded models"),
        ("{models: [a, b, c, d], preload: [a, b, c, d], gpu: {}}", "preload", "at most 3, the maximum number of"),
        ("{models: [a], absentModels: ['a:latest']}", "absentModels[0]", "a model that is neither in models nor in"),
        ("{create: [{name: a, from: b}], absentModels: [a]}", "absentModels[0]", "a model that is neither"),
        ("{create: [{name: a, from: b}], absentModels: [b]}", "absentModels[0]", "a model that is neither"),
        ("absentModels: [a, a]", "absentModels[1]", "each model once"),
        ("create: [{name: a}]", "create[0].from", "a value: this key is required"),
        ("create: [{from: a}]", "create[0].name", "a value: this key is required"),
        ("create: [{name: a, from: ./model.gguf}]", "create[0].from", MODEL),
        ("create: [{name: a, from: 'a:latest'}]", "create[0].name", "another name than from"),
        ("create: [{name: a, from: b}, {name: a, from: b}]", "create[1].name", "each name once"),
        ("{models: [a], create: [{name: a, from: b}]}", "create[0].name", "a name that is not in models"),
        ("create: [{name: a, from: b}, {name: b, from: c}]", "create[0].from", "an earlier model in"),
        ("create: [{name: a, from: b, system: ''}]", "create[0].system", "a text that is not empty"),
        ("create: [{name: a, from: b, system: 5}]", "create[0].system", 'text: 5 is a number in YAML: write "5"'),
        ("create: [{name: a, from: b, adapter: ./x}]", "create[0].adapter", "the keys here are from, license"),
    ],
)
def test_invalid_settings_are_refused(settings: str, key: str, allowed: str, refuse: Refuse) -> None:
    settings = settings if settings.startswith("{") else f"{{{settings}}}"
    said = refuse(f"airis:ollama: {settings}")
    assert f"  airis:ollama.{key}\n" in said
    assert f"allowed  {allowed}" in said


@pytest.mark.parametrize(
    "models",
    [
        ["llama3.2", "llama3.2:1b"],
        ["hf.co/bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M"],
        ["registry.example.com:5000/team/model:v1.0"],
        ["team/model_1"],
        ["a" * 80],
    ],
    ids=str,
)
def test_valid_model_names_are_accepted(models: list[str]) -> None:
    assert [each[1] for each in steps(draw(ollama={"models": models}))[:-1]] == models


PARAMETERS = {
    # github.com/ollama/ollama v0.34.4, api/types.go: Options and Runner, except for typical_p, which it refuses
    "draft_num_predict": 4,
    "frequency_penalty": -0.5,
    "main_gpu": 0,
    "min_p": 0.05,
    "num_batch": 512,
    "num_ctx": 4096,
    "num_gpu": -1,
    "num_keep": 4,
    "num_predict": -2,
    "num_thread": 8,
    "presence_penalty": 1.5,
    "repeat_last_n": -1,
    "repeat_penalty": 1.1,
    "seed": -1,
    "stop": ["</s>"],
    "temperature": 0,
    "top_k": 0,
    "top_p": 1,
    "use_mmap": True,
}


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)


def test_every_parameter_of_ollama_can_be_set() -> None:
    given = {camel(name): value for name, value in PARAMETERS.items()}
    drawn = draw(ollama={"create": [{"name": "a", "from": "b", "parameters": given}]})
    lines = [line.split(" ")[1] for line in files(drawn)[".0"].splitlines() if line.startswith("PARAMETER ")]
    assert sorted(lines) == sorted(PARAMETERS)


@pytest.mark.parametrize(
    ("parameter", "key", "allowed"),
    [
        ("mirostat: 1", "mirostat", "the keys here are draftNumPredict"),
        ("num_ctx: 8192", "num_ctx", "did you mean `numCtx`?"),
        ("numCtx: 3", "numCtx", "a whole number, at least 4"),
        ("numCtx: 8192.5", "numCtx", "a whole number"),
        ("numPredict: -3", "numPredict", "a whole number, at least -2"),
        ("seed: 2147483648", "seed", "a whole number, at most 2147483647"),
        ("temperature: -0.1", "temperature", "a number, at least 0"),
        ("temperature: hot", "temperature", "a number, at least 0"),
        ("temperature: true", "temperature", "a number, at least 0"),
        ("temperature: 1e39", "temperature", "a number, at least 0"),
        ("frequencyPenalty: 1e39", "frequencyPenalty", "a number"),
        ("topP: 1.1", "topP", "a number from 0 to 1"),
        ("useMmap: 1", "useMmap", "true or false"),
        ("stop: '</s>'", "stop", "a list"),
        ("stop: ['']", "stop[0]", "a text that is not empty"),
    ],
)
def test_invalid_parameters_are_refused(parameter: str, key: str, allowed: str, refuse: Refuse) -> None:
    said = refuse(f"airis:ollama: {{create: [{{name: a, from: b, parameters: {{{parameter}}}}}]}}")
    assert f"  airis:ollama.create[0].parameters.{key}\n" in said
    assert f"allowed  {allowed}" in said


def test_the_example_in_the_documentation_is_accepted() -> None:
    page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    example = yaml.safe_load(page.split("```yaml\n")[1].split("```")[0])["config"]["airis:ollama"]
    assert [each[0] for each in steps(draw(ollama=example))] == [
        "remove",
        "ensure",
        "ensure",
        "ensure",
        "create",
        "load",
        "result",
    ]
    assert list(load({"airis:ollama": json.dumps(example)}, source="the page").ollama.warnings()) == []
