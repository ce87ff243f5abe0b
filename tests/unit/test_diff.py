"""The effects of changes in a diff: fields, replacements, pods, downtime, data, totals, reasons."""

import copy
from typing import Any

import pytest

from airis.diff.changes import whole
from airis.diff.fields import ABSENT, Difference, Hidden, differences, masked
from airis.diff.ignored_fields import is_overlooked, kept
from airis.diff.model import Action, Amount, Diff
from airis.diff.replacement import covers, forcing
from airis.diff.stack_objects import Item, Side
from airis.diff.totals import quantity, totals
from tests.unit.diffs import change, diff_of, field, side, words

pytestmark = pytest.mark.timeout(60)

HOST: dict[str, Any] = {"ingress": {"host": "chat.example.com"}}


def paths(before: Any, after: Any) -> list[str]:
    return [each.path for each in differences(before, after)]


def with_variable(name: str, value: str) -> Side:
    """The default stack, with one more variable in Open WebUI's container."""
    items = []
    for each in side().items:
        body = copy.deepcopy(dict(each.body))
        if each.kind == "Deployment":
            body["spec"]["template"]["spec"]["containers"][0]["env"].append({"name": name, "value": value})
        items.append(Item(body, each.urn, each.protect, each.retain, each.ignores))
    return Side("", tuple(items))


class TestFields:
    def test_list_items_are_matched_by_their_keys(self) -> None:
        before = {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}
        after = {"env": [{"name": "B", "value": "3"}, {"name": "C", "value": "4"}]}
        assert paths(before, after) == ["env[A]", "env[B].value", "env[C]"]

    def test_ports_with_the_same_number_and_different_protocols_are_distinct(self) -> None:
        both = [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]
        assert paths({"ports": both}, {"ports": both[:1]}) == ["ports[53/TCP]"]
        assert paths({"ports": both}, {"ports": both[::-1]}) == ["ports (order)"]

    def test_a_list_without_keys_is_compared_by_index_or_as_a_whole(self) -> None:
        assert paths({"ingress": [{"from": [1]}]}, {"ingress": [{"from": [2]}]}) == ["ingress[0].from"]
        assert paths({"ingress": [{"from": [1]}]}, {"ingress": []}) == ["ingress"]
        assert paths({"args": ["a", "b"]}, {"args": ["a", "c"]}) == ["args"]

    def test_renaming_the_only_item_changes_it(self) -> None:
        assert paths({"rules": [{"host": "a"}]}, {"rules": [{"host": "b"}]}) == ["rules[0].host"]

    def test_equal_quantities_in_different_notations_are_equal(self) -> None:
        before = {"resources": {"requests": {"cpu": "1000m", "memory": "1Gi"}, "limits": {"cpu": "1"}}}
        after = {"resources": {"requests": {"cpu": "1", "memory": "1024Mi"}, "limits": {"cpu": "2"}}}
        assert paths(before, after) == ["resources.limits.cpu"]

    def test_null_and_absent_differ(self) -> None:
        assert list(differences({"a": None}, {})) == [Difference("a", None, ABSENT)]

    def test_secrets_are_compared_and_never_shown(self) -> None:
        assert paths({"a": Hidden("x")}, {"a": Hidden("x")}) == []
        assert paths({"a": Hidden("x")}, {"a": Hidden("y")}) == ["a"]
        assert masked({"a": Hidden("x")}, "") == {"a": "[secret]"}
        assert masked("postgres://me:hunter2@host", "spec.url") == "[not shown]"


