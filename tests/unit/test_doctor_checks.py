"""The checks of machine, access, storage, references and nodes, with plain objects."""

from typing import Any

import pytest

from airis.doctor.checks import State
from airis.doctor.observation import Keys, Right
from airis.doctor.requirements import added, amount, asked
from tests.unit.doctors import body, node, observed, on_machine, outcomes, pod, wanted

pytestmark = pytest.mark.timeout(60)

OK, WARNING, PROBLEM, UNKNOWN = State.OK, State.WARNING, State.PROBLEM, State.NOT_CHECKED
DEFAULT = {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}
CLASSES = "storageclasses.storage.k8s.io"
CLAIMS = "persistentvolumeclaims"


@pytest.mark.parametrize(
    ("check", "machine", "state", "words"),
    [
        ("python", {}, OK, "Python 3.12"),
        ("python", {"python": (3, 10)}, PROBLEM, "Python is 3.10; it must be 3.11 or newer"),
        ("pulumi", {}, OK, "Pulumi CLI 3.300.0"),
        ("pulumi", {"pulumi": "3.100.0"}, PROBLEM, "is 3.100.0; it must be 3.260.0 or newer"),
        ("pulumi", {"pulumi": None}, WARNING, "there is no Pulumi CLI on PATH"),
        ("pulumi", {"pulumi": ""}, UNKNOWN, "reports no version"),
        ("provider", {}, OK, "Kubernetes provider 4.0.0"),
        ("provider", {"provider_there": False}, WARNING, "4.0.0 is not installed"),
        ("provider", {"provider": None}, PROBLEM, "pulumi-kubernetes is not installed"),
        ("kubectl", {}, OK, "/usr/bin/kubectl"),
        ("kubectl", {"kubectl": None}, PROBLEM, "kubectl is not installed"),
        ("state", {}, OK, "state: .state"),
        ("state", {"passphrase": "the file is gone"}, PROBLEM, "the file is gone"),
        ("sandbox", {}, OK, "are installed"),
        ("sandbox", {"sandbox_missing": ("etcd",)}, WARNING, "not installed yet: etcd"),
    ],
)
def test_this_machine(check: str, machine: dict[str, Any], state: State, words: str) -> None:
    ((found, what),) = outcomes(check, on_machine(**machine))

    assert found is state
    assert words in what


@pytest.mark.parametrize(
    ("version", "state"),
    [("v1.24.9", PROBLEM), ("v1.26.0", WARNING), ("v1.31.2-gke.100", OK), ("v1.36+", OK), ("strange", UNKNOWN)],
)
def test_the_version_of_the_cluster(version: str, state: State) -> None:
    assert [found for found, _ in outcomes("version", observed(version=version))] == [state]


@pytest.mark.parametrize(("client", "state"), [("v1.35.0", OK), ("v1.37.0", OK), ("v1.34.9", WARNING), ("", UNKNOWN)])
def test_the_version_of_kubectl(client: str, state: State) -> None:
    assert [found for found, _ in outcomes("kubectl-version", observed(client=client))] == [state]


def test_apis_that_are_not_served() -> None:
    stack = wanted(webui={"replicas": 1})

    assert outcomes("api-versions", observed(stack)) == [(OK, "the cluster serves every API that the stack uses")]
    assert outcomes("api-versions", observed(stack, groups={"apps": ["v1beta1"], "networking.k8s.io": ["v1"]})) == [
        (PROBLEM, "the cluster does not serve apps/v1 (StatefulSet)")
    ]


def test_missing_permissions_are_grouped_by_kind() -> None:
    rights = [Right("get", "secrets", True), Right("create", "secrets", False), Right("delete", "secrets", False)]

    assert outcomes("permissions", observed(wanted(), rights=rights[:1]))[0][0] is OK
    assert outcomes("permissions", observed(wanted(), rights=rights)) == [
        (PROBLEM, "not permitted: create, delete secrets")
    ]
    assert outcomes("permissions", observed(wanted(), unknown={"rights": "No answer."}))[0][0] is UNKNOWN


