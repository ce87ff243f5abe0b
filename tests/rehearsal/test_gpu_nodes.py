"""Ollama on nodes of every vendor and cloud at once, bound by the real scheduler; and what keeps it from them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest

from airis.cluster.finding import Finding, State
from airis.cluster.kubectl import Kubectl, KubeObject
from airis.rehearse.rehearsal import clean, rehearse
from airis.rehearse.sandbox import Sandbox, load_nodes
from airis.rehearse.verdict import Verdict
from airis.render import manifest
from tests.unit.drawing import ROOT, draw

NODES = ROOT / "tests" / "fixtures" / "nodes"
CPU_NODES = {"cpu-0", "cpu-1"}

pytestmark = pytest.mark.timeout(180)


_NAMESPACES = (f"gpu-{number}" for number in count())


@dataclass(frozen=True)
class Place:
    """Nodes with nothing on them, and a namespace that no test has used: the one of the test before may still be going."""

    sandbox: Sandbox
    namespace: str

    @property
    def kubectl(self) -> Kubectl:
        return self.sandbox.kubectl

    def wanted(self, **settings: object) -> list[dict[str, Any]]:
        rendering = draw(namespace=self.namespace, **settings)
        return [manifest.manifest(each) for each in manifest.in_order(rendering.objects)]

    def rehearsed(self, **settings: object) -> Verdict:
        return self.rehearsed_objects(self.wanted(**settings))

    def rehearsed_objects(self, objects: Sequence[KubeObject]) -> Verdict:
        return rehearse("test", objects, self.kubectl, timeout_seconds=60)

    def get(self, *args: str) -> list[dict[str, Any]]:
        return self.kubectl.get(*args, f"--namespace={self.namespace}")

    def emptied(self) -> "Place":
        """The same nodes again."""
        clean(self.kubectl, wait=False)
        return Place(self.sandbox, next(_NAMESPACES))


def pod(verdict: Verdict, name: str) -> Finding:
    (found,) = [each for each in verdict.findings if each.kind == "Pod" and each.name.startswith(name)]
    return found


def with_nodes(sandbox: Sandbox, nodes: Sequence[KubeObject]) -> Place:
    """These nodes alone. Those that are there already stay as they are."""
    sandbox.up()
    place = Place(sandbox, "").emptied()
    sandbox.set_nodes(nodes)
    return place


@pytest.fixture(scope="module")
def shared(sandbox: Sandbox) -> Sandbox:
    """Keeps these tests on one sandbox: changing its nodes takes longer than most of them."""
    return sandbox


@pytest.fixture
def vendors(shared: Sandbox) -> Place:
    return with_nodes(shared, load_nodes(NODES / "gpu_vendors.yaml"))


@pytest.fixture
def plain(shared: Sandbox) -> Place:
    return with_nodes(shared, load_nodes(NODES / "device_plugin.yaml"))


BOUND: list[tuple[Mapping[str, object], str]] = [
    ({"preset": "gke", "accelerator": "nvidia-l4"}, "gke-l4-0"),
    ({"preset": "gke", "accelerator": "nvidia-h100-80gb"}, "gke-h100-0"),
    ({"preset": "eks", "accelerator": "a10g"}, "eks-g5-0"),
    ({"preset": "eks", "minMemory": "20Gi"}, "eks-g5-0"),
    ({"preset": "eks-auto"}, "eks-auto-g6-0"),
    ({"preset": "eks-auto", "accelerator": "l4", "minMemory": "22Gi"}, "eks-auto-g6-0"),
    ({"preset": "aks"}, "aks-nc-0"),
    ({"count": 2}, "operator-a100-0"),
    ({"preset": "gpu-operator", "accelerator": "NVIDIA-GeForce-RTX-3090"}, "operator-3090-0"),
    ({"minMemory": "80Gi"}, "operator-a100-0"),
    ({"migProfile": "1g.10gb"}, "operator-mig-0"),
    ({"shared": True}, "operator-shared-0"),
    ({"vendor": "amd", "supplementalGroups": [44, 109]}, "amd-mi300-0"),
    ({"vendor": "amd", "preset": "gpu-operator", "accelerator": "AMD_Instinct_MI300X_OAM"}, "amd-mi300-0"),
    ({"vendor": "intel"}, "intel-flex-0"),
    ({"vendor": "intel", "preset": "node-feature-discovery", "resourceName": "gpu.intel.com/xe"}, "intel-arc-0"),
]


@pytest.mark.parametrize(
    ("gpu", "node"), BOUND, ids=lambda value: value if isinstance(value, str) else json.dumps(value)
)
def test_ollama_is_bound_to_the_one_node_that_is_meant(gpu: Mapping[str, object], node: str, vendors: Place) -> None:
    # small enough for the smallest node, so that nothing but the GPU decides
    verdict = vendors.rehearsed(ollama={"gpu": gpu})

    assert verdict.ok, verdict
    assert pod(verdict, "ollama-0").node == node
    assert pod(verdict, "airis-deployment").node in CPU_NODES


@pytest.mark.parametrize(
    ("gpu", "reason"),
    [
        ({"preset": "gke", "accelerator": "nvidia-l4", "taint": None}, "untolerated taint"),
        ({"preset": "aks", "taint": "nvidia.com/gpu"}, "untolerated taint"),
        ({"vendor": "amd", "taint": None}, "untolerated taint"),
        # the right cluster without its preset: such nodes carry no label of GPU feature discovery
        ({"count": 1, "accelerator": "nvidia-l4"}, "didn't match Pod's node affinity/selector"),
        ({"preset": "eks", "minMemory": "80Gi"}, "didn't match Pod's node affinity/selector"),
        ({"migProfile": "2g.20gb"}, "Insufficient nvidia.com/mig-2g.20gb"),
    ],
    ids=lambda value: value if isinstance(value, str) else json.dumps(value),
)
def test_without_it_ollama_stays_pending_with_the_schedulers_reason(
    gpu: Mapping[str, object], reason: str, vendors: Place
) -> None:
    verdict = vendors.rehearsed(ollama={"gpu": gpu})

    ollama = pod(verdict, "ollama-0")
    assert (ollama.state, ollama.node) == (State.PENDING, "")
    assert reason in ollama.reason
    assert pod(verdict, "airis-deployment").state is State.READY


@pytest.mark.parametrize(
    ("gpu", "node"),
    [
        ({"vendor": "amd", "preset": "gpu-operator", "supplementalGroups": [44, 109]}, {"amd-mi300-0"}),
        ({"preset": "eks-auto"}, {"eks-auto-g6-0"}),
        (
            {"preset": "gke", "accelerator": "nvidia-l4"},
            CPU_NODES,
        ),  # Autopilot lets no pod without a GPU name such nodes
    ],
    ids=lambda value: str(sorted(value)),  # a set has another order in each process
)
def test_the_models_job_runs_on_ollamas_kind_of_node(gpu: Mapping[str, object], node: set[str], vendors: Place) -> None:
    verdict = vendors.rehearsed(ollama={"gpu": gpu, "models": ["llama3.2:1b"]})

    assert verdict.ok, verdict
    assert pod(verdict, "ollama-pull-0").node in node


def test_the_models_job_runs_where_every_node_is_tainted(shared: Sandbox) -> None:
    place = with_nodes(shared, load_nodes(NODES / "tainted.yaml"))
    tolerant = {"tolerations": [{"key": "team"}]}

    verdict = place.rehearsed(ollama={**tolerant, "models": ["llama3.2:1b"]}, webui=tolerant)

    assert verdict.ok, verdict
    assert pod(verdict, "ollama-pull-0").node == "only-0"


def test_a_device_plugin_alone_labels_no_node(plain: Place) -> None:
    verdict = plain.rehearsed(ollama={"gpu": {}})
    assert pod(verdict, "ollama-0").state is State.PENDING
    assert "didn't match Pod's node affinity/selector" in pod(verdict, "ollama-0").reason

    verdict = plain.emptied().rehearsed(ollama={"gpu": {"preset": "device-plugin"}})
    assert verdict.ok, verdict
    assert pod(verdict, "ollama-0").node == "plain-0"


def test_a_runtime_class_must_exist(plain: Place) -> None:
    gpu = {"preset": "device-plugin", "runtimeClass": "nvidia"}
    runtime: KubeObject = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "nvidia"},
                           "handler": "nvidia"}  # fmt: skip
    verdict = plain.rehearsed(ollama={"gpu": gpu})
    assert not [each for each in verdict.findings if each.kind == "Pod" and each.name.startswith("ollama")]
    (statefulset,) = [each for each in verdict.findings if each.kind == "StatefulSet"]
    assert 'RuntimeClass "nvidia" not found' in statefulset.reason

    plain = plain.emptied()
    plain.kubectl.apply([runtime])
    try:
        verdict = plain.rehearsed(ollama={"gpu": gpu})
    finally:
        plain.kubectl.delete([runtime])
    assert verdict.ok, verdict
    assert pod(verdict, "ollama-0").node == "plain-0"


def history(place: Place, version: str) -> list[tuple[str, str, str]]:
    """What happened to Ollama's pods since that version of the list: events, uids and nodes, in the server's own order."""
    query = f"watch=true&labelSelector=app%3Dollama&resourceVersion={version}&timeoutSeconds=2"
    path = f"/api/v1/namespaces/{place.namespace}/pods?{query}"
    events = [json.loads(line) for line in place.kubectl.run("get", "--raw", path).splitlines()]
    return [
        (each["type"], each["object"]["metadata"]["uid"], each["object"]["spec"].get("nodeName", "")) for each in events
    ]


def list_version(place: Place) -> str:
    listed = json.loads(place.kubectl.run("get", "--raw", f"/api/v1/namespaces/{place.namespace}/pods"))
    return str(listed["metadata"]["resourceVersion"])


def assert_one_after_the_other(events: list[tuple[str, str, str]], node: str) -> None:
    """There are never two pods at once, and the last one comes to run on the node.

    A StatefulSet may begin with another pod of the old template, which it then replaces as well.
    """
    came_or_went = [(kind, uid) for kind, uid, _ in events if kind != "MODIFIED"]
    assert len(came_or_went) >= 2
    assert [kind for kind, _ in came_or_went] == ["DELETED", "ADDED"] * (len(came_or_went) // 2)
    came = [uid for kind, uid in came_or_went if kind == "ADDED"]
    went = [uid for kind, uid in came_or_went if kind == "DELETED"]
    assert went[1:] == came[:-1]
    assert came[-1] not in went
    assert events[-1][1:] == (came[-1], node)


def test_an_update_on_the_only_gpu_never_overlaps(shared: Sandbox) -> None:
    default = with_nodes(shared, load_nodes())  # one of them has one GPU
    assert default.rehearsed(ollama={"gpu": {}}).ok
    version = list_version(default)

    verdict = default.rehearsed(ollama={"gpu": {}, "image": "ollama/ollama:0.34.5"})

    assert verdict.ok, verdict
    assert_one_after_the_other(history(default, version), "gpu-0")


DRIVER = "gpu.nvidia.com"
IS_L4, IS_A100 = (f"device.attributes['{DRIVER}'].productName == '{name}'" for name in ("NVIDIA L4", "NVIDIA A100"))


def device_class(name: str) -> KubeObject:
    """As NVIDIA's driver installs it."""
    expression = f"device.driver == '{DRIVER}' && device.attributes['{DRIVER}'].type == 'gpu'"
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "DeviceClass",
        "metadata": {"name": name},
        "spec": {"selectors": [{"cel": {"expression": expression}}]},
    }


