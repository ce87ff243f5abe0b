"""Descriptions of the sandbox's nodes: the default ones, a file in the short form, or `kubectl get nodes -o yaml`."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, ValidationError, model_validator

from airis.cluster.kubectl import KubeObject
from airis.terminal.errors import AirisError
from airis.terminal.input_files import documents_in, in_words
from settings.types.names import Dns1123Label, Dns1123Subdomain, LabelKey, LabelValue, ResourceName
from settings.types.quantity import Bytes, Cpu

DEFAULT = Path(__file__).with_name("nodes.yaml")

_TAINT = re.compile(r"(?P<key>[^=:]+)(?:=(?P<value>[^:]*))?:(?P<effect>[^:]+)")
_QUANTITY = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?")
_NAME_LENGTH = 57
"""A node's name is also a label value: at most 63 characters, including a suffix up to `-9999`."""


def _parsed_taint(given: object) -> object:
    if not isinstance(given, str) or not (match := _TAINT.fullmatch(given)):
        raise ValueError("must be a taint in kubectl's notation: key=value:NoSchedule, key:NoSchedule, ...")
    return match.groupdict()


def _quantity(given: object) -> str:
    text = str(given)
    if _QUANTITY.fullmatch(text) is None:
        raise ValueError("must be a Kubernetes quantity, such as 8, 500m or 32Gi")
    return text


class _ClusterObject(BaseModel):
    """The fields to read from an object of a cluster; others are ignored. An empty key is the same as none."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, given: Any) -> Any:
        return {key: value for key, value in given.items() if value is not None} if isinstance(given, dict) else given


class Taint(_ClusterObject):
    """A taint, without `timeAdded`."""

    key: LabelKey
    value: LabelValue = ""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]


class Metadata(_ClusterObject):
    """The fields to read from a node's metadata."""

    name: Dns1123Subdomain
    labels: dict[LabelKey, LabelValue] = Field(default_factory=dict)


class Spec(_ClusterObject):
    """The fields to read from a node's spec."""

    taints: tuple[Taint, ...] = ()
    unschedulable: bool = False


class Status(_ClusterObject):
    """The fields to read from a node's status."""

    allocatable: dict[str, Annotated[str, BeforeValidator(_quantity)]] = Field(default_factory=dict)
    capacity: dict[str, Annotated[str, BeforeValidator(_quantity)]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _offers_something(self) -> Self:
        if not self.allocatable and not self.capacity:
            raise ValueError("allocatable (or capacity) must list the node's resources")
        return self


class Node(_ClusterObject):
    """A Node from `kubectl get`."""

    kind: Literal["Node"]
    metadata: Metadata
    spec: Spec = Spec()
    status: Status

    def node(self) -> KubeObject:
        """The node without transient fields of kubelet and cloud: heartbeats, addresses, not-ready taints."""
        taints = [each for each in self.spec.taints if not each.key.startswith("node.kubernetes.io/")]
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": self.metadata.model_dump(),
            "spec": {
                **({"taints": [each.model_dump(exclude_defaults=True) for each in taints]} if taints else {}),
                **({"unschedulable": True} if self.spec.unschedulable else {}),
            },
            "status": {"allocatable": self.status.allocatable or self.status.capacity},
        }


class NodeList(_ClusterObject):
    """The output of `kubectl get nodes -o yaml`."""

    items: tuple[Node, ...] = ()


class NodeGroup(BaseModel):
    """Several equal nodes, in the short form."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: Annotated[Dns1123Label, Field(max_length=_NAME_LENGTH)]
    count: Annotated[StrictInt, Field(ge=1, le=10_000)] = 1
    cpu: Cpu
    memory: Bytes
    disk: Bytes = "100Gi"
    labels: Mapping[LabelKey, LabelValue] = Field(default_factory=dict)
    taints: tuple[Annotated[Taint, BeforeValidator(_parsed_taint)], ...] = ()
    resources: Mapping[ResourceName, Annotated[StrictInt, Field(ge=0)]] = Field(default_factory=dict)

    def nodes(self) -> list[KubeObject]:
        """The nodes as Kubernetes objects, named `<name>-0`, `<name>-1` and so on."""
        return [self._node(f"{self.name}-{number}") for number in range(self.count)]

    def _node(self, name: str) -> KubeObject:
        extended = {resource: str(amount) for resource, amount in self.resources.items()}
        usual = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": {**usual, **self.labels}},
            "spec": {"taints": [each.model_dump(exclude_defaults=True) for each in self.taints]} if self.taints else {},
            "status": {
                "allocatable": {"cpu": self.cpu, "memory": self.memory, "ephemeral-storage": self.disk, **extended}
            },
        }


class NodeFile(BaseModel):
    """A file in the short form."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    nodes: tuple[NodeGroup, ...]


def load_nodes(path: Path | None = None) -> list[KubeObject]:
    """Reads nodes from a file, or the default ones.

    The file is in the short form (see nodes.yaml), or contains Node objects: one or several YAML documents, or a List. Only
    their labels, taints, unschedulable and allocatable resources are used.

    Raises AirisError with the file, the entry and the key.
    """
    path = path or DEFAULT
    found = documents_in(path, unreadable="pass a file that describes nodes")
    documents = [each for each in found if each is not None]
    nodes: list[KubeObject] = []
    wrong: list[str] = []
    for number, document in enumerate(documents, 1):
        place = f"document {number}: " if len(documents) > 1 else ""
        try:
            nodes += _nodes_of(document)
        except AirisError as error:
            raise AirisError(f"{path}: {error.message}", error.remedy) from None
        except ValidationError as error:
            wrong += [f"{place}{in_words(each)}" for each in error.errors()]
    if wrong:
        raise AirisError("\n  ".join([f"{path}: invalid entries:", *wrong]), f"see {DEFAULT} for the short form")
    if not nodes:
        raise AirisError(f"{path}: describes no nodes", f"see {DEFAULT} for the short form")
    names = [each["metadata"]["name"] for each in nodes]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise AirisError(f"{path}: duplicate nodes: {', '.join(twice)}")
    return nodes


def _nodes_of(document: Any) -> list[KubeObject]:
    kind = str(document.get("kind", "")) if isinstance(document, dict) else ""
    if isinstance(document, dict) and "snapshot" in document:
        raise AirisError("this is a snapshot of a cluster", "pass it with --cluster")
    if kind.endswith("List"):
        return [each.node() for each in NodeList.model_validate(document).items]
    if kind:
        return [Node.model_validate(document).node()]
    return [node for group in NodeFile.model_validate(document).nodes for node in group.nodes()]