def test_the_default_storage_class() -> None:
    one, other = (body("StorageClass", name, metadata=DEFAULT, provisioner="x") for name in ("a", "b"))
    named = wanted(webui={"storage": {"storageClass": "a"}}, ollama={"storage": {"storageClass": "a"}})

    assert outcomes("default-storage-class", observed(objects={CLASSES: [one]})) == [
        (OK, "the default StorageClass is a")
    ]
    assert outcomes("default-storage-class", observed(objects={CLASSES: [one, other]}))[0][0] is WARNING
    assert outcomes("default-storage-class", observed())[0][0] is WARNING
    assert outcomes("default-storage-class", observed(wanted()))[0][0] is PROBLEM
    assert outcomes("default-storage-class", observed(named))[0][0] is OK


@pytest.mark.parametrize(
    ("provisioner", "more", "state", "words"),
    [
        ("k8s.io/minikube-hostpath", {}, OK, "binds Immediate"),
        ("ebs.csi.aws.com", {}, PROBLEM, "its driver ebs.csi.aws.com is not installed"),
        ("kubernetes.io/no-provisioner", {}, WARNING, "does not provision volumes dynamically"),
        ("k8s.io/minikube-hostpath", {"volumeBindingMode": "WaitForFirstConsumer"}, OK, "binds WaitForFirstConsumer"),
    ],
)
def test_the_provisioner_of_a_class(provisioner: str, more: dict[str, Any], state: State, words: str) -> None:
    made = body("StorageClass", "a", metadata=DEFAULT, provisioner=provisioner, **more)

    ((found, what),) = outcomes("storage-class", observed(wanted(), objects={CLASSES: [made]}))

    assert found is state
    assert words in what


def test_immediate_binding_in_several_zones_is_a_warning() -> None:
    zones = [node(each, labels={"topology.kubernetes.io/zone": each}) for each in ("a", "b")]
    made = body("StorageClass", "a", metadata=DEFAULT, provisioner="k8s.io/minikube-hostpath")
    waits = {**made, "volumeBindingMode": "WaitForFirstConsumer"}

    assert (
        "the nodes are in 2 zones"
        in outcomes("storage-class", observed(wanted(), objects={CLASSES: [made], "nodes": zones}))[0][1]
    )
    assert outcomes("storage-class", observed(wanted(), objects={CLASSES: [waits], "nodes": zones}))[0][0] is OK


def test_read_write_many_needs_a_shared_file_system() -> None:
    made = body("StorageClass", "a", metadata=DEFAULT, provisioner="ebs.csi.aws.com")
    stack = wanted(webui={"storage": {"accessMode": "ReadWriteMany"}})
    drivers = {"csidrivers.storage.k8s.io": [body("CSIDriver", "ebs.csi.aws.com")]}

    found = outcomes("storage-class", observed(stack, objects={CLASSES: [made], **drivers}))

    assert [state for state, _ in found] == [PROBLEM, OK]
    assert "claim airis-pvc requests ReadWriteMany" in found[0][1]


def test_growing_a_claim_needs_a_class_with_expansion() -> None:
    fixed = body("StorageClass", "a", metadata=DEFAULT, provisioner="x")
    grows = {**fixed, "allowVolumeExpansion": True}
    live = body(
        "PersistentVolumeClaim", "airis-pvc", {"storageClassName": "a", "resources": {"requests": {"storage": "1Gi"}}}
    )

    assert outcomes("expansion", observed(wanted(), objects={CLASSES: [grows]}))[0][0] is OK
    assert outcomes("expansion", observed(wanted(), objects={CLASSES: [fixed]}))[0][0] is WARNING
    found = outcomes("expansion", observed(wanted(), objects={CLASSES: [fixed]}, own={CLAIMS: [live]}))
    assert found[0] == (
        PROBLEM,
        "claim airis-pvc has 1Gi, the stack requests 2Gi, and its class a does not allow expansion",
    )


def test_existing_claims() -> None:
    stack = wanted(ollama={"storage": {"existingClaim": "models"}})
    claim = body("PersistentVolumeClaim", "models")

    def phase(word: str) -> State:
        return outcomes("existing-claim", observed(stack, own={CLAIMS: [{**claim, "status": {"phase": word}}]}))[0][0]

    assert outcomes("existing-claim", observed(stack)) == [(PROBLEM, "claim models does not exist in namespace airis")]
    assert (phase("Bound"), phase("Pending"), phase("Lost")) == (OK, OK, PROBLEM)
    assert outcomes("existing-claim", observed(wanted())) == []


