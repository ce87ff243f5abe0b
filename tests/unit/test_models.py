"""Models as desired state: which Jobs pull what from where, and who may do so."""

import pytest

from tests.unit.conftest import Refuse
from tests.unit.drawing import draw, draw_once, find, manifest, names, pod_spec

pytestmark = pytest.mark.timeout(60)

MODELS = ["llama3.2:1b", "hf.co/someone/model:Q4_K_M"]


def test_without_models_there_is_no_job() -> None:
    assert names(draw_once(), "Job") == []


def test_each_model_is_pulled_into_each_pod_by_its_stable_name() -> None:
    drawn = draw_once(ollama={"replicas": 2, "models": MODELS})
    jobs = [manifest(drawn, "Job", name) for name in names(drawn, "Job")]
    assert len(jobs) == 2
    for ordinal, job in enumerate(jobs):
        containers = pod_spec(job)["containers"]
        assert [each["args"] for each in containers] == [["pull", model] for model in MODELS]
        for each in containers:
            env = {variable["name"]: variable["value"] for variable in each["env"]}
            assert env["OLLAMA_HOST"] == f"http://ollama-{ordinal}.ollama.airis.svc.cluster.local:11434"
            assert "command" not in each  # the image's own entrypoint, no script


def test_a_job_has_retries_and_a_time_of_its_own() -> None:
    drawn = draw(ollama={"models": MODELS, "modelPullSeconds": 7200})
    job = manifest(drawn, "Job", names(drawn, "Job")[0])
    assert job["spec"]["activeDeadlineSeconds"] == 7200
    assert job["spec"]["backoffLimit"] > 0
    assert pod_spec(job)["restartPolicy"] == "OnFailure"


def test_a_job_is_run_again_only_when_it_would_do_something_else() -> None:
    one = names(draw(ollama={"models": MODELS}), "Job")
    assert names(draw(ollama={"models": MODELS, "storage": {"size": "90Gi"}}), "Job") == one
    assert set(names(draw(ollama={"models": MODELS[:1]}), "Job")).isdisjoint(one)
    assert set(names(draw(ollama={"models": MODELS, "image": "ollama/ollama:0.18.0"}), "Job")).isdisjoint(one)


def test_only_webui_and_the_jobs_reach_ollama() -> None:
    drawn = draw_once(ollama={"models": MODELS})
    (rule,) = manifest(drawn, "NetworkPolicy", "ollama")["spec"]["ingress"]
    labels = [peer["podSelector"]["matchLabels"] for peer in rule["from"]]
    assert labels == [{"app": "airis"}, {"app": "ollama-pull"}]
    job = manifest(drawn, "Job", names(drawn, "Job")[0])
    assert job["spec"]["template"]["metadata"]["labels"]["app"] == "ollama-pull"
    # and no Service of Ollama leads to them
    assert all(
        manifest(drawn, "Service", name)["spec"]["selector"] != {"app": "ollama-pull"}
        for name in names(drawn, "Service")
    )


def test_the_pods_of_a_job_keep_the_pod_security_level() -> None:
    drawn = draw_once(ollama={"models": MODELS})
    spec = pod_spec(manifest(drawn, "Job", names(drawn, "Job")[0]))
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["automountServiceAccountToken"] is False
    for each in spec["containers"]:
        assert each["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert each["securityContext"]["readOnlyRootFilesystem"] is True


def test_a_job_is_not_kept_when_the_stack_goes() -> None:
    drawn = draw_once(ollama={"models": MODELS})
    job = find(drawn, "Job", names(drawn, "Job")[0])
    assert not job.protect
    assert not job.retain


@pytest.mark.parametrize(
    ("models", "key", "allowed"),
    [
        ("['']", "airis:ollama.models[0]", "a model such as llama3.2:1b"),
        ("['a b']", "airis:ollama.models[0]", "a model such as llama3.2:1b"),
        ("[a, b, a]", "airis:ollama.models[2]", "each model once"),
        ("llama3.2", "airis:ollama.models", "a list"),
    ],
)
def test_refused(models: str, key: str, allowed: str, refuse: Refuse) -> None:
    said = refuse(f"airis:ollama: {{models: {models}}}")
    assert f"  {key}\n" in said
    assert allowed in said