class TestReplacement:
    @pytest.mark.parametrize(
        ("kind", "path", "replaced"),
        [
            ("v1/Service", "spec.clusterIP", True),
            ("v1/Service", "spec.ports[http].port", False),
            ("apps/v1/Deployment", "spec.selector.matchLabels.app", True),
            ("apps/v1/Deployment", "spec.template.spec.containers[a].image", False),
            ("apps/v1/StatefulSet", "spec.serviceName", True),
            ("apps/v1/StatefulSet", "spec.replicas", False),
            ("batch/v1/Job", "spec.template.spec.containers[a].image", True),
            ("batch/v1/Job", "spec.backoffLimit", False),
            ("v1/PersistentVolumeClaim", "spec.accessModes", True),
            ("v1/PersistentVolumeClaim", "spec.resources.requests.storage", False),
            ("v1/Secret", "stringData.a", False),
            ("v1/Secret", "type", True),
            ("v1/ConfigMap", "data.a", True),
            ("networking.k8s.io/v1/Ingress", "spec.rules[0].host", False),
            ("networking.k8s.io/v1/Ingress", "metadata.namespace", True),
            ("v1/Service", "metadata.namespaceX", False),
        ],
    )
    def test_the_providers_rules(self, kind: str, path: str, replaced: bool) -> None:
        version, _, name = kind.rpartition("/")
        item = Item({"apiVersion": version, "kind": name, "metadata": {"name": "a"}})
        assert any(covers(each, path) for each in forcing(item, {"enableSecretMutable": True})) is replaced

    def test_immutable_contents_force_a_replacement(self) -> None:
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}
        assert "data" in forcing(Item(body), {})
        assert "data" not in forcing(Item(body), {"enableSecretMutable": True})
        assert "data" in forcing(Item({**body, "immutable": True}), {"enableSecretMutable": True})

    def test_replacing_a_fixed_name_causes_downtime(self) -> None:
        def service(address: str) -> Side:
            spec = {"clusterIP": address, "ports": [{"port": 1}]}
            metadata = {"name": "a", "namespace": "n"}
            return Side("", (Item({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}, "urn"),))

        (found,) = whole("test", service("None"), service("10.0.0.1")).changes
        assert found.action is Action.REPLACED
        assert found.fields[0].forces_replacement
        assert "the old object is deleted first" in found.downtime[0]


class TestOverlooked:
    @pytest.mark.parametrize(
        ("path", "overlooked"),
        [
            ("spec.class", True),
            ("spec.class.name", True),
            ("spec.className", False),
            ("spec.claims[0].size", True),
            ("spec.claims[1].size", False),
            ("spec.claims", False),  # added or removed
            ("spec", False),
        ],
    )
    def test_a_field_and_its_children_are_ignored(self, path: str, overlooked: bool) -> None:
        assert is_overlooked(path, ["spec.class", "spec.claims[0]"]) is overlooked

    @pytest.mark.parametrize(
        ("new", "old", "sent"),
        [
            ({"a": 2}, {"a": 1}, {"a": 1}),
            ({"a": 2}, {}, {}),
            ({}, {"a": 1}, {"a": 1}),
            ({"b": {"c": 2}}, {}, {"b": {}}),
            ({"b": {"c": 2, "d": 3}}, {"b": {"c": 1}}, {"b": {"c": 1, "d": 3}}),
            ({}, {"b": {"c": 1}}, {}),
            ({"l": [2, 3]}, {"l": [1]}, {"l": [1, 3]}),
            ({"l": []}, {"l": [1]}, {"l": []}),
            ({"l": [2]}, {"l": []}, {"l": [2]}),
            ({"l": [2]}, {}, {"l": [2]}),
        ],
    )
    def test_ignored_fields_keep_the_old_value(
        self, new: dict[str, Any], old: dict[str, Any], sent: dict[str, Any]
    ) -> None:
        assert kept(new, old, ["a", "b.c", "l[0]"]) == sent

    def test_only_added_or_removed_claim_templates_count(self) -> None:
        """Otherwise the StatefulSet would keep mounting the abandoned claim."""
        own, larger, given = (
            {"ollama": {"storage": each}} for each in ({}, {"size": "99Gi"}, {"existingClaim": "mine"})
        )

        stays = diff_of(own, larger)
        assert all(each.kind != "StatefulSet" or each.action is Action.CHANGED for each in stays.changes)
        for before, after in ((own, given), (given, own)):
            replaced = change(diff_of(before, after), "StatefulSet", "ollama")
            assert replaced.action is Action.REPLACED
            assert [each.path for each in replaced.fields if each.forces_replacement] == ["spec.volumeClaimTemplates"]