def test_pull_secrets_and_references() -> None:
    stack = wanted(imagePullSecrets=["registry"], webui={"sessionKeyFrom": {"name": "session", "key": "key"}})
    good = [
        Keys("registry", "kubernetes.io/dockerconfigjson", frozenset({".dockerconfigjson"})),
        Keys("session", "Opaque", frozenset({"key"})),
    ]

    assert outcomes("pull-secrets", observed(stack, secrets=good)) == [(OK, "pull secret registry exists")]
    assert outcomes("references", observed(stack, secrets=good)) == [(OK, "all 1 keys that the pods refer to exist")]
    assert outcomes("pull-secrets", observed(stack))[0][0] is PROBLEM
    assert outcomes("references", observed(stack))[0][0] is PROBLEM
    assert outcomes("references", observed(stack, unknown={"secrets": "No permission."}))[0][0] is UNKNOWN
    assert outcomes("references", observed(wanted())) == []


LABEL = {"nvidia.com/gpu.present": "true"}


@pytest.mark.parametrize(
    ("there", "state", "words"),
    [
        ([node("a", "nvidia.com/gpu", labels=LABEL, gpu="1")], OK, "nvidia.com/gpu is free on a"),
        ([node("a", labels=LABEL)], PROBLEM, "no node offers nvidia.com/gpu; no device plugin's DaemonSet was found"),
        ([node("a", gpu="1")], PROBLEM, "the required label: a (nvidia.com/gpu.present In true)"),
        ([node("a", "mine", labels=LABEL, gpu="1")], PROBLEM, "an untolerated taint: a (mine:NoSchedule)"),
        ([node("taken", labels=LABEL, gpu="1")], PROBLEM, "free on taken: 0; in use by other/greedy"),
        ([node("a", amd="1")], PROBLEM, "nodes offer amd.com/gpu"),
    ],
)
def test_gpus(there: list[Any], state: State, words: str) -> None:
    greedy = [{"name": "c", "resources": {"limits": {"nvidia.com/gpu": "1"}}}]
    pods = [pod("greedy", "other", "taken", containers=greedy)]

    ((found, what),) = outcomes(
        "gpu", observed(wanted(ollama={"gpu": {"count": 1}}), objects={"nodes": there, "pods": pods})
    )

    assert found is state
    assert words in what


def test_an_autoscaling_cluster_gets_a_warning_instead_of_a_problem() -> None:
    stack = wanted(ollama={"gpu": {"count": 1}})

    assert outcomes("gpu", observed(stack, groups={"karpenter.sh": ["v1"]}))[0][0] is WARNING
    assert outcomes("gpu", observed(wanted())) == []


@pytest.mark.parametrize(
    ("there", "states"),
    [
        ([node("a")], [OK]),
        ([], [PROBLEM, PROBLEM]),
        ([node("a", ready=False)], [PROBLEM, PROBLEM]),
        ([node("a", memory="1Gi")], [PROBLEM]),
        ([node("a", cpu="2"), node("b", cpu="500m")], [OK]),
        ([node("a", cpu="2")], [PROBLEM]),
        ([node("a", "closed")], [PROBLEM, PROBLEM]),
    ],
)
def test_room_for_every_pod(there: list[Any], states: list[State]) -> None:
    assert [state for state, _ in outcomes("room", observed(wanted(), objects={"nodes": there}))] == states