def resource_slice(node: str, product: str, memory: str, count: int = 1) -> KubeObject:
    """As NVIDIA's driver publishes it for the GPUs of one node."""
    devices = [
        {
            "name": f"gpu-{number}",
            "attributes": {
                "type": {"string": "gpu"},
                "productName": {"string": product},
                "architecture": {"string": "Ampere"},
                "cudaComputeCapability": {"version": "8.0.0"},
                "driverVersion": {"version": "570.86.15"},
                "uuid": {"string": f"GPU-{node}-{number}"},
            },
            "capacity": {"memory": {"value": memory}},
        }
        for number in range(count)
    ]
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceSlice",
        "metadata": {"name": f"{node}-{DRIVER}"},
        "spec": {
            "driver": DRIVER,
            "nodeName": node,
            "pool": {"name": node, "generation": 1, "resourceSliceCount": 1},
            "devices": devices,
        },
    }


@pytest.fixture
def dra(shared: Sandbox) -> Iterator[Place]:
    """Nodes with a DRA driver's devices: one L4, and two A100."""
    place = with_nodes(shared, load_nodes(NODES / "dra.yaml"))
    driver = [
        device_class(DRIVER),
        resource_slice("dra-l4-0", "NVIDIA L4", "23034Mi"),
        resource_slice("dra-a100-0", "NVIDIA A100", "80Gi", count=2),
    ]
    place.kubectl.apply(driver)
    yield place
    place.emptied()
    place.kubectl.delete(driver)


