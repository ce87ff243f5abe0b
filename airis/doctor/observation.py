"""The observation of machine, cluster and stack, as plain values: the input of the checks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airis.cluster.connection import Address
from airis.cluster.kubectl import KubeObject
from airis.cluster.ollama_log import Compute, Ended
from airis.doctor.probe_results import Probed
from airis.doctor.registry import Answer
from airis.doctor.requirements import Requirements
from airis.doctor.this_machine import Machine


class NotChecked(Exception):
    """Raised if the observation lacks what a check needs; its text is the reason."""


@dataclass(frozen=True)
class Keys:
    """A Secret or ConfigMap without its values."""

    name: str
    type: str
    keys: frozenset[str]


@dataclass(frozen=True)
class Owned:
    """An existing object with the name of one of the stack's, and who applied it."""

    kind: str
    name: str
    managers: frozenset[str]
    """All its field managers."""

    @property
    def deployed(self) -> bool:
        """Whether Pulumi created it, or `airis adopt` handed it over (field manager `airis`)."""
        return any(each.startswith("pulumi") or each == "airis" for each in self.managers)


@dataclass(frozen=True)
class Right:
    """Whether the user has a permission."""

    verb: str
    resource: str
    """With its group, as `deployments.apps`."""
    allowed: bool


@dataclass(frozen=True)
class Killed:
    """What one pod of Ollama reports about models whose servers have ended."""

    kills: int | None
    """Processes that the kernel killed for memory; None if that could not be read."""
    servers: Sequence[tuple[str, Ended]]
    """The models' names, if known, and what the log reports about each."""


@dataclass(frozen=True)
class Server:
    """What was read from a cluster."""

    version: str = ""
    """As `v1.34.1`."""
    client: str = ""
    """Version of kubectl."""
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Served versions, by API group."""
    objects: Mapping[str, Sequence[KubeObject]] = field(default_factory=dict)
    """Objects of the whole cluster, by resource."""
    own: Mapping[str, Sequence[KubeObject]] = field(default_factory=dict)
    """Objects of the stack's namespace, by resource."""
    unknown: Mapping[str, str] = field(default_factory=dict)
    """What could not be read, and why."""
    secrets: Sequence[Keys] = ()
    config_maps: Sequence[Keys] = ()
    owned: Sequence[Owned] = ()
    rights: Sequence[Right] = ()
    trials: Mapping[str, str] = field(default_factory=dict)
    """Why the API server rejects a pod of each workload, by the workload's name; empty if it admits the pod."""
    fill: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Used bytes and capacity, by claim."""
    memory: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Bytes of memory in use, by pod and container."""
    inside: Mapping[str, Any] = field(default_factory=dict)
    """The output of webui_script.py in a pod of the WebUI."""
    computing: Mapping[str, Compute | None] = field(default_factory=dict)
    """The devices that each Ollama pod with GPUs computes on; None if its log does not tell."""
    killed: Mapping[str, Killed] = field(default_factory=dict)
    """What each pod of Ollama reports about models whose servers have ended."""


@dataclass(frozen=True)
class Observation:
    """Everything that was observed."""

    machine: Machine
    address: Address | None = None
    """The configured cluster; None if none is configured."""
    silence: str = ""
    """kubectl's message if the cluster does not answer; without an address, why the configuration is unusable."""
    server: Server | None = None
    wanted: Requirements | None = None
    identity: str = ""
    """How the cluster differs from the one that the stack is pinned to."""
    resolved: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Addresses by host name; empty for a name that does not resolve."""
    images: Mapping[str, Answer] = field(default_factory=dict)
    """The registries' answers about the stack's images."""
    probed: Probed | None = None
    """The results of the probe pods; None without --probe."""

    @property
    def cluster(self) -> Server:
        """The cluster. Raises NotChecked if it does not answer."""
        if self.server is None:
            raise NotChecked("The cluster does not answer.")
        return self.server

    @property
    def stack(self) -> Requirements:
        """The named stack. Raises NotChecked without one."""
        if self.wanted is None:
            raise NotChecked("No stack is named.")
        return self.wanted

    @property
    def probe(self) -> Probed:
        """The results of the probe pods. Raises NotChecked without --probe."""
        if self.probed is None:
            raise NotChecked("--probe was not given.")
        return self.probed

    def all(self, resource: str) -> Sequence[KubeObject]:
        """The objects of the whole cluster. Raises NotChecked if they could not be listed."""
        return self._objects(self.cluster.objects, resource)

    def own(self, resource: str) -> Sequence[KubeObject]:
        """The objects of the stack's namespace. Raises NotChecked if they could not be listed."""
        if resource in self.cluster.own:
            return self.cluster.own[resource]
        if resource in self.cluster.objects:
            wanted = self.stack.namespace
            return [each for each in self.cluster.objects[resource] if each["metadata"].get("namespace") == wanted]
        return self._objects(self.cluster.own, resource)

    def known(self, what: str) -> None:
        """Raises NotChecked if `what` could not be read."""
        if what in self.cluster.unknown:
            raise NotChecked(self.cluster.unknown[what])

    @property
    def deployed(self) -> bool:
        """Whether a workload of the stack is in the cluster."""
        if self.wanted is None or self.server is None:
            return False
        live = {
            (each["kind"], each["metadata"]["name"])
            for resource in ("deployments.apps", "statefulsets.apps")
            for each in self.server.own.get(resource, ())
        }
        return any((each.kind, each.name) in live for each in self.wanted.workloads)

    def pods(self) -> list[KubeObject]:
        """The stack's pods that have not ended."""
        return [
            pod
            for pod in self.own("pods")
            if any(each.owns(pod) for each in self.stack.workloads)
            and pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")
        ]

    def _objects(self, objects: Mapping[str, Sequence[KubeObject]], resource: str) -> Sequence[KubeObject]:
        self.known(resource)
        if resource not in objects:
            raise NotChecked(f"{resource} were not listed.")
        return objects[resource]


def minor(version: str) -> tuple[int, int]:
    """Major and minor of a Kubernetes version such as `v1.34.1-gke.100`."""
    parts = version.removeprefix("v").split(".")
    try:
        return int(parts[0]), int("".join(c for c in parts[1] if c.isdigit()))
    except (IndexError, ValueError):
        return 0, 0


def name_of(body: KubeObject) -> str:
    """The name of an object."""
    return str(body["metadata"]["name"])


def named(objects: Sequence[KubeObject], name: str) -> KubeObject | None:
    """The object with that name."""
    return next((each for each in objects if name_of(each) == name), None)


def is_default(body: KubeObject, annotation: str) -> bool:
    """Whether a class is the default of its kind."""
    return bool((body["metadata"].get("annotations") or {}).get(annotation) == "true")