class TestPods:
    def test_recreate_is_downtime_of_open_webui(self) -> None:
        diff = diff_of({}, HOST)
        webui = change(diff, "Deployment", "airis-deployment")
        assert webui.restarts == ("1 pod of Deployment/airis-deployment: all stop, then the new ones start (Recreate)",)
        assert "Open WebUI is unavailable until a new pod is ready" in webui.downtime[0]
        assert change(diff, "Ingress", "airis-ingress").action is Action.CREATED
        assert "ollama" not in words(diff, "restarts")

    def test_a_removed_host_is_downtime(self) -> None:
        diff = diff_of({"ingress": {"host": "old.example.com"}}, HOST)
        assert change(diff, "Ingress", "airis-ingress").downtime == (
            "old.example.com is no longer served: users need the new URL",
        )

    def test_stateful_set_pods_restart_one_at_a_time(self) -> None:
        flash = {"server": {"flashAttention": True}}
        one = diff_of({}, {"ollama": flash})
        two = diff_of({"ollama": {"replicas": 2}}, {"ollama": {"replicas": 2, **flash}})
        assert words(one, "downtime") == "Ollama is unavailable until its only pod is ready again"
        assert "one at a time" in words(two, "downtime")
        assert "the highest ordinal first" in words(two, "restarts")

    def test_scaling_up_restarts_no_existing_pod(self) -> None:
        found = change(diff_of({}, {"ollama": {"replicas": 2}}), "StatefulSet", "ollama")
        assert found.restarts == ("StatefulSet/ollama: 1 pod before, 2 pods after",)
        assert found.downtime == ()

    def test_zero_replicas_is_downtime_and_scaling_up_is_not(self) -> None:
        paused: dict[str, Any] = {"webui": {"replicas": 0}}
        assert "unavailable while replicas is 0" in words(diff_of({}, paused), "downtime")
        assert words(diff_of(paused, {}), "downtime") == ""
        assert words(diff_of(paused, {}), "restarts") == "1 pod of Deployment/airis-deployment start"

    def test_an_autoscaler_sets_the_range_of_pods(self) -> None:
        shared = {
            "database": {"host": "pg", "passwordFrom": {"name": "a", "key": "b"}},
            "redis": {"urlFrom": {"name": "a", "key": "b"}},
            "storage": {"accessMode": "ReadWriteMany"},
            "vectorStore": "pgvector",
        }
        few, many = ({"webui": {**shared, "autoscaling": {"minReplicas": 2, "maxReplicas": most}}} for most in (4, 6))
        diff = diff_of(few, many)
        assert words(diff, "restarts") == "Deployment/airis-deployment: 2 to 4 pods before, 2 to 6 pods after"
        assert diff.totals_after.pods == Amount(3, 7)

    def test_changed_object_labels_restart_nothing(self) -> None:
        before = {"ingress": {"host": "chat.example.com", "annotations": {"example.com/a": "1"}}}
        diff = diff_of(before, {"ingress": {"host": "chat.example.com", "annotations": {"example.com/a": "2"}}})
        assert [str(each) for each in diff.changes] == ["Ingress/airis-ingress"]
        assert words(diff, "restarts") == words(diff, "downtime") == ""

    def test_a_policy_that_blocks_ollama_is_reported(self) -> None:
        before, after = side(), side()
        closed = tuple(
            Item({**each.body, "spec": {**each.body["spec"], "ingress": []}}, each.urn)
            if (each.kind, each.name) == ("NetworkPolicy", "ollama")
            else each
            for each in after.items
        )
        diff = whole("test", before, Side("", closed))
        assert "Open WebUI can no longer reach Ollama" in words(diff, "downtime")
        assert "can no longer reach" not in words(whole("test", before, after), "downtime")

    def test_a_newly_restricted_egress_is_reported(self) -> None:
        diff = diff_of({}, {"network": {"restrictEgress": True, "egressTo": ["10.0.0.0/8"]}})
        assert "Open WebUI can only reach what the egress rules of NetworkPolicy/airis list" in words(diff, "downtime")
        assert words(diff_of({"network": {"restrictEgress": True, "egressTo": ["10.0.0.0/8"]}}, {}), "downtime") == ""

    def test_a_changed_session_key_signs_all_users_out(self) -> None:
        diff = diff_of({}, {"webui": {"sessionKeyFrom": {"name": "mine", "key": "k"}}})
        assert "all users must sign in again" in words(diff, "downtime")

    def test_models_run_a_job_once(self) -> None:
        diff = diff_of({"ollama": {"models": ["a"]}}, {"ollama": {"models": ["b"]}})
        assert {each.action for each in diff.changes if each.kind == "Job"} == {Action.CREATED, Action.DELETED}
        assert words(diff, "restarts").endswith("runs, once")