def allocated(place: Place) -> dict[str, list[str]]:
    """The devices of each claim, by the claim's name."""
    return {
        each["metadata"]["name"]: [
            f"{result['pool']}/{result['device']}"
            for result in each.get("status", {}).get("allocation", {}).get("devices", {}).get("results", [])
        ]
        for each in place.get("resourceclaims")
    }


@pytest.mark.parametrize(
    ("gpu", "devices"),
    [
        ({"dra": {"selectors": [IS_L4]}}, {"dra-l4-0/gpu-0"}),
        (
            {
                "dra": {"selectors": [f"device.capacity['{DRIVER}'].memory.compareTo(quantity('40Gi')) >= 0"]},
                "count": 2,
            },
            {"dra-a100-0/gpu-0", "dra-a100-0/gpu-1"},
        ),
    ],
    ids=["by product", "by memory, two of them"],
)
def test_a_claim_is_allocated_where_the_selector_says(gpu: dict[str, Any], devices: set[str], dra: Place) -> None:
    verdict = dra.rehearsed(ollama={"gpu": gpu})

    assert verdict.ok, verdict
    (results,) = allocated(dra).values()
    assert set(results) == devices
    assert {f"{pod(verdict, 'ollama-0').node}/gpu-0"} <= devices
    assert pod(verdict, "airis-deployment").node == "cpu-0"


