"""Recovery of the state after an interrupted or failed run."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from airis.cluster.kubectl import KubectlError, KubeObject
from airis.deploy import recovery
from airis.deploy.engine import EngineFailed, Locked
from airis.deploy.recovery import Identity, pending, repaired, unlocked, untold

pytestmark = pytest.mark.timeout(60)

STATEFUL_SET: dict[str, Any] = {
    "urn": "urn:pulumi:gpu::airis::kubernetes:apps/v1:StatefulSet::ollama",
    "type": "kubernetes:apps/v1:StatefulSet",
    "protect": True,
    "parent": "urn:parent",
    "inputs": {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "ollama", "namespace": "airis"}},
}
NAMESPACE: dict[str, Any] = {
    "urn": "urn:pulumi:gpu::airis::kubernetes:core/v1:Namespace::namespace",
    "type": "kubernetes:core/v1:Namespace",
    "inputs": {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "airis"}},
}
STASH = {
    "urn": "urn:pulumi:gpu::airis::pulumi:index:Stash::key",
    "type": "pulumi:index:Stash",
    "inputs": {"input": "x"},
}


OLLAMA: Identity = ("apps/v1", "StatefulSet", "airis", "ollama")
WANTED: list[dict[str, Any]] = [dict(each["inputs"]) for each in (NAMESPACE, STATEFUL_SET)]
TEN = datetime(2026, 5, 1, 10, tzinfo=UTC)
"""The start time of the failed run."""


def state(*operations: tuple[str, Mapping[str, Any]]) -> dict[str, Any]:
    listed = [{"type": doing, "resource": resource} for doing, resource in operations]
    return {"version": 3, "deployment": {"resources": [{"urn": "urn:parent"}], "pending_operations": listed}}


def live(identity: Identity, manager: str = "pulumi-kubernetes-1a2b", made: str = "2026-05-01T10:00:30Z") -> KubeObject:
    _, _, namespace, name = identity
    metadata = {"name": name, "managedFields": [{"manager": manager}], "creationTimestamp": made}
    return {"metadata": {**metadata, **({"namespace": namespace} if namespace else {})}}


def test_a_clean_state_has_nothing_pending() -> None:
    assert pending({"version": 3, "deployment": {}}) == []
    assert pending({"version": 3, "deployment": None}) == []


def test_pending_operations_are_named_by_kind_and_name() -> None:
    found = pending(state(("creating", STATEFUL_SET), ("updating", NAMESPACE), ("creating", STASH)))
    assert [str(each) for each in found] == ["creating StatefulSet/ollama", "updating Namespace/airis", "creating key"]


@pytest.mark.parametrize(
    ("resource", "identifier"), [(STATEFUL_SET, "airis/ollama"), (NAMESPACE, "airis")], ids=["namespaced", "not"]
)
def test_a_created_object_becomes_a_resource_in_the_state(resource: dict[str, Any], identifier: str) -> None:
    after, made = repaired(state(("creating", resource)), live)

    (_, added) = after["deployment"]["resources"]
    assert after["deployment"]["pending_operations"] == []
    assert {key: added[key] for key in resource} == resource
    assert added["id"] == identifier
    assert added["outputs"]["__inputs"] == resource["inputs"]
    assert len(made) == 1


def test_a_pending_creation_without_an_object_is_dropped() -> None:
    after, made = repaired(state(("creating", STATEFUL_SET)), lambda each: None)
    assert after["deployment"] == {"resources": [{"urn": "urn:parent"}], "pending_operations": []}
    assert made == []


def test_an_object_of_another_program_is_not_taken_over() -> None:
    after, made = repaired(state(("creating", STATEFUL_SET)), lambda each: live(each, "helm"))
    assert len(after["deployment"]["resources"]) == 1
    assert made == []


@pytest.mark.parametrize("doing", ["updating", "deleting", "reading"])
def test_pending_updates_and_deletions_are_left_to_the_refresh(doing: str) -> None:
    after, made = repaired(state((doing, STATEFUL_SET)), live)
    assert len(after["deployment"]["resources"]) == 1
    assert after["deployment"]["pending_operations"] == []
    assert made == []


def test_a_resource_in_the_state_is_not_added_twice() -> None:
    before = state(("creating", STATEFUL_SET))
    before["deployment"]["resources"].append(STATEFUL_SET)
    after, _ = repaired(before, live)
    assert len(after["deployment"]["resources"]) == 2


class FakeEngine:
    def __init__(self, exported: dict[str, Any]) -> None:
        self.exported = exported
        self.asked: list[str] = []
        self.imported: dict[str, Any] = {}
        self.failing: datetime | None = None

    def export_state(self) -> dict[str, Any]:
        return self.exported

    def import_state(self, state: dict[str, Any]) -> None:
        self.imported = state

    def failing_since(self) -> datetime | None:
        return self.failing

    def allow_existing(self) -> None:
        self.asked.append("allow existing")

    def refresh(self) -> None:
        self.asked.append("refresh")

    def cancel(self) -> None:
        self.asked.append("cancel")


class FakeCluster:
    def __init__(self) -> None:
        self.asked: tuple[str, ...] = ()

    def get(self, *args: str) -> list[dict[str, Any]]:
        self.asked = args
        return [dict(live(OLLAMA))]


def fakes(exported: dict[str, Any]) -> tuple[Any, Any]:
    return FakeEngine(exported), FakeCluster()


def test_recovery_looks_up_objects_by_version_and_group() -> None:
    engine, cluster = fakes(state(("creating", STATEFUL_SET)))
    recovery.recover(engine, cluster, lambda question: True)
    assert cluster.asked == ("StatefulSet.v1.apps", "ollama", "--show-managed-fields", "--namespace=airis")
    assert len(engine.imported["deployment"]["resources"]) == 2
    assert engine.asked == ["refresh"]


def test_the_state_is_not_written_without_confirmation() -> None:
    engine, cluster = fakes(state(("creating", STATEFUL_SET)))
    with pytest.raises(EngineFailed, match="nothing was changed"):
        recovery.recover(engine, cluster, lambda question: False)
    assert engine.imported == {}
    assert engine.asked == []


def test_the_state_is_not_changed_if_the_cluster_is_unreachable() -> None:
    engine, _ = fakes(state(("creating", STATEFUL_SET)))
    with pytest.raises(EngineFailed, match="cannot be looked up"):
        recovery.recover(engine, None, lambda question: True)
    assert engine.imported == {}


def test_a_clean_state_is_left_alone() -> None:
    engine, cluster = fakes({"version": 3, "deployment": {}})
    recovery.recover(engine, cluster, lambda question: False)
    assert engine.asked == []


def test_after_a_failed_run_the_state_is_refreshed_first() -> None:
    engine, cluster = fakes({"version": 3, "deployment": {}})
    engine.failing = TEN
    recovery.recover(engine, cluster, lambda question: False)
    assert engine.asked == ["refresh"]
    assert engine.imported == {}


def held(*resources: Mapping[str, Any]) -> dict[str, Any]:
    return {"version": 3, "deployment": {"resources": list(resources)}}


def test_an_object_that_a_failed_run_created_without_an_answer_is_found() -> None:
    asked: list[Identity] = []

    def there(identity: Identity) -> KubeObject:
        asked.append(identity)
        return live(identity)

    assert untold(held(STASH, NAMESPACE), WANTED, TEN, there) == [OLLAMA]
    assert asked == [OLLAMA]  # not what the state has


@pytest.mark.parametrize("made", ["2026-05-01T09:59:45Z", "2026-05-01T12:00:00Z"])
def test_a_small_clock_skew_is_tolerated(made: str) -> None:
    assert untold(held(NAMESPACE), WANTED, TEN, lambda each: live(each, made=made)) == [OLLAMA]


@pytest.mark.parametrize("other", [{"manager": "helm"}, {"made": "2026-05-01T09:00:00Z"}], ids=["another", "older"])
def test_nothing_is_taken_over_if_one_object_is_not_from_that_run(other: dict[str, str]) -> None:
    """The permission to take over applies to the whole run, so a single foreign object forbids it."""

    def there(identity: Identity) -> KubeObject:
        return live(identity, **other) if identity == OLLAMA else live(identity)

    wanted = [*WANTED, {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "ollama", "namespace": "airis"}}]
    assert untold(held(NAMESPACE), wanted, TEN, live) == [OLLAMA, ("v1", "Service", "airis", "ollama")]
    assert untold(held(NAMESPACE), wanted, TEN, there) == []


def test_objects_in_a_namespace_without_a_record_are_not_taken_over() -> None:
    assert untold(held(), WANTED[:1], TEN, live) == [("v1", "Namespace", "", "airis")]
    assert untold(held(), WANTED, TEN, live) == []


def test_a_failed_run_without_unrecorded_objects_takes_nothing_over() -> None:
    assert untold(held(NAMESPACE), WANTED, TEN, lambda each: None) == []
    assert untold({"version": 3, "deployment": None}, [], TEN, live) == []


def test_the_next_run_takes_over_unrecorded_objects_and_reports_it(capsys: pytest.CaptureFixture[str]) -> None:
    engine, cluster = fakes(held(NAMESPACE))
    engine.failing = TEN
    recovery.recover(engine, cluster, lambda question: False, WANTED)
    assert engine.asked == ["refresh", "allow existing"]
    assert "A failed run created StatefulSet/ollama, but got no answer from the API server" in capsys.readouterr().err


def test_a_preview_takes_over_the_same_and_does_not_write_the_state() -> None:
    engine, cluster = fakes(held(NAMESPACE))
    engine.failing = TEN
    assert not recovery.tell_unfinished(engine, cluster, WANTED)
    assert engine.asked == ["allow existing"]


def test_a_preview_reports_pending_operations_and_leaves_them(capsys: pytest.CaptureFixture[str]) -> None:
    engine, cluster = fakes(state(("creating", STATEFUL_SET)))
    assert recovery.tell_unfinished(engine, cluster, WANTED)
    assert "creating StatefulSet/ollama\n`airis up` resolves this." in capsys.readouterr().err
    assert (engine.asked, engine.imported) == ([], {})


def test_an_unknown_kind_is_left_to_pulumi() -> None:
    engine, cluster = fakes(held(NAMESPACE))
    engine.failing = TEN

    def get(*args: str) -> list[dict[str, Any]]:
        raise KubectlError("the server doesn't have a resource type")

    cluster.get = get
    recovery.recover(engine, cluster, lambda question: False, WANTED)
    assert engine.asked == ["refresh"]


@pytest.mark.parametrize(("dead", "yes", "goes_on"), [(True, True, True), (True, False, False), (False, True, False)])
def test_only_the_lock_of_a_dead_process_is_released(dead: bool, yes: bool, goes_on: bool) -> None:
    engine, _ = fakes({})
    tries: list[int] = []

    def operation() -> str:
        tries.append(1)
        if len(tries) == 1:
            raise Locked("the stack is held", dead=dead)
        return "done"

    if goes_on:
        assert unlocked(engine, operation, lambda question: yes) == "done"
        assert engine.asked == ["cancel"]
    else:
        with pytest.raises(Locked):
            unlocked(engine, operation, lambda question: yes)
        assert engine.asked == []
