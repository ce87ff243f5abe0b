"""Existing objects that are not the stack's: refused before Pulumi starts, and explained if Pulumi meets them."""

import json
from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest

from airis.cluster.kubectl import KubectlError
from airis.deploy.existing_objects import refuse_existing
from airis.render import manifest
from airis.stack_file.stacks import StackFile
from airis.terminal.errors import AirisError
from components import existing
from tests.unit.drawing import draw, draw_once, stack_of

pytestmark = pytest.mark.timeout(60)

STACK = stack_of()
LEFT = ["namespace/airis", "persistentvolumeclaim/airis-pvc", "persistentvolumeclaim/ollama-volume-ollama-0"]
"""Objects that `destroy` leaves, as `kubectl get --output=name` prints them."""


class FakeCluster:
    """Returns the objects of these names, and fails if there are none."""

    namespace = "airis"

    def __init__(self, *names: str, answers: bool = True) -> None:
        self.names, self.answers = names, answers
        self.asked: list[str] = []

    def run(self, *args: str, stdin: str) -> str:
        assert args == ("get", "--filename=-", "--ignore-not-found", "--output=name")
        self.asked += [f"{each['kind']}/{each['metadata']['name']}" for each in json.loads(stdin)["items"]]
        if not self.answers:
            raise KubectlError("no matches for kind")
        return "".join(f"{name}\n" for name in self.names)


def wanted(**settings: object) -> list[dict[str, Any]]:
    return [manifest.manifest(each) for each in manifest.in_order(draw_once(**settings).objects)]


def resource(body: Mapping[str, Any]) -> dict[str, Any]:
    """An object in Pulumi's state."""
    return {"urn": "urn:x", "type": f"kubernetes:x:{body['kind']}", "inputs": dict(body)}


def refuse(
    cluster: FakeCluster | None, *known: Mapping[str, Any], takes_existing: bool = False, stack: StackFile = STACK
) -> None:
    state = {"version": 3, "deployment": {"resources": [resource(each) for each in known]}}
    engine: Any = SimpleNamespace(takes_existing=takes_existing, export_state=lambda: state)
    refuse_existing(engine, cluster, wanted(), stack)  # type: ignore[arg-type]


def test_objects_left_by_a_destroyed_stack_are_reported_with_the_fix() -> None:
    cluster = FakeCluster(*LEFT)
    with pytest.raises(AirisError) as error:
        refuse(cluster)
    assert error.value.message == (
        "already in the cluster, and not made by stack test: Namespace/airis, PersistentVolumeClaim/airis-pvc, "
        "PersistentVolumeClaim/ollama-volume-ollama-0. Nothing was changed"
    )
    assert "PULUMI_K8S_UPSERT_EXISTING_OBJECTS=true" in str(error.value)
    assert "Namespace/airis" in cluster.asked  # one request for all objects
    assert len(cluster.asked) == len(wanted())


@pytest.mark.parametrize("further", ["deployment.apps/airis-deployment", "secret/airis-secrets"])
def test_adoption_is_not_suggested_for_objects_in_use(further: str) -> None:
    """If adopted with the variable, a live stack would belong to two stacks."""
    with pytest.raises(AirisError) as error:
        refuse(FakeCluster(*LEFT, further))
    assert further.rpartition("/")[2] in error.value.message
    assert "UPSERT" not in str(error.value)
    assert "airis:namespace" in str(error.value)


def test_objects_in_the_state_belong_to_the_stack() -> None:
    own = [each for each in wanted() if each["kind"] != "Secret"]
    refuse(FakeCluster(*(f"{each['kind'].lower()}/{each['metadata']['name']}" for each in own)), *own)
    with pytest.raises(AirisError, match="not made by stack test: Secret/airis-secrets"):
        refuse(FakeCluster("namespace/airis", "secret/airis-secrets"), *own)


def test_a_free_namespace_does_not_read_the_state() -> None:
    engine: Any = SimpleNamespace(takes_existing=False)
    refuse_existing(engine, FakeCluster(), wanted(), STACK)  # type: ignore[arg-type]


def test_nothing_is_refused_if_existing_objects_are_adopted(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(FakeCluster(*LEFT), takes_existing=True)
    refuse(FakeCluster(*LEFT), stack=replace(STACK, config={"kubernetes:upsertExistingObjects": "true"}))
    monkeypatch.setenv("PULUMI_K8S_UPSERT_EXISTING_OBJECTS", "true")
    refuse(FakeCluster(*LEFT))


def test_without_kubectl_pulumi_reports_existing_objects() -> None:
    refuse(None)
    refuse(FakeCluster(*LEFT, answers=False))


# --- errors of Pulumi


def error_of(kind: str, words: str, operation: str = "create") -> pulumi.ErrorHookArgs:
    inputs = {"kind": kind, "metadata": {"name": "it"}}
    return pulumi.ErrorHookArgs("urn:x", "", "x", f"kubernetes:x:{kind}", inputs, None, None, operation, [words])


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(pulumi.log, "error", lines.append)
    return lines


@pytest.mark.parametrize(
    ("kind", "remedy"),
    [
        ("Namespace", "PULUMI_K8S_UPSERT_EXISTING_OBJECTS=true"),
        ("PersistentVolumeClaim", "PULUMI_K8S_UPSERT_EXISTING_OBJECTS=true"),
        ("Secret", "delete it"),
        ("Deployment", "`airis adopt` adopts it"),
    ],
)
def test_an_existing_object_is_reported_with_the_fix(kind: str, remedy: str, logged: list[str]) -> None:
    again = existing._say(error_of(kind, 'was not successfully created by the API server: x "it" already exists'))
    assert again is False
    (line,) = logged
    assert line.startswith(f"{kind}/it already exists, and this stack did not create it. ")
    assert remedy in line


def test_other_failures_are_left_to_pulumi(logged: list[str]) -> None:
    assert existing._say(error_of("Secret", "connection refused")) is False
    assert existing._say(error_of("Secret", "x already exists", "update")) is False
    assert logged == []


def test_every_object_has_the_error_hook(registrations: list[Any]) -> None:
    drawn = draw(webui={"redis": {"bundled": {}}}, ingress={"host": "chat.example.com"})
    explained = [each.name for each in registrations if "exists-already" in each.hooks.on_error]
    made = [each.name for each in registrations if each.type.startswith("kubernetes:")]
    assert explained == made
    assert len(made) == len(drawn.objects)
    # existing hooks of an object are kept
    (deployment,) = [each for each in registrations if each.name == "airis-deployment"]
    assert "airis-pods" in ",".join(deployment.hooks.on_error)