def test_a_second_pod_waits_when_the_devices_are_used_up(dra: Place) -> None:
    verdict = dra.rehearsed(ollama={"gpu": {"dra": {"selectors": [IS_L4]}}, "replicas": 2})

    assert pod(verdict, "ollama-0").node == "dra-l4-0"
    second = pod(verdict, "ollama-1")
    assert (second.state, second.node) == (State.PENDING, "")
    assert "cannot allocate all claims" in second.reason


def test_a_dra_pod_without_toleration_stays_pending(dra: Place) -> None:
    verdict = dra.rehearsed(ollama={"gpu": {"dra": {}, "taint": None}})

    assert pod(verdict, "ollama-0").state is State.PENDING
    assert "untolerated taint" in pod(verdict, "ollama-0").reason


def test_another_selector_moves_the_pod_and_the_old_template_can_go(dra: Place) -> None:
    before = {"gpu": {"dra": {"selectors": [IS_L4]}}}
    assert dra.rehearsed(ollama=before).ok
    (old,) = dra.get("resourceclaimtemplates")
    version = list_version(dra)

    verdict = dra.rehearsed(ollama={"gpu": {"dra": {"selectors": [IS_A100]}}})

    assert verdict.ok, verdict
    assert_one_after_the_other(history(dra, version), "dra-a100-0")
    assert len(dra.get("resourceclaimtemplates")) == 2
    dra.kubectl.delete([{"apiVersion": "resource.k8s.io/v1", "kind": old["kind"], "metadata": old["metadata"]}])
    assert pod(verdict, "ollama-0").node == "dra-a100-0"
    assert [results[0].partition("/")[0] for results in allocated(dra).values()] == ["dra-a100-0"]


def test_an_update_of_a_pod_with_a_claim_never_overlaps(dra: Place) -> None:
    gpu = {"dra": {"selectors": [IS_L4]}}
    assert dra.rehearsed(ollama={"gpu": gpu}).ok
    version = list_version(dra)

    verdict = dra.rehearsed(ollama={"gpu": gpu, "image": "ollama/ollama:0.34.5"})

    assert verdict.ok, verdict
    assert_one_after_the_other(history(dra, version), "dra-l4-0")


REQUEST = {"devices": {"requests": [{"name": "any", "exactly": {"deviceClassName": DRIVER, "selectors": [{"cel": {
    "expression": IS_A100}}]}}]}}  # fmt: skip


@pytest.mark.parametrize(
    ("key", "existing"),
    [
        ("existingClaim", {"kind": "ResourceClaim", "spec": REQUEST}),
        ("existingClaimTemplate", {"kind": "ResourceClaimTemplate", "spec": {"spec": REQUEST}}),
    ],
)
def test_what_exists_already_is_used(key: str, existing: dict[str, Any], dra: Place) -> None:
    own = {"apiVersion": "resource.k8s.io/v1", "metadata": {"name": "my-gpu", "namespace": dra.namespace}, **existing}
    objects = dra.wanted(ollama={"gpu": {"dra": {key: "my-gpu"}}})
    dra.kubectl.apply([each for each in objects if each["kind"] == "Namespace"])
    dra.kubectl.apply([own])

    verdict = dra.rehearsed_objects(objects)

    assert verdict.ok, verdict
    assert pod(verdict, "ollama-0").node == "dra-a100-0"


