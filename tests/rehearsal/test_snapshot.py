"""Rehearsals with a snapshot: a control plane plays the cluster, and then the sandbox that must behave like it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import pytest

from airis.cluster.connection import Cluster
from airis.cluster.finding import Finding, State
from airis.cluster.kubectl import Kubectl, KubectlError, KubeObject
from airis.rehearse.rehearsal import clean, rehearse, rehearse_together, surroundings
from airis.rehearse.sandbox import Sandbox, load_nodes
from airis.rehearse.sandbox.control_plane import STORAGE_CLASS
from airis.rehearse.snapshot import Snapshot, load_snapshot, written
from airis.rehearse.snapshot.take import take
from airis.rehearse.verdict import Verdict
from tests.rehearsal.test_stacks import find, wanted
from tests.unit.drawing import draw

pytestmark = pytest.mark.timeout(600)

TODAY = date(2026, 11, 28)
VALUE = "a value that nobody may see"
"""A value in every place from which a snapshot could read it."""
DEFAULT = "storageclass.kubernetes.io/is-default-class"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
POLICIES = "admissionregistration.k8s.io/v1"

PAUSED: dict[str, Any] = {"replicas": 0}
SESSION_KEY = {"name": "session", "key": "key"}
ROUTE = {"hosts": ["chat.example.com"], "tls": False}

STACKS: dict[str, dict[str, Any]] = {
    "there": {
        "webui": {
            "storage": {"existingClaim": "data"},
            "sessionKeyFrom": SESSION_KEY,
            "priorityClass": "people",
        },
        "imagePullSecrets": ["registry"],
        "ingress": {"host": "chat.example.com", "className": "edge"},
        "gateway": {**ROUTE, "parentRefs": [{"name": "public", "namespace": "infra"}]},
    },
    "default-class": {"ollama": {}},
    "shared": {"webui": {"storage": {"accessMode": "ReadWriteMany"}}, "ollama": {}},
    "no-class": {"webui": {"storage": {"storageClass": "fast"}}},
    "no-claim": {"webui": {"storage": {"existingClaim": "data"}}},
    "lost-claim": {"webui": {"storage": {"existingClaim": "data"}}},
    "no-secret": {"webui": {"sessionKeyFrom": SESSION_KEY}},
    "no-key": {"webui": {"sessionKeyFrom": SESSION_KEY}},
    "no-bundle": {"caBundle": {"configMap": "authorities"}},
    "no-pull-secret": {"imagePullSecrets": ["registry"]},
    "balanced": {"webui": {"service": {"type": "LoadBalancer"}}},
    "ingress": {"ingress": {"host": "chat.example.com", "className": "nginx"}},
    "route": {"gateway": {**ROUTE, "parentRefs": [{"name": "inner", "namespace": "infra"}]}},
    "no-priority": {"webui": {"priorityClass": "machines"}},
    "quota": {"ollama": {}},
    "limits": {},
    "policy": {},
}
"""Stacks by their namespace, in which the cluster has objects. Each reproduces a result from a real node."""

CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}}


def body(kind: str, name: str, namespace: str = "", api: str = "v1", **fields: Any) -> dict[str, Any]:
    metadata = {"name": name, "annotations": {LAST_APPLIED: VALUE}}
    if namespace:
        metadata["namespace"] = namespace
    metadata["annotations"] |= fields.pop("annotations", {})
    if labels := fields.pop("labels", {}):
        metadata["labels"] = labels
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **fields}


def rule(*resources: str, group: str = "") -> dict[str, Any]:
    return {
        "resourceRules": [
            {"apiGroups": [group], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": list(resources)}
        ]
    }


INSIDE = {"namespaceSelector": {"matchLabels": {"policed": "yes"}}}

OBJECTS: list[dict[str, Any]] = [
    body(
        "StorageClass",
        "local-path",
        api="storage.k8s.io/v1",
        provisioner="rancher.io/local-path",
        volumeBindingMode="WaitForFirstConsumer",
        parameters={"password": VALUE},
        annotations={DEFAULT: "true"},
    ),
    body("StorageClass", "by-hand", api="storage.k8s.io/v1", provisioner="kubernetes.io/no-provisioner"),
    body("IngressClass", "edge", api="networking.k8s.io/v1", spec={"controller": "example.com/edge"}),
    body("PriorityClass", "people", api="scheduling.k8s.io/v1", value=1000, description=VALUE),
    body("RuntimeClass", "gvisor", api="node.k8s.io/v1", handler="runsc"),
    *(
        body("Namespace", name, labels={"policed": "yes"} if name == "policy" else {"team": name})
        for name in (*STACKS, "infra")
    ),
    body("PersistentVolumeClaim", "data", "there", spec={**CLAIM, "storageClassName": "by-hand"}),
    body(
        "PersistentVolume",
        "disk",
        spec={
            **{"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "5Gi"}, "storageClassName": "by-hand"},
            "hostPath": {"path": f"/srv/{VALUE}"},
        },
    ),
    body(
        "PersistentVolumeClaim",
        "data",
        "lost-claim",
        spec={**CLAIM, "storageClassName": "", "volumeName": "gone"},
        annotations={"pv.kubernetes.io/bind-completed": "yes"},
    ),
    body("Secret", "session", "there", stringData={"key": VALUE, "other": VALUE}),
    body(
        "Secret",
        "registry",
        "there",
        type="kubernetes.io/dockerconfigjson",
        stringData={".dockerconfigjson": f'{{"auths": {{"{VALUE}": {{}}}}}}'},
    ),
    body("Secret", "session", "no-key", stringData={"another": VALUE}),
    body("ConfigMap", "authorities", "there", data={"ca.crt": VALUE}),
    body("ResourceQuota", "few", "quota", spec={"hard": {"pods": "1"}}),
    body(
        "LimitRange", "small", "limits", spec={"limits": [{"type": "PersistentVolumeClaim", "max": {"storage": "5Gi"}}]}
    ),
    body(
        "ValidatingAdmissionPolicy",
        "no-jobs",
        api=POLICIES,
        spec={
            "matchConstraints": {**rule("services"), **INSIDE},
            "validations": [{"expression": "!object.metadata.name.startsWith('airis')", "message": "called otherwise"}],
        },
    ),
    body(
        "ValidatingAdmissionPolicyBinding",
        "no-jobs",
        api=POLICIES,
        spec={"policyName": "no-jobs", "validationActions": ["Deny"]},
    ),
    body(
        "ValidatingAdmissionPolicy",
        "with-parameters",
        api=POLICIES,
        spec={
            "matchConstraints": rule("configmaps"),
            "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
            "validations": [{"expression": "params.data.allowed == 'yes'"}],
        },
    ),
    body(
        "MutatingAdmissionPolicy",
        "owner",
        api=POLICIES,
        spec={
            "matchConstraints": {**rule("deployments", group="apps"), **INSIDE},
            "reinvocationPolicy": "Never",
            "mutations": [
                {
                    "patchType": "ApplyConfiguration",
                    "applyConfiguration": {
                        "expression": "Object{metadata: Object.metadata{labels: {'owner': 'policy'}}}"
                    },
                }
            ],
        },
    ),
    body("MutatingAdmissionPolicyBinding", "owner", api=POLICIES, spec={"policyName": "owner"}),
    body(
        "ValidatingWebhookConfiguration",
        "kyverno",
        api=POLICIES,
        webhooks=[
            {
                "name": "kyverno.example.com",
                "clientConfig": {"url": f"https://kyverno.example.com/{VALUE.replace(' ', '-')}"},
                "rules": [],
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
            }
        ],
    ),
]


def definition(plural: str, kind: str) -> dict[str, Any]:
    schema = {"type": "object", "description": VALUE, "x-kubernetes-preserve-unknown-fields": True}
    return body(
        "CustomResourceDefinition",
        f"{plural}.gateway.networking.k8s.io",
        api="apiextensions.k8s.io/v1",
        annotations={"api-approved.kubernetes.io": "unapproved, for tests"},
        spec={
            "group": "gateway.networking.k8s.io",
            "names": {"kind": kind, "plural": plural},
            "scope": "Namespaced",
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    )


DEFINITIONS = [definition("httproutes", "HTTPRoute"), definition("gateways", "Gateway")]
GATEWAY = body(
    "Gateway",
    "public",
    "infra",
    api="gateway.networking.k8s.io/v1",
    spec={
        "gatewayClassName": "edge",
        "listeners": [
            {"name": "http", "port": 80, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}}}
        ],
    },
    status={"conditions": [{"type": "Programmed", "status": "True", "message": VALUE}]},
)


def settings_of(name: str) -> dict[str, Any]:
    return {"namespace": name, "ollama": PAUSED, **STACKS[name]}


@pytest.fixture(scope="module")
def stacks() -> dict[str, list[dict[str, Any]]]:
    return {name: wanted(draw(**settings_of(name))) for name in STACKS}


@dataclass(frozen=True)
class Rehearsed:
    """The snapshot of the cluster, and the verdict on each stack."""

    snapshot: Snapshot
    again: Snapshot
    verdicts: Mapping[str, Verdict]
    owners: list[str]
    """The changes of Deployments by the mutating policy."""
    left: Sequence[KubeObject]
    """The verdict of the next rehearsal."""

    def finding(self, stack: str, kind: str, name: str) -> Finding:
        return find(self.verdicts[stack], kind, name)


def seen(kubectl: Kubectl, *namespaces: str, **options: Any) -> Snapshot:
    cluster = Cluster(kubectl.binary, namespaces[0], [f"--kubeconfig={kubectl.kubeconfig}"])
    used = {("gateway.networking.k8s.io", "HTTPRoute")}
    return take(cluster, namespaces, used, options.get("today", TODAY))


@pytest.fixture(scope="module")
def rehearsed(sandbox: Sandbox, stacks: dict[str, list[dict[str, Any]]]) -> Iterator[Rehearsed]:
    sandbox.up()
    kubectl = sandbox.kubectl
    clean(kubectl)
    cpu, gpu = load_nodes()
    room = {"allocatable": {**cpu["status"]["allocatable"], "cpu": "64", "memory": "128Gi"}}  # for all stacks together
    sandbox.set_nodes([{**cpu, "metadata": {**cpu["metadata"], "name": "own"}, "status": room}, gpu])
    kubectl.delete([STORAGE_CLASS])
    try:
        kubectl.apply([*DEFINITIONS, *OBJECTS])
        for each in DEFINITIONS:
            kubectl.run("wait", "--for=condition=Established", f"crd/{each['metadata']['name']}")
        kubectl.apply([GATEWAY])
        kubectl.run("wait", "pvc/data", "--namespace=there", "--for=jsonpath={.status.phase}=Bound")
        kubectl.run("wait", "pvc/data", "--namespace=lost-claim", "--for=jsonpath={.status.phase}=Lost")
        snapshot = seen(kubectl, *STACKS)
        again = seen(kubectl, *reversed(STACKS))
    finally:
        # The cluster's objects are not the sandbox's: only their owner deletes them
        kubectl.delete([each for each in OBJECTS if "AdmissionPolicy" in each["kind"]])
        clean(kubectl)
        kubectl.delete([*DEFINITIONS, *(each for each in OBJECTS if "namespace" not in each["metadata"])])
    sandbox.set_nodes(snapshot.of_kind("Node"))
    verdicts = rehearse_together(stacks, kubectl, timeout_seconds=200, around=surroundings(stacks, snapshot))
    owners = [
        str(each["metadata"]["labels"].get("owner"))
        for name in ("policy", "quota")
        for each in kubectl.get("deployments", f"--namespace={name}")
    ]
    clean(kubectl)
    left = kubectl.get(
        "storageclasses,ingressclasses,priorityclasses,runtimeclasses,persistentvolumes,customresourcedefinitions,"
        "validatingadmissionpolicies,validatingadmissionpolicybindings,mutatingadmissionpolicies,namespaces"
    )
    yield Rehearsed(snapshot, again, {each.stack: each for each in verdicts}, owners, left)
    clean(kubectl)


def test_a_snapshot_has_all_objects_and_no_secret_values(rehearsed: Rehearsed) -> None:
    text = written(rehearsed.snapshot)
    assert VALUE not in text
    assert VALUE.replace(" ", "-") not in text
    assert "password" not in text
    for unstable in ("uid", "resourceVersion", "creationTimestamp", "managedFields", "lastHeartbeatTime", LAST_APPLIED):
        assert unstable not in text
    assert re.findall(r"[0-9a-f]{8}-[0-9a-f]{4}-", text) == []
    assert re.findall(r"\d{4}-\d\d-\d\d", text) == [str(TODAY)]

    found = rehearsed.snapshot
    names = {kind: [each["metadata"]["name"] for each in found.of_kind(kind)] for kind in ("Node", "StorageClass")}
    assert names == {"Node": ["gpu-0", "own"], "StorageClass": ["by-hand", "local-path"]}
    assert found.of_kind("Node")[0]["spec"]["taints"][0]["key"] == "nvidia.com/gpu"
    (local,) = [each for each in found.of_kind("StorageClass") if each["metadata"]["name"] == "local-path"]
    assert local["metadata"]["annotations"] == {DEFAULT: "true"}
    assert (local["provisioner"], local["volumeBindingMode"]) == ("rancher.io/local-path", "WaitForFirstConsumer")
    assert [(each.name, each.keys) for each in found.secrets if each.namespace == "there"] == [
        ("registry", (".dockerconfigjson",)),
        ("session", ("key", "other")),
    ]
    assert ("authorities", ("ca.crt",)) in [(each.name, each.keys) for each in found.config_maps]
    (claim,) = found.of_kind("PersistentVolumeClaim", "there")
    assert claim["status"] == {"phase": "Bound", "capacity": {"storage": "5Gi"}}
    assert [each["metadata"]["name"] for each in found.of_kind("PersistentVolume")] == ["there-data"]
    assert found.of_kind("Namespace")[-1]["metadata"]["labels"]["team"] == "there"
    assert found.of_kind("ResourceQuota", "quota")[0]["spec"]["hard"] == {"pods": "1"}
    assert found.webhooks == ("ValidatingWebhookConfiguration/kyverno",)
    assert [(each.kind, each.versions) for each in found.definitions] == [("Gateway", ("v1",)), ("HTTPRoute", ("v1",))]
    assert [each["metadata"]["name"] for each in found.of_kind("CustomResourceDefinition")] == [
        "httproutes.gateway.networking.k8s.io"
    ]
    assert found.load_balancers.given == "no"
    assert set(found.unknown) == {"domain"}


def test_a_snapshot_is_deterministic_and_readable(rehearsed: Rehearsed, tmp_path: Any) -> None:
    assert written(rehearsed.again) == written(rehearsed.snapshot)
    file = tmp_path / "cluster.yaml"
    file.write_text(written(rehearsed.snapshot), encoding="utf-8")
    assert load_snapshot(file) == rehearsed.snapshot


def test_objects_of_the_snapshot_are_found(rehearsed: Rehearsed) -> None:
    verdict = rehearsed.verdicts["there"]
    assert verdict.ok, verdict
    assert rehearsed.finding("there", "Deployment", "airis-deployment").state is State.READY
    assert rehearsed.finding("there", "HTTPRoute", "airis-route").state is State.ADMITTED
    assert verdict.assumed == ()


def test_a_default_class_provisions_for_the_first_consumer(rehearsed: Rehearsed) -> None:
    assert rehearsed.verdicts["default-class"].ok, rehearsed.verdicts["default-class"]


def test_an_unsupported_access_mode_is_not_provisioned(rehearsed: Rehearsed) -> None:
    claim = rehearsed.finding("shared", "PersistentVolumeClaim", "airis-pvc")
    assert claim.state is State.PENDING
    assert 'failed to provision volume with StorageClass "local-path"' in claim.reason
    assert "asks for ReadWriteMany" in claim.reason
    assert rehearsed.finding("shared", "Pod", "airis-deployment").reason == "claim airis-pvc has no volume"
    assert rehearsed.finding("shared", "Deployment", "airis-deployment").state is State.PENDING
    # and another claim of the same class is bound
    assert rehearsed.finding("shared", "PersistentVolumeClaim", "ollama-volume").state is State.BOUND
    assert rehearsed.finding("shared", "StatefulSet", "ollama").state is State.READY


def test_a_missing_class_is_reported(rehearsed: Rehearsed) -> None:
    claim = rehearsed.finding("no-class", "PersistentVolumeClaim", "airis-pvc")
    assert (claim.state, claim.reason) == (
        State.PENDING,
        'storageclass.storage.k8s.io "fast" not found; there are: by-hand, local-path',
    )


@pytest.mark.parametrize(
    ("stack", "words"),
    [("no-claim", 'persistentvolumeclaim "data" not found'), ("lost-claim", "bound to non-existent persistentvolume")],
)
def test_an_unusable_existing_claim_keeps_the_pod_pending(stack: str, words: str, rehearsed: Rehearsed) -> None:
    pod = rehearsed.finding(stack, "Pod", "airis-deployment")
    assert pod.state is State.PENDING
    assert words in pod.reason
    assert rehearsed.finding(stack, "Deployment", "airis-deployment").state is State.PENDING


@pytest.mark.parametrize(
    ("stack", "words"),
    [
        ("no-secret", 'CreateContainerConfigError: secret "session" not found'),
        ("no-key", "CreateContainerConfigError: couldn't find key key in Secret no-key/session"),
        (
            "no-bundle",
            'FailedMount: MountVolume.SetUp failed for volume "ca-bundle" : configmap "authorities" not found',
        ),
        ("no-pull-secret", "FailedToRetrieveImagePullSecret: Unable to retrieve some image pull secrets (registry)"),
    ],
)
def test_a_missing_reference_fails_the_pod(stack: str, words: str, rehearsed: Rehearsed) -> None:
    pod = rehearsed.finding(stack, "Pod", "airis-deployment")
    assert pod.state is State.PENDING
    assert pod.reason.startswith(words)
    assert rehearsed.finding(stack, "Deployment", "airis-deployment").state is State.PENDING
    assert rehearsed.finding(stack, "Service", "airis-service").state is State.PENDING
    assert rehearsed.finding(stack, "PersistentVolumeClaim", "airis-pvc").state is State.BOUND


def test_a_load_balancer_stays_pending_without_a_controller(rehearsed: Rehearsed) -> None:
    service = rehearsed.finding("balanced", "Service", "airis-service")
    assert service.state is State.PENDING
    assert service.reason.startswith(
        "this cluster has no controller for LoadBalancer Services: no Service has an address"
    )
    assert rehearsed.finding("balanced", "Deployment", "airis-deployment").state is State.READY


def test_a_missing_ingress_class_or_gateway_is_reported(rehearsed: Rehearsed) -> None:
    ingress = rehearsed.finding("ingress", "Ingress", "airis-ingress")
    assert (ingress.state, ingress.reason) == (
        State.PENDING,
        "there is no IngressClass nginx, so no controller serves it; there are: edge",
    )
    route = rehearsed.finding("route", "HTTPRoute", "airis-route")
    assert (route.state, route.reason) == (
        State.PENDING,
        "Gateway infra/inner does not exist; there are: infra/public",
    )


def test_the_sandbox_rejects_what_the_cluster_rejects(rehearsed: Rehearsed) -> None:
    assert "machines" in rehearsed.finding("no-priority", "Deployment", "airis-deployment").reason
    for name, kind, called, words in (
        (
            "policy",
            "Service",
            "airis-service",
            "ValidatingAdmissionPolicy 'no-jobs' with binding 'no-jobs' denied request",
        ),
        ("limits", "PersistentVolumeClaim", "ollama-volume", "maximum storage usage per PersistentVolumeClaim is 5Gi"),
    ):
        refused = rehearsed.finding(name, kind, called)
        assert refused.state is State.REFUSED, name
        assert words in refused.reason
    assert rehearsed.owners == ["policy", "None"]


def test_a_quota_is_enforced(rehearsed: Rehearsed) -> None:
    pods = [each for each in rehearsed.verdicts["quota"].findings if each.kind == "Pod"]
    (refused,) = [each for each in rehearsed.verdicts["quota"].findings if "exceeded quota: few" in each.reason]
    assert [each.state for each in pods] == [State.READY]
    assert refused.state is State.PENDING


def test_notes_list_what_is_not_rehearsed(rehearsed: Rehearsed) -> None:
    for verdict in rehearsed.verdicts.values():
        assert verdict.notes == (
            "not rehearsed, admission webhooks: ValidatingWebhookConfiguration/kyverno",
            "not rehearsed, policies with parameters: ValidatingAdmissionPolicy/with-parameters",
        )


def test_objects_of_a_snapshot_are_removed_before_the_next_rehearsal(
    rehearsed: Rehearsed, clean_sandbox: Sandbox
) -> None:
    names = {(each["kind"], each["metadata"]["name"]) for each in rehearsed.left}
    assert {each for each in names if each[0] not in ("Namespace", "PriorityClass")} == {("StorageClass", "standard")}
    assert {name for kind, name in names if kind == "PriorityClass"} == {
        "system-cluster-critical",
        "system-node-critical",
    }
    assert not {name for kind, name in names if kind == "Namespace"} & set(STACKS)
    objects = wanted(draw(namespace="policy"))
    assert rehearse("policy", objects, clean_sandbox.kubectl, timeout_seconds=60).ok


def test_an_unserved_kind_is_rejected(rehearsed: Rehearsed, clean_sandbox: Sandbox) -> None:
    without = rehearsed.snapshot.model_copy(update={"definitions": (), "objects": ()})
    objects = wanted(draw(**settings_of("route"), webui=PAUSED))
    around = surroundings({"route": objects}, without)

    verdict = rehearse("route", objects, clean_sandbox.kubectl, timeout_seconds=60, around=around)

    route = find(verdict, "HTTPRoute", "airis-route")
    assert route.state is State.REFUSED
    assert 'no matches for kind "HTTPRoute"' in route.reason
    assert find(verdict, "Deployment", "airis-deployment").state is State.READY


def test_without_a_snapshot_references_are_assumed_to_exist(clean_sandbox: Sandbox) -> None:
    settings = {
        **STACKS["there"],
        "webui": {
            **STACKS["there"]["webui"],
            "runtimeClass": "gvisor",
            "service": {"type": "LoadBalancer"},
        },
        "ollama": {"storage": {"storageClass": "fast"}},
        "caBundle": {"configMap": "authorities"},
    }
    objects = wanted(draw(**settings))
    around = surroundings({"test": objects}, None)
    verdict = rehearse("test", objects, clean_sandbox.kubectl, timeout_seconds=60, around=around)

    assert verdict.ok, verdict
    assert verdict.assumed == (
        "ConfigMap authorities (key ca.crt)",
        "CustomResourceDefinition HTTPRoute.gateway.networking.k8s.io",
        "Gateway infra/public",
        "IngressClass edge",
        "LoadBalancer address for Service airis-service",
        "PersistentVolumeClaim data",
        "PriorityClass people",
        "RuntimeClass gvisor",
        "Secret registry, session (key key)",
        "StorageClass fast",
    )
    clean(clean_sandbox.kubectl)
    (left,) = clean_sandbox.kubectl.get("storageclasses")
    assert left["metadata"]["name"] == "standard"


def test_unlistable_resources_are_assumed(clean_sandbox: Sandbox, tmp_path: Any) -> None:
    kubectl = clean_sandbox.kubectl
    reader = {"name": "reader", "namespace": "there"}
    rights = [{"apiGroups": [""], "resources": ["configmaps", "persistentvolumeclaims"], "verbs": ["list"]}]
    rbac = "rbac.authorization.k8s.io/v1"
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
    kubectl.apply(
        [
            body("Namespace", "there"),
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": reader},
            {"apiVersion": rbac, "kind": "Role", "metadata": reader, "rules": rights},
            {
                "apiVersion": rbac,
                "kind": "RoleBinding",
                "metadata": reader,
                "roleRef": role,
                "subjects": [{"kind": "ServiceAccount", **reader}],
            },
        ]
    )
    token = kubectl.run("create", "token", "reader", "--namespace=there").strip()
    file = tmp_path / "kubeconfig"
    file.write_text(kubectl.kubeconfig.read_text(encoding="utf-8"), encoding="utf-8")
    reading = replace(kubectl, kubeconfig=file)
    reading.run("config", "set-credentials", "reader", f"--token={token}")
    reading.run("config", "set-context", "--current", "--user=reader")
    with pytest.raises(KubectlError, match="orbidden"):
        reading.get("nodes")

    snapshot = seen(reading, "there")

    assert token not in written(snapshot)
    for left_out in ("nodes", "storageclasses.storage.k8s.io", "there/secrets", "there/resourcequotas"):
        assert snapshot.unknown[left_out].startswith("No permission")
    assert "there/configmaps" not in snapshot.unknown
    assert "there/persistentvolumeclaims" not in snapshot.unknown
    assert snapshot.load_balancers.given == "unknown"
    clean(kubectl)
    objects = wanted(draw(**settings_of("there")))
    around = surroundings({"test": objects}, snapshot)
    verdict = rehearse("test", objects, kubectl, timeout_seconds=60, around=around)
    assert "Nodes: the sandbox's default ones" in verdict.assumed
    assert "Secret registry, session (key key)" in verdict.assumed
    assert "StorageClass the default" in verdict.assumed
    # that claim is known to be missing
    assert 'persistentvolumeclaim "data" not found' in find(verdict, "Pod", "airis-deployment").reason
