"""Nodes for the sandbox: the default ones, a short description, or what `kubectl get nodes -o yaml` says of a real cluster."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, ValidationError

from airis.errors import AirisError
from airis.kubectl import KubeObject
from settings.names import Dns1123Label, LabelKey, LabelValue, ResourceName
from settings.quantity import Bytes, Cpu

DEFAULT = Path(__file__).with_name("nodes.yaml")

_TAINT = re.compile(r"(?P<key>[^=:]+)(?:=(?P<value>[^:]*))?:(?P<effect>NoSchedule|PreferNoSchedule|NoExecute)")


def _taint(given: object) -> object:
    if not isinstance(given, str) or not (match := _TAINT.fullmatch(given)):
        raise ValueError("a taint as kubectl writes it: key=value:NoSchedule, key:NoSchedule, ...")
    return {name: part for name, part in match.groupdict().items() if part}


class NodeGroup(BaseModel):
    """Some nodes of one kind, in the short form."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: Dns1123Label
    count: Annotated[StrictInt, Field(ge=1, le=10_000)] = 1
    cpu: Cpu
    memory: Bytes
    labels: Mapping[LabelKey, LabelValue] = Field(default_factory=dict)
    taints: tuple[Annotated[dict[str, str], BeforeValidator(_taint)], ...] = ()
    resources: Mapping[ResourceName, Annotated[StrictInt, Field(ge=0)]] = Field(default_factory=dict)

    def nodes(self) -> list[KubeObject]:
        """The nodes as Kubernetes objects, named `<name>-0` and on."""
        return [self._node(f"{self.name}-{number}") for number in range(self.count)]

    def _node(self, name: str) -> KubeObject:
        extended = {resource: str(amount) for resource, amount in self.resources.items()}
        usual = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": {**usual, **self.labels}},
            "spec": {"taints": list(self.taints)} if self.taints else {},
            "status": {"allocatable": {"cpu": self.cpu, "memory": self.memory, **extended}},
        }


class NodeFile(BaseModel):
    """A file in the short form."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    nodes: Annotated[tuple[NodeGroup, ...], Field(min_length=1)]


def load_nodes(path: Path | None = None) -> list[KubeObject]:
    """Reads nodes from a file, or the default ones.

    The file is in the short form (see airis/sandbox/nodes.yaml), or holds Node objects: one or several YAML documents, or a
    List. Of those, labels, annotations, taints and allocatable resources count; what a kubelet or a cloud writes is left out.

    Raises AirisError with the file, the entry and the key.
    """
    path = path or DEFAULT
    try:
        documents = [each for each in yaml.safe_load_all(path.read_text(encoding="utf-8")) if each is not None]
    except OSError as error:
        raise AirisError(f"{path}: {error.strerror}", "name a file that describes nodes") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise AirisError(f"{path}: it is not YAML: {' '.join(str(error).split())}") from None
    short = any(isinstance(each, Mapping) and "kind" not in each for each in documents)
    nodes = _short_form(path, documents) if short else _node_objects(path, documents)
    if not nodes:
        raise AirisError(f"{path}: it describes no node", f"see {DEFAULT.name} for the form")
    names = [each["metadata"]["name"] for each in nodes]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise AirisError(f"{path}: these nodes stand in it twice: {', '.join(twice)}")
    return nodes


def _short_form(path: Path, documents: list[Any]) -> list[KubeObject]:
    if len(documents) > 1:
        raise AirisError(f"{path}: the short form is one document, with the key nodes")
    try:
        groups = NodeFile.model_validate(documents[0]).nodes
    except ValidationError as error:
        lines = [f"{_place(each['loc'])}: {each['msg'].removeprefix('Value error, ')}" for each in error.errors()]
        raise AirisError(
            "\n".join([f"{path}: {len(lines)} entries are wrong", *(f"  {line}" for line in lines)])
        ) from None
    return [node for group in groups for node in group.nodes()]


def _place(location: tuple[str | int, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).removeprefix(".")


def _node_objects(path: Path, documents: list[Any]) -> list[KubeObject]:
    items = [
        item
        for each in documents
        if isinstance(each, Mapping)
        for item in (each.get("items") or [] if str(each.get("kind")).endswith("List") else [each])
    ]
    return [_bare_node(path, number, item) for number, item in enumerate(items)]


def _bare_node(path: Path, number: int, item: Any) -> KubeObject:
    try:
        if item["kind"] != "Node":
            raise AirisError(f"{path}: entry {number} is a {item['kind']}, not a Node")
        metadata, spec, status = item["metadata"], item.get("spec") or {}, item.get("status") or {}
        resources = dict(status.get("allocatable") or status["capacity"])
        kept = {key: spec[key] for key in ("taints", "unschedulable") if key in spec}
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": str(metadata["name"]), "labels": dict(metadata.get("labels") or {})},
            "spec": {**kept, **({"taints": _without_times(kept["taints"])} if "taints" in kept else {})},
            "status": {"allocatable": {name: str(amount) for name, amount in resources.items()}},
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise AirisError(
            f"{path}: entry {number} is not a whole Node: {type(error).__name__} {error}",
            "it needs metadata.name, and status.allocatable or status.capacity",
        ) from None


def _without_times(taints: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Taints without the times at which they were set, and without those of nodes that were not ready just then."""
    return [
        {key: value for key, value in taint.items() if key != "timeAdded"}
        for taint in taints
        if not str(taint.get("key", "")).startswith("node.kubernetes.io/")
    ]