def test_a_pod_that_never_started_goes_by_hand_after_the_preset_is_right(plain: Place) -> None:
    """A StatefulSet waits for its pods to be ready before it replaces them: docs/gpu.md says what to do."""
    assert not plain.rehearsed(ollama={"gpu": {}}).ok

    verdict = plain.rehearsed(ollama={"gpu": {"preset": "device-plugin"}})
    assert pod(verdict, "ollama-0").state is State.PENDING

    plain.kubectl.run("delete", "pod", "ollama-0", f"--namespace={plain.namespace}")
    verdict = plain.rehearsed(ollama={"gpu": {"preset": "device-plugin"}})
    assert verdict.ok, verdict
    assert pod(verdict, "ollama-0").node == "plain-0"


@pytest.mark.parametrize("force", ["DoNotSchedule", "antiAffinity"])
def test_pods_that_must_be_apart_take_a_node_each_and_no_gpu_node(force: str, vendors: Place) -> None:
    """Two nodes without GPUs, which are all that count: the third pod shares one, or waits."""
    spread = {"topologySpread": [{"topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule"}]}
    apart = {"antiAffinity": {"required": True}}
    settings = spread if force == "DoNotSchedule" else apart
    small = {"requests": {"cpu": "100m", "memory": "100Mi"}}

    verdict = vendors.rehearsed(ollama={"replicas": 3, "resources": small, **settings})

    pods = [each for each in verdict.findings if each.kind == "Pod" and each.name.startswith("ollama")]
    assert {each.node for each in pods if each.node} == CPU_NODES
    assert [each.state for each in pods][:2] == [State.READY, State.READY]
    if force == "DoNotSchedule":
        assert pods[2].state is State.READY
    else:
        assert pods[2].state is State.PENDING
        assert "didn't match pod anti-affinity rules" in pods[2].reason


def test_the_api_server_takes_every_placement_and_a_second_apply_changes_nothing(dra: Place) -> None:
    placement = {
        "nodeSelector": {"pool": "a"},
        "topologySpread": [
            {"topologyKey": "topology.kubernetes.io/zone"},
            {"topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule"},
        ],
        "antiAffinity": {"required": True},
        "podAffinity": [{"labels": {"app": "cache"}}],
        "podAntiAffinity": [{"labels": {"app": "noisy"}, "namespaces": ["batch"], "required": True}],
        "runtimeClass": "gvisor",
        "schedulerName": "my-scheduler",
        "hostAliases": [
            {"ip": "192.0.2.10", "hostnames": ["ldap.example.com"]},
            {"ip": "2001:db8::1", "hostnames": ["a"]},
        ],
        "terminationGracePeriodSeconds": 120,
        "replicas": 0,
    }
    gpu = {"dra": {"selectors": [IS_L4]}, "supplementalGroups": [44, 109]}
    objects = dra.wanted(webui=placement, ollama={**placement, "gpu": gpu})

    def generations() -> dict[str, int]:
        # not resourceVersion, which the controllers' own status changes
        kinds = ("deployments", "statefulsets", "resourceclaimtemplates")
        found = [each for kind in kinds for each in dra.get(kind)]
        return {f"{each['kind']}/{each['metadata']['name']}": each["metadata"].get("generation", 0) for each in found}

    dra.kubectl.apply(objects)
    first = generations()
    dra.kubectl.apply(objects)

    assert len(first) == 3
    assert generations() == first
    for kind in ("deployments", "statefulsets"):
        (live,) = dra.get(kind)
        (own,) = [each for each in objects if each["kind"] == live["kind"]]
        expected, found = own["spec"]["template"]["spec"], live["spec"]["template"]["spec"]
        keys = (
            "affinity",
            "hostAliases",
            "nodeSelector",
            "runtimeClassName",
            "schedulerName",
            "topologySpreadConstraints",
        )
        assert {key: found[key] for key in keys} == {key: expected[key] for key in keys}
    (template,) = dra.get("resourceclaimtemplates")
    (own,) = [each for each in objects if each["kind"] == "ResourceClaimTemplate"]
    assert template["spec"]["spec"] == own["spec"]["spec"]