class TestData:
    def test_growing_a_claim_is_reported_as_harmless(self) -> None:
        diff = diff_of({}, {"ollama": {"storage": {"size": "60Gi"}}})
        (note,) = change(diff, "PersistentVolumeClaim", "ollama-volume-ollama-0").data
        assert note.harmless
        assert "from 30Gi to 60Gi" in note.words
        assert not diff.touches_data
        template = field(diff, "StatefulSet", "ollama", "requests.storage")
        assert template.ignored
        assert not template.forces_replacement
        assert change(diff, "StatefulSet", "ollama").action is Action.CHANGED
        assert words(diff, "refused") == ""

    def test_shrinking_and_changing_the_class_are_rejected(self) -> None:
        for storage, told in (({"size": "1Gi"}, "volumes can only grow"), ({"storageClass": "fast"}, "class fast")):
            diff = diff_of({}, {"webui": {"storage": storage}})
            assert diff.touches_data
            assert told in words(diff, "refused")
            assert change(diff, "PersistentVolumeClaim", "airis-pvc").action is Action.CHANGED

    def test_another_claim_leaves_the_old_data_behind(self) -> None:
        diff = diff_of({}, {"webui": {"storage": {"existingClaim": "other"}}})
        assert "mounts other instead of airis-pvc at /app/backend/data" in words(diff, "data")
        kept = change(diff, "PersistentVolumeClaim", "airis-pvc")
        assert kept.action is Action.KEPT
        assert "is protected" in kept.refused[0]
        assert diff.touches_data

    def test_a_removed_ollama_pod_keeps_its_claim(self) -> None:
        diff = diff_of({"ollama": {"replicas": 2}}, {})
        assert change(diff, "PersistentVolumeClaim", "ollama-volume-ollama-1").action is Action.KEPT
        assert diff.touches_data

    @pytest.mark.parametrize(
        ("webui", "told"),
        [
            ({"database": {"host": "pg", "passwordFrom": {"name": "a", "key": "b"}}}, "the database changes"),
            ({"vectorStore": "qdrant", "qdrant": {"url": "http://q:6333"}}, "the place of embeddings changes"),
        ],
    )
    def test_changing_the_server_does_not_migrate_data(self, webui: dict[str, Any], told: str) -> None:
        diff = diff_of({}, {"webui": webui})
        assert told in words(diff, "data")
        assert diff.touches_data

    def test_changing_the_image_does_not_affect_data(self) -> None:
        diff = diff_of({}, {"webui": {"image": "ghcr.io/airis/airis:0.12.4"}})
        assert [str(each) for each in diff.changes] == ["Deployment/airis-deployment"]
        assert words(diff, "data") == ""
        assert not diff.touches_data

    def test_changing_the_namespace_replaces_everything_and_is_rejected(self) -> None:
        diff = diff_of({}, {"namespace": "chat"})
        assert {each.action for each in diff.changes} == {Action.REPLACED}
        assert "airis-pvc in chat is new and empty; the data of airis-pvc in airis is left behind" in words(
            diff, "data"
        )
        assert "PersistentVolumeClaim/airis-pvc is protected" in words(diff, "refused")
        assert "Namespace/airis is protected" in words(diff, "refused")

    def test_removing_protection_affects_data(self) -> None:
        before = side()
        loose = tuple(Item(each.body, each.urn, False, each.retain, each.ignores) for each in before.items)
        diff = whole("test", before, Side("", loose))
        assert {each.kind for each in diff.changes} == {"Namespace", "PersistentVolumeClaim"}
        assert diff.touches_data

    def test_an_unretained_claim_is_deleted_with_its_data(self) -> None:
        before = Side("", tuple(Item(each.body, each.urn) for each in side().items))
        diff = whole("test", before, Side("", ()))
        assert "the claim airis-pvc is deleted with its data" in words(diff, "data")
        assert words(diff, "refused") == ""

    def test_setting_a_default_explicitly_moves_no_data(self) -> None:
        diff = whole("test", side(), with_variable("STORAGE_PROVIDER", "local"))
        assert "[STORAGE_PROVIDER]" in change(diff, "Deployment", "airis-deployment").fields[0].path
        assert words(diff, "data") == ""
        assert whole("test", side(), with_variable("STORAGE_PROVIDER", "s3")).touches_data


