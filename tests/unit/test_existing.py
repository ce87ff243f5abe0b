"""Objects that exist already and are not the stack's: refused before Pulumi starts, and explained where Pulumi meets them."""

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
"""What `destroy` leaves, as `kubectl get --output=name` prints it."""


class FakeCluster:
    """Has the objects of these names, and fails where there are none to answer with."""

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
    """An object as Pulumi's state has it."""
    return {"urn": "urn:x", "type": f"kubernetes:x:{body['kind']}", "inputs": dict(body)}


def refuse(
    cluster: FakeCluster | None, *known: Mapping[str, Any], takes_existing: bool = False, stack: StackFile = STACK
) -> None:
    state = {"version": 3, "deployment": {"resources": [resource(each) for each in known]}}
    engine: Any = SimpleNamespace(takes_existing=takes_existing, export_state=lambda: state)
    refuse_existing(engine, cluster, wanted(), stack)  # type: ignore[arg-type]


def test_what_a_destroyed_stack_left_is_named_with_the_way_to_take_it_over() -> None:
    cluster = FakeCluster(*LEFT)
    with pytest.raises(AirisError) as error:
        refuse(cluster)
    assert error.value.message == (
        "already in the cluster, but not created by stack test: Namespace/airis, PersistentVolumeClaim/airis-pvc, "
        "PersistentVolumeClaim/ollama-volume-ollama-0. Nothing was changed"
    )
    assert "PULUMI_K8S_UPSERT_EXISTING_OBJECTS=true" in str(error.value)
    assert "Namespace/airis" in cluster.asked  # everything is asked about, in one question
    assert len(cluster.asked) == len(wanted())


@pytest.mark.parametrize("further", ["deployment.apps/airis-deployment", "secret/airis-secrets"])
def test_what_is_in_use_is_never_offered_to_be_taken_over_with_its_namespace(further: str) -> None:
    """Taken over with the variable, a living stack would belong to two."""
    with pytest.raises(AirisError) as error:
        refuse(FakeCluster(*LEFT, further))
    assert further.rpartition("/")[2] in error.value.message
    assert "UPSERT" not in str(error.value)
    assert "airis:namespace" in str(error.value)


def test_what_the_state_knows_is_the_stacks_own() -> None:
    own = [each for each in wanted() if each["kind"] != "Secret"]
    refuse(FakeCluster(*(f"{each['kind'].lower()}/{each['metadata']['name']}" for each in own)), *own)
    with pytest.raises(AirisError, match="not created by stack test: Secret/airis-secrets"):
        refuse(FakeCluster("namespace/airis", "secret/airis-secrets"), *own)


def test_a_free_namespace_needs_no_look_at_the_state() -> None:
    engine: Any = SimpleNamespace(takes_existing=False)
    refuse_existing(engine, FakeCluster(), wanted(), STACK)  # type: ignore[arg-type]


def test_nothing_is_refused_where_existing_objects_are_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(FakeCluster(*LEFT), takes_existing=True)
    refuse(FakeCluster(*LEFT), stack=replace(STACK, config={"kubernetes:upsertExistingObjects": "true"}))
    monkeypatch.setenv("PULUMI_K8S_UPSERT_EXISTING_OBJECTS", "true")
    refuse(FakeCluster(*LEFT))


def test_where_kubectl_cannot_tell_pulumi_does() -> None:
    refuse(None)
    refuse(FakeCluster(*LEFT, answers=False))


# --- where Pulumi meets them


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
        ("Deployment", "`airis adopt` takes it over"),
    ],
)
def test_an_object_in_the_way_is_named_with_the_remedy(kind: str, remedy: str, logged: list[str]) -> None:
    again = existing._say(error_of(kind, 'was not successfully created by the API server: x "it" already exists'))
    assert again is False
    (line,) = logged
    assert line.startswith(f"{kind}/it already exists, and this stack did not make it. ")
    assert remedy in line


def test_other_failures_are_left_to_pulumi(logged: list[str]) -> None:
    assert existing._say(error_of("Secret", "connection refused")) is False
    assert existing._say(error_of("Secret", "x already exists", "update")) is False
    assert logged == []


def test_every_object_of_the_program_has_the_explanation(registrations: list[Any]) -> None:
    drawn = draw(webui={"redis": {"bundled": {}}}, ingress={"host": "chat.example.com"})
    explained = [each.name for each in registrations if "exists-already" in each.hooks.on_error]
    made = [each.name for each in registrations if each.type.startswith("kubernetes:")]
    assert explained == made
    assert len(made) == len(drawn.objects)
    # the hooks that an object has already are kept
    (deployment,) = [each for each in registrations if each.name == "airis-deployment"]
    assert "airis-pods" in ",".join(deployment.hooks.on_error)
