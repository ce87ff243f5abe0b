"""The first steps that `airis up` prints after the first deployment of a stack."""

import json
from pathlib import Path
from typing import Any

import pytest

from airis.deploy import first_steps
from airis.deploy.first_steps import Before
from airis.rehearse.deploy_or_rehearse import deploy_or_rehearse
from airis.stack_file.stacks import settings_of
from tests.unit.deploying import UID, Script, asked, script, write
from tests.unit.drawing import stack_of

__all__ = ["asked", "script"]  # fixtures

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(autouse=True)
def dns(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[str, ...]]:
    """The names that resolve on this machine."""
    known: dict[str, tuple[str, ...]] = {}
    monkeypatch.setattr(first_steps, "resolved", lambda names: {each: known.get(each, ()) for each in names})
    monkeypatch.setattr(first_steps, "program", lambda: ".venv/bin/airis")
    return known


def told(*, has_data: bool = False, **config: Any) -> str:
    stack = stack_of(**config)
    return first_steps.first_steps(stack, settings_of(stack), Before(deployed=False, has_data=has_data))


def test_the_complete_text_for_a_small_stack() -> None:
    assert told(ollama={"models": ["llama3.2:1b"]}).splitlines() == [
        "",
        "Stack test is up. Next steps:",
        "  Open     `.venv/bin/airis open --stack test` opens it in your browser.",
        "  Sign in  Create an account: the first account is the administrator.",
        "  Model    Chat with llama3.2:1b.",
    ]


def test_the_url_and_how_to_open_it(dns: dict[str, tuple[str, ...]]) -> None:
    host: dict[str, Any] = {"ingress": {"host": "chat.example.com", "tls": {"secretName": "tls"}}}
    assert "Open     https://chat.example.com\n" in told(**host)
    assert "chat.example.com does not resolve on this machine yet; `.venv/bin/airis open --stack test`" in told(**host)
    dns["chat.example.com"] = ("203.0.113.7",)
    assert "airis open" not in told(**host)
    assert "Open     http://203.0.113.7\n" in told(webui={"url": "http://203.0.113.7"})
    assert "port 30080 of every node" in told(webui={"service": {"type": "NodePort", "nodePort": 30080}})
    assert "address of its load balancer" in told(webui={"service": {"type": "LoadBalancer"}})


def test_an_ip_address_needs_no_dns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_steps, "resolved", lambda _: {})  # addresses are not asked for
    assert "does not resolve" not in told(webui={"url": "http://203.0.113.7"})


@pytest.mark.parametrize(
    ("auth", "said"),
    [
        ({}, "Create an account: the first account is the administrator."),
        ({"enabled": False}, "everyone who can reach it is an administrator"),
        (
            {"firstAdmin": {"email": "a@example.com", "passwordFrom": {"name": "s", "key": "k"}}},
            "The administrator is a@example.com; the password is in key k of Secret s.",
        ),
        ({"trustedHeader": {"email": "X-Email"}}, "The first user who signs in is the administrator."),
    ],
)
def test_who_the_administrator_is(auth: dict[str, Any], said: str) -> None:
    assert said in told(webui={"auth": auth})


def test_existing_data_may_have_accounts() -> None:
    assert "Existing accounts in the database are kept." in told(has_data=True)
    assert "Create an account" not in told(has_data=True)


@pytest.mark.parametrize(
    ("config", "said", "not_said"),
    [
        (
            {},
            "No model yet. To pull one, set `models: [llama3.2:1b]` under airis:ollama in Pulumi.test.yaml",
            "Chat with",
        ),
        (
            {
                "ollama": {
                    "models": ["llama3.1:8b", "nomic-embed-text"],
                    "create": [{"name": "helpdesk", "from": "llama3.1:8b"}],
                },
                "webui": {"connections": {"embeddings": {"engine": "ollama", "model": "nomic-embed-text:latest"}}},
            },
            "Chat with llama3.1:8b or helpdesk.",
            "nomic",
        ),
        (
            {
                "webui": {"connections": {"openai": [{"url": "https://llm.example.com/v1"}]}},
                "ollama": {"enabled": False},
            },
            "Model    The models of the servers in airis:webui.connections.",
            "No model",
        ),
        ({"ollama": {"enabled": False}}, "connect a server in the browser", "llama"),
    ],
)
def test_which_models_are_listed(config: dict[str, Any], said: str, not_said: str) -> None:
    text = told(**config)
    assert said in text
    assert not_said not in text


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ([], "Create an account"),
        (["PersistentVolumeClaim"], "Existing accounts in the database are kept."),
        (["Deployment", "PersistentVolumeClaim"], ""),
    ],
    ids=["new", "destroyed before", "deployed"],
)
def test_up_prints_the_first_steps_of_a_new_webui(
    asked: list[str], script: Script, capfd: pytest.CaptureFixture[str], there: list[str], said: str
) -> None:
    listed = json.dumps({"kind": "List", "items": [{"kind": each} for each in there]})
    script(
        "kubectl",
        f"""case "$*" in
        *kube-system*) echo '{{"kind":"Namespace","metadata":{{"uid":"{UID}"}}}}' ;;
        *deployment/airis-deployment*persistentvolumeclaim/airis-pvc*) echo '{listed}' ;;
        esac""",
    )
    assert deploy_or_rehearse("cpu", yes=True) == 0
    out = capfd.readouterr().out
    assert said in out
    assert ("Stack cpu is up" in out) == bool(said)


def test_up_prints_no_first_steps_if_the_cluster_cannot_be_read(
    asked: list[str], project: Path, script: Script, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    script("kubectl", 'case "$*" in *airis-deployment*) exit 1;; *) echo "Forbidden" >&2; exit 1;; esac')
    assert deploy_or_rehearse("cpu", yes=True) == 0
    assert "is up" not in capfd.readouterr().out
    write(project, "{kubernetes:kubeconfig: {secure: 'v1:x:y'}}")
    assert deploy_or_rehearse("test", yes=True) == 0
    assert "is up" not in capfd.readouterr().out


def test_an_external_database_may_have_accounts() -> None:
    class Empty:
        def get(self, *_: str) -> list[dict[str, Any]]:
            return []

    wanted = [
        {
            "kind": "Deployment",
            "metadata": {"name": "a", "labels": {"app.kubernetes.io/name": "open-webui"}},
            "spec": {"template": {"spec": {"volumes": []}}},
        }
    ]
    database = {"database": {"urlFrom": {"name": "a", "key": "b"}}}
    for webui, has_data in (({}, False), (database, True)):
        settings = settings_of(stack_of(webui=webui))
        assert first_steps.before(Empty(), wanted, settings) == Before(deployed=False, has_data=has_data)  # type: ignore[arg-type]
    assert first_steps.before(None, wanted, settings) is None