class TestTotals:
    def test_totals_multiply_by_the_number_of_pods(self) -> None:
        diff = diff_of({"ollama": {"gpu": {"count": 1}}}, {"ollama": {"gpu": {"count": 2}, "replicas": 3}})
        assert diff.totals_before.devices == {"nvidia.com/gpu": Amount(1, 1)}
        assert diff.totals_after.devices == {"nvidia.com/gpu": Amount(6, 6)}
        assert (diff.totals_before.pods, diff.totals_after.pods) == (Amount(2, 2), Amount(4, 4))
        assert diff.totals_after.cpu_requests == Amount(6500, 6500)
        assert diff.totals_after.storage == Amount(92 * 2**30, 92 * 2**30)

    def test_claimed_devices_are_counted_by_device_class(self) -> None:
        diff = diff_of({}, {"ollama": {"gpu": {"dra": {}, "count": 2}}})
        assert diff.totals_after.devices == {"DeviceClass gpu.nvidia.com": Amount(2, 2)}

    def test_an_autoscaler_gives_a_range(self) -> None:
        spec = {"template": {"spec": {"containers": [{"resources": {"requests": {"cpu": "250m"}}}]}}}
        deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": spec}
        scaler = {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "a"},
            "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "a"}, "minReplicas": 2, "maxReplicas": 6},
        }
        found = totals([Item(deployment), Item(scaler)])
        assert found.pods == Amount(2, 6)
        assert found.cpu_requests == Amount(500, 1500)
        paused = {**deployment, "spec": {**spec, "replicas": 0}}
        assert totals([Item(paused), Item(scaler)]).pods == Amount()

    def test_a_larger_init_container_determines_the_requests(self) -> None:
        def cpu(amount: str) -> dict[str, Any]:
            return {"resources": {"limits": {"cpu": amount}}}

        spec = {"template": {"spec": {"containers": [cpu("1"), cpu("1")], "initContainers": [cpu("3"), cpu("1")]}}}
        item = Item({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": spec})
        assert totals([item]).cpu_limits == Amount(3000, 3000)
        assert totals([item]).cpu_requests == Amount(3000, 3000)  # a limit without a request is also the request

    @pytest.mark.parametrize(
        ("text", "amount"), [("1", 1), ("250m", 0.25), ("1Gi", 2**30), ("1e3", 1000), ("2k", 2000), ("much", 0)]
    )
    def test_all_notations_of_quantities_are_parsed(self, text: str, amount: float) -> None:
        assert float(quantity(text)) == amount


def test_the_same_change_of_init_and_main_container_is_shown_once() -> None:
    diff = diff_of({}, {"webui": {"image": "example.com/open-webui:1", "resources": {"limits": {"memory": "3Gi"}}}})
    assert [each.path for each in change(diff, "Deployment", "airis-deployment").fields] == [
        "spec.template.spec.containers[airis].image",
        "spec.template.spec.containers[airis].resources.limits.memory",
    ]


def test_a_change_of_only_the_init_container_is_shown() -> None:
    def drawn(image: str) -> Side:
        pod = {"containers": [{"name": "a", "image": "x:1"}], "initContainers": [{"name": "b", "image": image}]}
        body = {"kind": "Deployment", "metadata": {"name": "d"}, "spec": {"template": {"spec": pod}}}
        return Side("", (Item(body, "urn"),))

    (told,) = whole("test", drawn("y:1"), drawn("y:2")).changes[0].fields
    assert told.path == "spec.template.spec.initContainers[b].image"


class TestReasons:
    def test_derived_variables_name_their_setting(self) -> None:
        diff = diff_of({}, HOST, why=True)
        for variable in ("WEBUI_URL", "CORS_ALLOW_ORIGIN"):
            assert field(diff, "Deployment", "airis-deployment", f"env[{variable}]").reasons == ("airis:ingress.host",)
        assert change(diff, "Ingress", "airis-ingress").reasons == ("airis:ingress.host",)
        assert diff.settings == ("airis:ingress.host",)

    def test_each_setting_is_attributed_its_fields(self) -> None:
        diff = diff_of({}, {**HOST, "ollama": {"replicas": 2, "gpu": {"count": 1}}}, why=True)
        assert field(diff, "StatefulSet", "ollama", "spec.replicas").reasons == ("airis:ollama.replicas",)
        assert field(diff, "StatefulSet", "ollama", "tolerations").reasons == ("airis:ollama.gpu.count",)
        assert change(diff, "PersistentVolumeClaim", "ollama-volume-ollama-1").reasons == ("airis:ollama.replicas",)
        urls = field(diff, "Deployment", "airis-deployment", "env[OLLAMA_BASE_URLS]")
        assert urls.reasons == ("airis:ollama.replicas",)

    def test_settings_that_are_only_valid_together_are_named_together(self) -> None:
        webui = {"vectorStore": "qdrant", "qdrant": {"url": "http://q:6333"}}
        diff = diff_of({}, {**HOST, "webui": webui}, why=True)
        (told,) = field(diff, "Deployment", "airis-deployment", "env[QDRANT_URI]").reasons
        assert told == "airis:webui.qdrant.url, airis:webui.vectorStore"

    def test_many_settings_are_tried_by_sections(self) -> None:
        server = {"contextLength": 1024, "parallel": 2, "maxLoadedModels": 2, "flashAttention": True, "cloud": False}
        webui = {"logging": {"level": "DEBUG", "format": "json"}, "auth": {"signUp": False, "loginForm": True}}
        labels = {f"label{number}": "x" for number in range(10)}
        diff = diff_of({}, {"ollama": {"server": server}, "webui": webui, "labels": labels}, why=True)
        assert len(diff.settings) > 12
        context = field(diff, "StatefulSet", "ollama", "env[OLLAMA_CONTEXT_LENGTH]")
        assert context.reasons == ("airis:ollama.server.*",)
        assert field(diff, "Service", "ollama", "labels.label1").reasons == ("airis:labels.*",)


def test_the_summary_is_one_sentence() -> None:
    assert diff_of({}, {}).summary() == "Stack test: no object changes."
    assert diff_of({}, {"ollama": {"storage": {"size": "1Gi"}}}).summary() == (
        "Stack test: 2 changed; a claim with data is touched, `up` rejects it."
    )


def test_the_output_is_deterministic() -> None:
    first, second = (whole("test", side(), side(**HOST)).to_json() for _ in range(2))
    assert first == second
    assert [each["kind"] for each in first["changes"]] == ["Service", "Deployment", "Ingress"]


def test_a_changed_urn_forces_a_replacement() -> None:
    before = side()
    moved = tuple(Item(each.body, f"{each.urn}-moved", each.protect, each.retain) for each in before.items[:1])
    diff: Diff = whole("test", Side("", before.items[:1]), Side("", moved))
    assert diff.changes[0].action is Action.REPLACED
    assert "has a new URN" in diff.changes[0].refused[-1]
