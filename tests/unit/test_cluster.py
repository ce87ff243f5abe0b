"""Settings of the cluster: pinning a stack to it, and how long its pods may take to become ready."""

from typing import Any

import pulumi
import pytest

from airis.render import program
from components.guard import only_on
from settings.platform.cluster import ClusterSettings
from tests.unit.conftest import Refuse
from tests.unit.drawing import draw, manifest, stack_of

pytestmark = pytest.mark.timeout(60)

UID = "3b0a1f52-3df2-4ab6-8ae4-3a3b0a3c2f10"


@pytest.mark.parametrize(
    ("config", "key", "allowed"),
    [
        ("airis:cluster: {uid: kind}", "airis:cluster.uid", "kubectl get namespace kube-system"),
        ("airis:cluster: {uid: 3B0A1F52-3DF2-4AB6-8AE4-3A3B0A3C2F10}", "airis:cluster.uid", "kubectl get namespace"),
        ("airis:cluster: {server: 10.0.0.1}", "airis:cluster.server", "a URL such as https://"),
        ("airis:cluster: {context: ''}", "airis:cluster.context", "kubectl config get-contexts"),
        ("airis:cluster: {context: home}", "airis:cluster.context", "kubernetes:context, which is not set"),
        (
            "airis:cluster: {context: home}\nkubernetes:context: work",
            "airis:cluster.context",
            'the same as kubernetes:context, which is "work"',
        ),
        ("airis:cluster: {readySeconds: 29}", "airis:cluster.readySeconds", "at least 30"),
        ("airis:cluster: {readySeconds: 86401}", "airis:cluster.readySeconds", "at most 86400"),
        ("airis:cluster: {readySeconds: 10m}", "airis:cluster.readySeconds", "a whole number"),
    ],
)
def test_invalid_settings_are_refused(refuse: Refuse, config: str, key: str, allowed: str) -> None:
    said = refuse(config)
    assert key in said
    assert allowed in said


def test_all_problems_are_reported_together(refuse: Refuse) -> None:
    said = refuse("airis:cluster: {context: home}\nairis:ollama: {replicas: -1}")
    assert "airis:ollama.replicas" in said


@pytest.mark.parametrize("cluster", [{"uid": UID}, {"server": "https://203.0.113.7:6443"}])
def test_pinning_a_stack_changes_no_object(cluster: dict[str, Any]) -> None:
    with_it, without = draw(cluster=cluster), draw()
    by_urn = {each.urn: each.manifest for each in without.objects}
    assert {each.urn: each.manifest for each in with_it.objects} == by_urn


def test_a_matching_context_is_accepted() -> None:
    stack = stack_of(cluster={"context": "home"})
    config = {**stack.config, "kubernetes:context": "home"}
    rendering = program.run(type(stack)(stack.name, stack.path, config, stack.secret_keys))
    assert manifest(rendering, "Namespace", "airis")


@pytest.mark.parametrize(
    ("settings", "seconds"), [({}, "600s"), ({"cluster": {"readySeconds": 1800}}, "1800s")], ids=["default", "own"]
)
def test_each_workload_has_its_own_timeout(registrations: list[Any], settings: dict[str, Any], seconds: str) -> None:
    draw(webui={"redis": {"bundled": {}}}, **settings)
    times = {
        each.name: (each.customTimeouts.create, each.customTimeouts.update)
        for each in registrations
        if each.type.startswith("kubernetes:apps/")
    }
    assert times == dict.fromkeys(("airis-deployment", "airis-redis", "ollama"), (seconds, seconds))


@pytest.mark.parametrize("seconds", [30, 86400])
def test_the_progress_deadline_is_the_same_timeout(seconds: int) -> None:
    """`kubectl rollout status`, Argo CD and Flux time out at the Deployment's progress deadline."""
    with_it, without = (
        {each.urn: each.manifest for each in draw(cluster=cluster).objects}
        for cluster in ({"readySeconds": seconds}, {})
    )
    (changed,) = [urn for urn in without if without[urn] != with_it[urn]]
    assert {**with_it[changed]["spec"], "progressDeadlineSeconds": 600} == without[changed]["spec"]
    assert with_it[changed]["spec"]["progressDeadlineSeconds"] == seconds


class Metadata:
    def __init__(self, uid: str | None) -> None:
        self.uid = uid


class System:
    def __init__(self, uid: str | None) -> None:
        self.metadata = self
        self._uid = uid

    def apply(self, check: Any) -> Any:
        return check(Metadata(self._uid))


@pytest.mark.parametrize("uid", [UID, None], ids=["its own", "under mocks"])
def test_the_program_runs_on_the_pinned_cluster(monkeypatch: pytest.MonkeyPatch, uid: str | None) -> None:
    monkeypatch.setattr("components.guard.Namespace.get", lambda *_: System(uid))
    assert only_on(ClusterSettings(uid=UID), "airis") == "airis"


def test_the_program_fails_on_another_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    other = "00000000-0000-4000-8000-000000000000"
    monkeypatch.setattr("components.guard.Namespace.get", lambda *_: System(other))
    with pytest.raises(pulumi.RunError, match=f"{UID} .*, but this is {other}"):
        only_on(ClusterSettings(uid=UID), "airis")


def test_without_a_uid_the_cluster_is_not_checked() -> None:
    assert only_on(ClusterSettings(), "airis") == "airis"
