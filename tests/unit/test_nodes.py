"""Nodes files: the default one, the short form, output of kubectl, and invalid files."""

import re
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from airis.cluster.kubectl import KubeObject
from airis.rehearse.sandbox.nodes import load_nodes
from airis.terminal.errors import AirisError

Load = Callable[[str], list[KubeObject]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def write_and_load(text: str) -> list[KubeObject]:
        file = tmp_path / "nodes.yaml"
        file.write_text(dedent(text), encoding="utf-8")
        return load_nodes(file)

    return write_and_load


def test_default_is_a_cpu_node_and_a_tainted_gpu_node() -> None:
    cpu, gpu = load_nodes()
    assert cpu["metadata"]["name"] == "cpu-0"
    assert cpu["spec"] == {}
    assert set(cpu["status"]["allocatable"]) == {"cpu", "memory", "ephemeral-storage"}
    assert gpu["metadata"]["labels"]["nvidia.com/gpu.present"] == "true"
    assert gpu["spec"]["taints"] == [{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}]
    assert gpu["status"]["allocatable"]["nvidia.com/gpu"] == "1"


def test_short_form_describes_groups_of_nodes(load: Load) -> None:
    nodes = load("""
        nodes:
          - {name: small, count: 3, cpu: 0.5, memory: 1024Mi, labels: {tier: x}, taints: [a=b:NoExecute, c:PreferNoSchedule]}
          - {name: big, cpu: 64, memory: 1Ti, disk: 2048Gi, resources: {amd.com/gpu: 8, nvidia.com/gpu: 0}}
    """)
    assert [each["metadata"]["name"] for each in nodes] == ["small-0", "small-1", "small-2", "big-0"]
    assert nodes[2] == {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": "small-2",
            "labels": {
                "kubernetes.io/hostname": "small-2",
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "tier": "x",
            },
        },
        "spec": {
            "taints": [{"key": "a", "value": "b", "effect": "NoExecute"}, {"key": "c", "effect": "PreferNoSchedule"}]
        },
        "status": {"allocatable": {"cpu": "500m", "memory": "1Gi", "ephemeral-storage": "100Gi"}},
    }
    assert nodes[3]["status"]["allocatable"] == {
        "cpu": "64",
        "memory": "1Ti",
        "ephemeral-storage": "2Ti",
        "amd.com/gpu": "8",
        "nvidia.com/gpu": "0",
    }


OF_A_CLUSTER = """
    apiVersion: v1
    kind: Node
    metadata:
      name: ip-10-0-0-1.eu-west-1.compute.internal
      uid: 2f9e
      resourceVersion: "17"
      annotations: {node.alpha.kubernetes.io/ttl: "0"}
      labels: {node.kubernetes.io/instance-type: g5.xlarge, node-role.kubernetes.io/worker: ""}
      managedFields: [{manager: kubelet}]
    spec:
      podCIDR: 10.244.0.0/24
      providerID: aws:///eu-west-1a/i-1
      unschedulable: true
      taints:
        - {key: nvidia.com/gpu, value: present, effect: NoSchedule}
        - {key: node.kubernetes.io/unschedulable, effect: NoSchedule, timeAdded: 2026-01-01T00:00:00Z}
        - {key: dedicated, effect: NoExecute, timeAdded: 2026-01-01T00:00:00Z}
    status:
      addresses: [{address: 10.0.0.1, type: InternalIP}]
      allocatable: {cpu: 3920m, ephemeral-storage: "95551679124", memory: 15073488Ki, pods: 58, nvidia.com/gpu: "1"}
      capacity: {cpu: "4", memory: 16Gi}
      conditions: [{type: Ready, status: "False"}]
      images: []
"""
BARE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {
        "name": "ip-10-0-0-1.eu-west-1.compute.internal",
        "labels": {"node.kubernetes.io/instance-type": "g5.xlarge", "node-role.kubernetes.io/worker": ""},
    },
    "spec": {
        "taints": [
            {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"},
            {"key": "dedicated", "effect": "NoExecute"},
        ],
        "unschedulable": True,
    },
    "status": {
        "allocatable": {
            "cpu": "3920m",
            "ephemeral-storage": "95551679124",
            "memory": "15073488Ki",
            "pods": "58",
            "nvidia.com/gpu": "1",
        }
    },
}


def test_transient_fields_of_a_clusters_node_are_dropped(load: Load) -> None:
    assert load(OF_A_CLUSTER) == [BARE]


def test_a_list_and_documents_are_equivalent(load: Load) -> None:
    plain = (
        "{kind: Node, metadata: {name: b}, spec: null, status: {allocatable: null, capacity: {cpu: 1, memory: 1e9}}}"
    )
    expected = [
        BARE,
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": "b", "labels": {}},
            "spec": {},
            "status": {"allocatable": {"cpu": "1", "memory": "1000000000"}},  # a number, as kubectl reads it
        },
    ]
    item = "\n".join(f"      {line[2:]}" for line in OF_A_CLUSTER.strip("\n").splitlines())
    listed = f"apiVersion: v1\nkind: List\nitems:\n  -\n{item}\n  - {plain}\n"
    assert load(listed) == expected
    assert load(listed.replace("kind: List", "kind: NodeList")) == expected
    assert load(f"{dedent(OF_A_CLUSTER)}---\n---\n{plain}\n---\n") == expected


def refusal(load: Callable[[], Any]) -> str:
    with pytest.raises(AirisError) as error:
        load()
    return str(error.value)