def test_missing_gpus_are_not_also_reported_as_missing_room() -> None:
    stack = wanted(ollama={"gpu": {"count": 1}})
    labels = {"nvidia.com/gpu.present": "true"}
    greedy = pod("greedy", on="g", containers=[{"resources": {"limits": {"nvidia.com/gpu": "1"}}}])

    for there in (
        [node("a")],
        [node("a"), node("g", "closed", gpu="1")],
        [node("a"), node("g", labels=labels, gpu="1")],
    ):
        objects: dict[str, Any] = {"nodes": there, "pods": [greedy]}
        assert outcomes("gpu", observed(stack, objects=objects))[0][0] is PROBLEM
        assert outcomes("room", observed(stack, objects=objects)) == [(OK, "every pod fits on a node")]
    small = {"nodes": [node("a"), node("g", labels=labels, gpu="1", memory="1Gi")]}
    assert outcomes("gpu", observed(stack, objects=small))[0][0] is OK
    assert "insufficient memory" in outcomes("room", observed(stack, objects=small))[0][1]


def test_the_models_job_needs_a_node_that_ollama_can_use() -> None:
    gpu = wanted(ollama={"gpu": {}, "models": ["llama3.2:1b"]})
    tolerant = wanted(ollama={"tolerations": [{"key": "team"}], "models": ["llama3.2:1b"]}, webui={"replicas": 0})
    fits = node("g", "nvidia.com/gpu", labels={"nvidia.com/gpu.present": "true"}, gpu="1")

    assert outcomes("room", observed(gpu, objects={"nodes": [node("a"), fits]})) == [(OK, "every pod fits on a node")]
    assert outcomes("room", observed(tolerant, objects={"nodes": [node("t", "team")]})) == [
        (OK, "every pod fits on a node")
    ]
    # the check `gpu` reports that there is no such node
    for there in ([node("a")], [node("a"), node("g", "closed", labels={"nvidia.com/gpu.present": "true"}, gpu="1")]):
        assert outcomes("gpu", observed(gpu, objects={"nodes": there}))[0][0] is PROBLEM
        assert outcomes("room", observed(gpu, objects={"nodes": there})) == [(OK, "every pod fits on a node")]


def test_running_pods_need_no_further_room() -> None:
    running = [
        pod("ollama-0", on="a", labels={"app": "ollama"}),
        pod("airis-1", on="a", labels={"app": "airis"}),
    ]
    seen = observed(wanted(), objects={"nodes": [node("a", cpu="1")], "pods": running})

    assert outcomes("room", seen) == [(OK, "every pod is on a node")]


def test_devices_by_dynamic_resource_allocation() -> None:
    stack = wanted(ollama={"gpu": {"dra": {}}})
    served = {"resource.k8s.io": ["v1"]}
    classes: dict[str, Any] = {"deviceclasses.resource.k8s.io": [body("DeviceClass", "gpu.nvidia.com")]}
    devices = body("ResourceSlice", "s", {"driver": "gpu.nvidia.com", "devices": [{"name": "gpu-0"}]})

    def say(objects: dict[str, Any], version: str = "v1.36.1") -> tuple[State, str]:
        empty: dict[str, Any] = {"deviceclasses.resource.k8s.io": [], "resourceslices.resource.k8s.io": []}
        groups = served if version == "v1.36.1" else {}
        (found,) = outcomes("dra", observed(stack, version=version, groups=groups, objects={**empty, **objects}))
        return found

    assert "new in Kubernetes 1.34" in say({}, "v1.33.2")[1]
    assert say({}) == (PROBLEM, "there is no DeviceClass gpu.nvidia.com; there are: none")
    assert say(classes)[1].startswith("no driver publishes a device")
    assert say({**classes, "resourceslices.resource.k8s.io": [devices]})[0] is OK
    assert outcomes("dra", observed(wanted())) == []


def test_the_requests_of_a_pod() -> None:
    spec = {
        "initContainers": [
            {"resources": {"requests": {"cpu": "3"}}},
            {"restartPolicy": "Always", "resources": {"limits": {"memory": "1Gi"}}},
        ],
        "containers": [{"resources": {"requests": {"cpu": "500m"}, "limits": {"cpu": "2", "memory": "1Gi"}}}],
    }

    assert asked(spec) == {"cpu": 3, "memory": 2 * 2**30}
    assert added({"a": amount("1k")}, {"a": amount("0.5"), "b": amount("2")}) == {"a": amount("1000.5"), "b": 2}
    assert [amount(each) for each in ("100n", "1e3", "0", 4)] == [amount("0.0001m"), 1000, 0, 4]
