"""Snapshots of clusters: the file, and what it shows as missing or assumed. Rehearsals are in tests/rehearsal."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from airis.cluster.finding import Finding, State
from airis.cluster.kubectl import KubeObject
from airis.doctor.observe import Seen
from airis.rehearse.rehearsal import surroundings
from airis.rehearse.snapshot import Snapshot, load_snapshot, written
from airis.rehearse.snapshot.environment import of_snapshot
from airis.rehearse.snapshot.findings import held_back
from airis.rehearse.snapshot.kept_fields import KEPT
from airis.rehearse.snapshot.missing import Lack
from airis.rehearse.snapshot.model import Addresses, Definition, Held, Network
from airis.rehearse.snapshot.references import needs
from airis.rehearse.snapshot.take import addresses_of
from airis.rehearse.verdict import Verdict, print_verdict, print_verdicts
from airis.review.comment import comment
from airis.review.gather import StackReview
from airis.terminal.errors import AirisError
from tests.unit.conftest import Command
from tests.unit.doctors import body, wanted
from tests.unit.test_review_comment import diff

pytestmark = pytest.mark.timeout(60)

TODAY = date(2026, 11, 28)
LOCAL: dict[str, Any] = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "local", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
    "provisioner": "rancher.io/local-path",
}
SESSION = {"sessionKeyFrom": {"name": "session", "key": "key"}}


def snapshot(*objects: KubeObject, **fields: Any) -> Snapshot:
    given: dict[str, Any] = {
        "taken": TODAY,
        "server": "v1.37.2",
        "namespaces": ("airis",),
        "domain": "cluster.local",
        "network": Network(plugin="calico-node", policies="enforced"),
        "load_balancers": Addresses(given="no", evidence="no Service has one"),
        "objects": (LOCAL, *objects),
    }
    return Snapshot(**{**given, **fields})


def lacks(seen: Snapshot, **settings: object) -> dict[str, str]:
    """What is missing for a stack, by object."""
    found: dict[str, str] = {}
    for each in of_snapshot({"test": wanted(**settings).objects}, seen, TODAY).lacks:
        found[f"{each.by[0]}/{each.by[2]}"] = f"{found.get(f'{each.by[0]}/{each.by[2]}', '')}{each.words}"
    return found


def claim(name: str, phase: str, size: str = "2Gi", **spec: Any) -> KubeObject:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, **spec}
    return body("PersistentVolumeClaim", name, spec, place="airis", status={"phase": phase})


@pytest.fixture
def refusal(tmp_path: Path) -> Callable[[Callable[[dict[str, Any]], object]], str]:
    """The error for a snapshot file with this change."""
    file = tmp_path / "cluster.yaml"

    def change(how: Callable[[dict[str, Any]], object]) -> str:
        document = yaml.safe_load(written(snapshot()))
        how(document)
        file.write_text(yaml.safe_dump(document), encoding="utf-8")
        with pytest.raises(AirisError) as caught:
            load_snapshot(file)
        return str(caught.value).replace(str(file), "FILE")

    return change


def test_a_written_snapshot_is_read_back_unchanged(tmp_path: Path) -> None:
    held = (Held(namespace="airis", name="session", type="Opaque", keys=("key", "no", "1e3")),)
    seen = snapshot(claim("data", "Bound"), secrets=held, unknown={"nodes": "No permission"})
    file = tmp_path / "cluster.yaml"
    file.write_text(written(seen), encoding="utf-8")
    assert load_snapshot(file) == seen
    assert written(load_snapshot(file)) == written(seen)


def test_objects_are_sorted(tmp_path: Path) -> None:
    objects = [claim("b", "Bound"), claim("a", "Bound"), {**LOCAL, "metadata": {"name": "fast"}}]
    assert written(snapshot(*objects)) == written(snapshot(*reversed(objects)))


def test_every_invalid_entry_is_reported_with_its_path(
    refusal: Callable[[Callable[[dict[str, Any]], object]], str],
) -> None:
    assert "FILE: this is not a snapshot of a cluster\n  `airis snapshot > FILE`" in refusal(
        lambda it: it.pop("snapshot")
    )
    assert "version 2, but this airis reads version 1" in refusal(lambda it: it.update(snapshot=2))
    assert "secretValues: unknown key" in refusal(lambda it: it.update(secretValues={"a": "hidden"}))
    assert "hidden" not in refusal(lambda it: it.update(secretValues={"a": "hidden"}))
    assert "taken: 'never'" in refusal(lambda it: it.update(taken="never"))
    assert "server: this key is required" in refusal(lambda it: it.pop("server"))
    assert "network.policies: 'perhaps'" in refusal(lambda it: it["network"].update(policies="perhaps"))
    assert "loadBalancers.given" in refusal(lambda it: it["loadBalancers"].update(given=True))
    assert "objects[0]: a snapshot cannot contain Secret" in refusal(
        lambda it: it.update(objects=[body("Secret", "session")])
    )
    assert "objects[0]: must be a Kubernetes object" in refusal(lambda it: it.update(objects=[{"kind": "Node"}]))
    two = refusal(lambda it: [it.pop("server"), it.pop("taken")])
    assert "server: " in two
    assert "taken: " in two


def test_a_missing_or_malformed_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AirisError, match="No such file"):
        load_snapshot(tmp_path / "none.yaml")
    (tmp_path / "broken.yaml").write_text("a: [", encoding="utf-8")
    with pytest.raises(AirisError, match="not valid YAML"):
        load_snapshot(tmp_path / "broken.yaml")


def test_kept_objects_have_no_transient_fields() -> None:
    seen = body(
        "PersistentVolumeClaim",
        "data",
        {"accessModes": ["ReadWriteOnce"], "volumeName": "pvc-1", "resources": {"requests": {"storage": "1Gi"}}},
        place="airis",
        metadata={"uid": "1", "annotations": {"a": "b"}, "labels": {"a": "b"}},
        status={"phase": "Bound", "capacity": {"storage": "1Gi"}, "conditions": [{"type": "Resizing"}]},
    )
    assert KEPT["persistentvolumeclaims"].of(seen) == {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": "airis"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}},
    }


def test_a_field_called_description_is_part_of_a_schema() -> None:
    schema = {"description": "words", "properties": {"description": {"type": "string", "description": "words"}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    spec = {"group": "example.com", "names": {"kind": "A", "plural": "as"}, "scope": "Cluster", "versions": [version]}
    kept = KEPT["customresourcedefinitions.apiextensions.k8s.io"].of(body("CustomResourceDefinition", "as", spec))
    assert kept["spec"]["versions"][0]["schema"] == {
        "openAPIV3Schema": {"properties": {"description": {"type": "string"}}}
    }


def test_a_stack_of_defaults_refers_to_nothing_but_a_default_class() -> None:
    assert {(each.kind, each.name) for each in needs(wanted().objects)} == {("StorageClass", "")}
    around = surroundings({"test": wanted().objects}, None)
    assert around.assumed == {"test": ()}
    assert not (around.objects or around.later or around.lacks)


def test_own_and_optional_secrets_are_not_missing() -> None:
    assert lacks(snapshot()) == {}
    assert "Deployment/airis-deployment" in lacks(snapshot(), webui=SESSION)
    pod = {"containers": [{"envFrom": [{"secretRef": {"name": "more", "optional": True}}]}]}
    job = body("Job", "job", {"template": {"spec": pod}}, place="airis")
    assert needs([job]) == []


def test_a_missing_key_differs_from_a_missing_secret() -> None:
    deployment = "Deployment/airis-deployment"
    held = Held(namespace="airis", name="session", keys=("other",))
    assert lacks(snapshot(), webui=SESSION)[deployment] == 'CreateContainerConfigError: secret "session" not found'
    found = lacks(snapshot(secrets=(held,)), webui=SESSION)[deployment]
    assert found == "CreateContainerConfigError: couldn't find key key in Secret airis/session"
    there = held.model_copy(update={"keys": ("key",)})
    assert lacks(snapshot(secrets=(there,)), webui=SESSION) == {}
    elsewhere = there.model_copy(update={"namespace": "other"})
    assert deployment in lacks(snapshot(secrets=(elsewhere,)), webui=SESSION)


def test_objects_in_other_namespaces_are_unknown() -> None:
    around = of_snapshot({"test": wanted(webui=SESSION).objects}, snapshot(namespaces=("other",)), TODAY)
    assert around.lacks == ()
    assert around.assumed["test"] == ("Secret session (key key)",)


def test_an_access_mode_matters_only_for_a_new_volume() -> None:
    shared = {"storage": {"accessMode": "ReadWriteMany"}}
    assert list(lacks(snapshot(), webui=shared)) == ["PersistentVolumeClaim/airis-pvc"]
    assert lacks(snapshot(claim("airis-pvc", "Bound")), webui=shared) == {}
    nfs = {**LOCAL, "provisioner": "nfs.csi.k8s.io"}
    assert lacks(snapshot(objects=(nfs,)), webui=shared) == {}


def test_without_a_default_class_claims_without_a_class_are_pending() -> None:
    plain = {**LOCAL, "metadata": {"name": "local"}}
    found = lacks(snapshot(objects=(plain,)), ollama={"storage": {"storageClass": "local"}})
    assert list(found) == ["PersistentVolumeClaim/airis-pvc"]
    assert "there is no default StorageClass; there are: local" in found["PersistentVolumeClaim/airis-pvc"]


def test_a_gateway_must_allow_routes_from_the_namespace() -> None:
    route = {"hosts": ["chat.example.com"], "tls": False, "parentRefs": [{"name": "public", "namespace": "infra"}]}
    defined = (
        Definition(
            group="gateway.networking.k8s.io",
            kind="HTTPRoute",
            plural="httproutes",
            scope="Namespaced",
            versions=("v1",),
        ),
    )

    def said(allowed: dict[str, Any], status: str = "True") -> str:
        spec = {"listeners": [{"name": "http", "port": 80, "allowedRoutes": {"namespaces": allowed}}]}
        conditions = {"conditions": [{"type": "Programmed", "status": status}]}
        gateway = body("Gateway", "public", spec, place="infra", status=conditions)
        namespace = body("Namespace", "airis", metadata={"labels": {"team": "chat"}})
        seen = snapshot(gateway, namespace, definitions=defined)
        return lacks(seen, gateway=route).get("HTTPRoute/airis-route", "")

    assert said({"from": "All"}) == ""
    assert said({"from": "Same"}) == "Gateway infra/public does not allow routes from namespace airis"
    assert said({"from": "Selector", "selector": {"matchLabels": {"team": "chat"}}}) == ""
    assert "does not allow routes" in said({"from": "Selector", "selector": {"matchLabels": {"team": "other"}}})
    assert "is not programmed" in said({"from": "All"}, status="False")
    assert "no matches for kind" in lacks(snapshot(), gateway=route)["HTTPRoute/airis-route"]


def test_notes_list_differences_from_the_cluster() -> None:
    def notes(**fields: Any) -> tuple[str, ...]:
        return of_snapshot({"test": wanted().objects}, snapshot(**fields), TODAY).notes

    assert notes() == ()
    assert notes(taken=date(2026, 10, 28)) == ()
    assert notes(taken=date(2026, 10, 27)) == (
        "the snapshot is 32 days old (2026-10-27): take a new one with `airis snapshot`",
    )
    assert notes(server="v1.30.1")[0].startswith("the cluster runs Kubernetes v1.30.1, the sandbox v")
    assert notes(webhooks=("ValidatingWebhookConfiguration/kyverno",)) == (
        "not rehearsed, admission webhooks: ValidatingWebhookConfiguration/kyverno",
    )
    assert "kube-flannel does not enforce" in notes(network=Network(plugin="kube-flannel", policies="not enforced"))[0]
    assert "the cluster's DNS domain is example.org" in notes(domain="example.org")[0]


@pytest.mark.parametrize(
    ("objects", "given"),
    [
        ({}, "no"),
        ({"services": [{"type": "LoadBalancer", "ingress": [{"ip": "192.0.2.1"}]}]}, "yes"),
        ({"services": [{"type": "LoadBalancer"}]}, "no"),
        ({"daemonsets": ["metallb-system/speaker"]}, "yes"),
        ({"daemonsets": ["kube-system/kube-proxy"]}, "no"),
        ({"nodes": ["aws:///eu-west-1a/i-0"]}, "yes"),
        ({"nodes": ["kind://docker/kind/kind-control-plane"]}, "no"),
        ({"unknown": {"services": "No permission"}}, "unknown"),
    ],
    ids=str,
)
def test_load_balancer_addresses_are_detected_from_services_and_controllers(
    objects: dict[str, Any], given: str
) -> None:
    seen = Seen()
    seen.objects["services"] = [
        body(
            "Service",
            "web",
            {"type": each["type"]},
            place="a",
            status={"loadBalancer": {"ingress": each.get("ingress")}},
        )
        for each in objects.get("services", ())
    ]
    seen.objects["daemonsets.apps"] = [
        body("DaemonSet", each.partition("/")[2], place=each.partition("/")[0])
        for each in objects.get("daemonsets", ())
    ]
    seen.objects["nodes"] = [body("Node", "a", {"providerID": each}) for each in objects.get("nodes", ())]
    found = addresses_of(seen, objects.get("unknown", {}))
    assert found.given == given
    assert found.evidence


def test_a_pod_that_fails_earlier_keeps_its_own_reason() -> None:
    deployment = next(each for each in wanted().objects if each["kind"] == "Deployment")
    service = next(each for each in wanted().objects if each["metadata"]["name"] == "airis-service")
    name = deployment["metadata"]["name"]
    lack = Lack(("Deployment", "airis", name), "no Secret")

    def held(pod: Finding) -> list[Finding]:
        findings = [
            Finding("Service", "airis-service", "airis", State.READY),
            Finding("Deployment", name, "airis", State.READY),
            pod,
        ]
        return held_back(findings, [service, deployment], [lack])

    ready = held(Finding("Pod", "a", "airis", State.READY, "node"))
    assert [each.state for each in ready] == [State.PENDING] * 3
    assert [each.reason for each in ready] == ["", "", "no Secret"]
    pending = Finding("Pod", "a", "airis", State.PENDING, reason="Insufficient cpu")
    assert held(pending)[-1] == pending


VERDICT = Verdict(
    "gpu",
    (Finding("Namespace", "airis", "", State.READY),),
    1.0,
    assumed=("Secret session (key key)",),
    notes=("not rehearsed, admission webhooks: kyverno",),
)


def test_a_verdict_lists_assumptions_in_every_format(capsys: pytest.CaptureFixture[str]) -> None:
    lines = ["assumed to exist: Secret session (key key)", "note: not rehearsed, admission webhooks: kyverno"]
    print_verdict(VERDICT)
    assert [each for each in capsys.readouterr().out.splitlines() if each in lines] == lines
    print_verdicts([VERDICT, VERDICT])
    assert [each for each in capsys.readouterr().out.splitlines() if each in lines] == lines
    print_verdict(VERDICT, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert (found["assumed"], found["notes"]) == (list(VERDICT.assumed), list(VERDICT.notes))
    text = comment([StackReview(diff(), VERDICT)], "main")
    assert all(each in text for each in lines)


def test_a_diff_is_compared_with_a_snapshot(project: Path, command: Command) -> None:
    settings = {
        "airis:webui": {**SESSION, "storage": {"size": "5Gi"}},
        "airis:ollama": {"replicas": 0},
    }
    (project / "Pulumi.mine.yaml").write_text(yaml.safe_dump({"config": settings}), encoding="utf-8")
    (project / "cluster.yaml").write_text(written(snapshot(claim("airis-pvc", "Bound"))), encoding="utf-8")
    (project / "empty.yaml").write_text(yaml.safe_dump(body("Namespace", "airis")), encoding="utf-8")

    code, out, _ = command(
        "diff", "-s", "mine", "--against", "empty.yaml", "--cluster", "cluster.yaml", "--format", "json"
    )

    problems = [each["words"] for each in json.loads(out)["problems"] if each["side"] == "cluster"]
    assert problems == [
        'Deployment/airis-deployment: CreateContainerConfigError: secret "session" not found',
        "PersistentVolumeClaim/airis-pvc: would grow from 2Gi to 5Gi; its class local does not allow expansion",
    ]
    assert code == 0
    _, out, _ = command("diff", "-s", "mine", "--against", "empty.yaml", "--cluster", "cluster.yaml")
    assert f"fails in the cluster: {problems[0]}" in out


def test_mutually_exclusive_options_are_rejected_before_anything_starts(
    project: Path, command: Command, no_cluster: None
) -> None:
    (project / "cluster.yaml").write_text(written(snapshot()), encoding="utf-8")
    code, _, err = command("rehearse", "-s", "cpu", "--engine", "--cluster", "cluster.yaml")
    assert (code, "--engine and --cluster are mutually exclusive" in err) == (1, True)
    code, _, err = command("rehearse", "-s", "cpu", "--nodes", "cluster.yaml")
    assert (code, "this is a snapshot of a cluster" in err, "--cluster" in err) == (1, True, True)
    (project / "nodes.yaml").write_text("nodes: [{name: a, cpu: 1, memory: 1Gi}]", encoding="utf-8")
    code, _, err = command("rehearse", "-s", "cpu", "--cluster", "nodes.yaml")
    assert (code, "this is not a snapshot of a cluster" in err, "--nodes" in err) == (1, True, True)
    code, out, err = command("snapshot", "-s", "cpu", "--namespace", "chat")
    assert (code, out, "mutually exclusive" in err) == (1, "", True)
    code, out, err = command("snapshot", "-s", "cpu")
    assert (code, out, "no cluster is configured" in err) == (4, "", True)