NODE = "kind: Node\nmetadata: {name: a}\n"
GROUP = "name: a, cpu: 1, memory: 1Gi"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "describes no nodes"),
        ("# nothing\n---\n", "describes no nodes"),
        ("nodes: []", "describes no nodes"),
        ("kind: List\nitems: []", "describes no nodes"),
        ("a: [", "not valid YAML: .*line 1"),
        ("\0", "not valid YAML"),
        ("hello", "'hello': must be a mapping"),
        ("[1]", "must be a mapping"),
        ("node: []", r"node: unknown key"),
        ("nodes: {name: a}", "nodes: must be a list"),
        ("nodes: [gpu]", r"nodes\[0\]: 'gpu': must be a mapping"),
        ("nodes: [{name: a, cpu: 1}]", r"nodes\[0\].memory: this key is required"),
        (f"nodes: [{{{GROUP}}}, {{{GROUP}, gpus: 1}}]", r"nodes\[1\].gpus: 1: unknown key"),
        ("nodes: [{name: A, cpu: 1, memory: 1Gi}]", r"nodes\[0\].name: 'A': a DNS-1123 label"),
        (f"nodes: [{{name: {'a' * 60}, cpu: 1, memory: 1Gi}}]", r"nodes\[0\].name: .* at most 57"),
        (
            "nodes: [{name: a, cpu: 1, memory: 10 gigs}]",
            r"nodes\[0\].memory: '10 gigs': bytes with a Kubernetes suffix",
        ),
        (
            "nodes: [{name: a, cpu: 1, memory: 1Gi, disk: 1GB}]",
            r"nodes\[0\].disk: '1GB': bytes with a Kubernetes suffix",
        ),
        ("nodes: [{name: a, cpu: -1, memory: 1Gi}]", r"nodes\[0\].cpu: -1: CPU cores"),
        (f"nodes: [{{{GROUP}, count: 0}}]", r"nodes\[0\].count: 0: .*greater than or equal to 1"),
        (f"nodes: [{{{GROUP}, count: two}}]", r"nodes\[0\].count: 'two': .*integer"),
        (f"nodes: [{{{GROUP}, resources: {{nvidia.com/gpu: 0.5}}}}]", r"nodes\[0\].resources.nvidia.com/gpu: 0.5: "),
        (f"nodes: [{{{GROUP}, resources: {{gpu: 1}}}}]", r"nodes\[0\].resources.gpu.* an extended resource"),
        (f"nodes: [{{{GROUP}, labels: {{a: true}}}}]", r"nodes\[0\].labels.a: True: "),
        (
            f"nodes: [{{{GROUP}, taints: [gpu]}}]",
            r"nodes\[0\].taints\[0\]: 'gpu': must be a taint in kubectl's notation",
        ),
        (
            f"nodes: [{{{GROUP}, taints: ['gpu:Never']}}]",
            r"nodes\[0\].taints\[0\].effect: 'Never': must be 'NoSchedule'",
        ),
        (f"nodes: [{{{GROUP}, taints: ['a b:NoExecute']}}]", r"nodes\[0\].taints\[0\].key: 'a b': a label key"),
        (f"nodes: [{{{GROUP}}}, {{{GROUP}}}]", "duplicate nodes: a-0$"),
        ("kind: Pod", "kind: 'Pod': must be 'Node'"),
        ("kind: List\nitems: 3", "items: 3: must be a list"),
        ("kind: List\nitems: [{kind: Pod}]", r"items\[0\].kind: 'Pod': must be 'Node'"),
        ("kind: Node\nstatus: {capacity: {cpu: 1}}", "metadata: this key is required"),
        (NODE, "status: this key is required"),
        (f"{NODE}status: {{allocatable: {{}}}}", r"status: allocatable \(or capacity\) must list the node's resources"),
        (
            f"{NODE}status: {{allocatable: {{cpu: a lot}}}}",
            "status.allocatable.cpu: 'a lot': must be a Kubernetes quantity",
        ),
        (
            f"{NODE}status: {{allocatable: {{cpu: true}}}}",
            "status.allocatable.cpu: True: must be a Kubernetes quantity",
        ),
        (
            f"{NODE}spec: {{taints: [{{key: x, effect: Never}}]}}\nstatus: {{capacity: {{cpu: 1}}}}",
            r"spec.taints\[0\].effect: 'Never': must be 'NoSchedule'",
        ),
        (f"{NODE}status: {{capacity: {{cpu: 1}}}}\n---\n{NODE}", "document 2: status: this key is required"),
        (f"{NODE}status: {{capacity: {{cpu: 1}}}}\n---\nnodes: [{{name: x}}]", r"document 2: nodes\[0\].cpu: this key"),
    ],
)
def test_an_invalid_file_is_rejected_with_file_entry_and_key(load: Load, tmp_path: Path, text: str, words: str) -> None:
    said = refusal(lambda: load(text))
    assert said.startswith(f"{tmp_path / 'nodes.yaml'}: ")
    assert re.search(words, said, re.MULTILINE), said
    assert "at least 1 item" not in said


def test_all_errors_are_reported_together(load: Load) -> None:
    said = refusal(lambda: load("nodes: [{name: A, cpu: 1}, {name: b, cpu: x, memory: 1Gi}]"))
    assert [line.split(": ")[0].strip() for line in said.splitlines()[1:-1]] == [
        "nodes[0].name",
        "nodes[0].memory",
        "nodes[1].cpu",
    ]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    assert refusal(lambda: load_nodes(tmp_path / "none.yaml")).startswith(
        f"{tmp_path / 'none.yaml'}: No such file or directory"
    )
    assert refusal(lambda: load_nodes(tmp_path)).startswith(f"{tmp_path}: Is a directory")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\xfa")
    assert "not valid YAML" in refusal(lambda: load_nodes(tmp_path / "binary"))
