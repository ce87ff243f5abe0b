"""A fleet: many tenants on many nodes, and what must hold of where their pods went."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from airis.cluster.kubectl import Kubectl, KubeObject
from airis.rehearse.sandbox import load_nodes
from tests.unit.drawing import ROOT

NODES = ROOT / "examples" / "nodes" / "fleet.yaml"
GPU = "nvidia.com/gpu"
PRODUCT = "nvidia.com/gpu.product"
ZONE = "topology.kubernetes.io/zone"

_PRODUCTS = ("Tesla-T4", "NVIDIA-A100-SXM4-80GB", "NVIDIA-H100-80GB-HBM3")
_GPUS = {"Tesla-T4": 1, "NVIDIA-A100-SXM4-80GB": 2, "NVIDIA-H100-80GB-HBM3": 4}
"""GPUs that a tenant's Ollama asks for, by the product that it wants."""

_BASE: dict[str, Any] = {
    "airis:labels": {"fleet": "departments"},
    "airis:webui": {"image": "ghcr.io/open-webui/open-webui:0.12.4"},
    "airis:ollama": {"image": "ollama/ollama:0.34.4"},
}

_SPREAD: dict[str, Any] = {
    "replicas": 3,
    "database": {
        "host": "db.example.org",
        "name": "airis",
        "user": "airis",
        "passwordFrom": {"name": "db", "key": "p"},
    },
    "redis": {"urlFrom": {"name": "redis", "key": "url"}},
    "vectorStore": "pgvector",
    "objectStorage": {"bucket": "uploads", "region": "eu-central-1", "workloadIdentity": True},
    "antiAffinity": {},
    "topologySpread": [{"topologyKey": ZONE, "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}],
}
"""What the pods of a large department need to be several, one in each zone."""


def tenants(project: Path, count: int) -> list[str]:
    """Writes so many stack files, and what they share, beside the program; returns the stacks' names.

    In turn: a large department without GPUs and three pods of Open WebUI, and one for each kind of GPU.
    """
    (project / "bases").mkdir(exist_ok=True)
    (project / "bases" / "department.yaml").write_text(yaml.safe_dump({"config": _BASE}))
    names = [f"dept-{number:03}" for number in range(count)]
    for number, name in enumerate(names):
        (project / f"Pulumi.{name}.yaml").write_text(yaml.safe_dump({"config": _tenant(number, name)}, sort_keys=False))
    return names


def _tenant(number: int, name: str) -> dict[str, Any]:
    config: dict[str, Any] = {
        "airis:base": "bases/department.yaml",
        "airis:namespace": name,
        "airis:ingress": {"host": f"{name}.example.org"},
    }
    if number % 4 == 0:
        return {**config, "airis:webui": _SPREAD}
    product = _PRODUCTS[number % 4 - 1]
    labels = {"nvidia.com/gpu.present": "true", PRODUCT: product}
    return {**config, "airis:ollama": {"gpu": {"count": _GPUS[product], "nodeLabels": labels}}}


def nodes(count: int) -> list[KubeObject]:
    """So many nodes, of the kinds and in the shares of examples/nodes/fleet.yaml; at least one of each kind."""
    every = load_nodes(NODES)
    kinds: dict[str, list[KubeObject]] = {}
    for each in every:
        kinds.setdefault(each["metadata"]["name"].rpartition("-")[0], []).append(each)
    return [each for group in kinds.values() for each in group[: max(1, round(len(group) * count / len(every)))]]


def broken(kubectl: Kubectl, tenants_: Sequence[str]) -> list[str]:
    """What does not hold of the fleet on the cluster: each a sentence; none if all is as the settings say."""
    there = {each["metadata"]["name"]: each for each in kubectl.get("nodes")}
    pods = [each for each in kubectl.get("pods", "--all-namespaces") if each["metadata"]["namespace"] in tenants_]
    return [*_gpus(pods, there), *_spread(pods, there), *_missing(pods, tenants_)]


def _gpus(pods: Sequence[KubeObject], there: dict[str, Any]) -> Iterator[str]:
    used: Counter[str] = Counter()
    for pod in pods:
        node = there.get(pod["spec"].get("nodeName", ""))
        wanted = _asked(pod)
        if node is None:
            yield f"{_name(pod)} is on no node"
            continue
        used[node["metadata"]["name"]] += wanted
        product = (pod["spec"].get("nodeSelector") or {}).get(PRODUCT) or _product_in_affinity(pod)
        if wanted and node["metadata"]["labels"].get(PRODUCT) != product:
            yield f"{_name(pod)} wants {product}, and is on {node['metadata']['name']}"
        if not wanted and GPU in node["status"]["allocatable"]:
            yield f"{_name(pod)} asks for no GPU, and is on {node['metadata']['name']}"
    for name, count in used.items():
        if count > (offered := int(there[name]["status"]["allocatable"].get(GPU, 0))):
            yield f"{name} has {offered} GPUs, and its pods ask for {count}"


def _asked(pod: KubeObject) -> int:
    limits = [each.get("resources", {}).get("limits", {}) for each in pod["spec"]["containers"]]
    return sum(int(each.get(GPU, 0)) for each in limits)


def _product_in_affinity(pod: KubeObject) -> str:
    terms = (
        ((pod["spec"].get("affinity") or {}).get("nodeAffinity") or {})
        .get("requiredDuringSchedulingIgnoredDuringExecution", {})
        .get("nodeSelectorTerms", [])
    )
    found = [each["values"][0] for term in terms for each in term.get("matchExpressions", []) if each["key"] == PRODUCT]
    return found[0] if found else ""


def _spread(pods: Sequence[KubeObject], there: dict[str, Any]) -> Iterator[str]:
    zones: dict[str, Counter[str]] = {}
    for pod in pods:
        if pod["spec"].get("topologySpreadConstraints") and (node := there.get(pod["spec"].get("nodeName", ""))):
            found = zones.setdefault(pod["metadata"]["namespace"], Counter({"a": 0, "b": 0, "c": 0}))
            found[node["metadata"]["labels"].get(ZONE, "none")] += 1
    for namespace, counted in zones.items():
        if max(counted.values()) - min(counted.values()) > 1:
            yield f"the pods of {namespace} are spread as {dict(counted)}"


def _missing(pods: Sequence[KubeObject], tenants_: Sequence[str]) -> Iterator[str]:
    """A tenant in four has three pods of Open WebUI, each has one of Ollama."""
    counted = Counter(each["metadata"]["namespace"] for each in pods)
    for number, name in enumerate(tenants_):
        wanted = 4 if number % 4 == 0 else 2
        if counted[name] != wanted:
            yield f"{name} has {counted[name]} pods, and not {wanted}"


def _name(pod: KubeObject) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
