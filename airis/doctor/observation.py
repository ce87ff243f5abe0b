"""One look at machine, cluster and stack, as plain values: what the checks are functions of."""

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
    """Raised where the observation does not tell what a check asks for; its text says why."""


@dataclass(frozen=True)
class Keys:
    """A Secret or ConfigMap without its values."""

    name: str
    type: str
    keys: frozenset[str]


@dataclass(frozen=True)
class Owned:
    """An object that has a name of the stack's: who applied it."""

    kind: str
    name: str
    managers: frozenset[str]
    """Everybody who owns fields of it."""

    @property
    def deployed(self) -> bool:
        """Whether Pulumi has made it, or has been handed it by `airis adopt`, under the name `airis`."""
        return any(each.startswith("pulumi") or each == "airis" for each in self.managers)


@dataclass(frozen=True)
class Right:
    """Whether something may be done."""

    verb: str
    resource: str
    """With its group, as `deployments.apps`."""
    allowed: bool


@dataclass(frozen=True)
class Killed:
    """What one pod of Ollama says of models whose servers have ended."""

    kills: int | None
    """Processes that the kernel has killed for memory; None where it could not be read."""
    servers: Sequence[tuple[str, Ended]]
    """The models by their names, as far as these are known, with what the log says of them."""


@dataclass(frozen=True)
class Server:
    """What a cluster says of itself."""

    version: str = ""
    """As `v1.34.1`."""
    client: str = ""
    """Version of kubectl."""
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Versions that are served, by API group."""
    objects: Mapping[str, Sequence[KubeObject]] = field(default_factory=dict)
    """Objects by resource: of the whole cluster."""
    own: Mapping[str, Sequence[KubeObject]] = field(default_factory=dict)
    """Objects by resource: of the stack's namespace."""
    unknown: Mapping[str, str] = field(default_factory=dict)
    """What could not be asked for, and why."""
    secrets: Sequence[Keys] = ()
    config_maps: Sequence[Keys] = ()
    owned: Sequence[Owned] = ()
    rights: Sequence[Right] = ()
    trials: Mapping[str, str] = field(default_factory=dict)
    """What the API server says of a pod of each workload, by its name; an empty text if it would take it."""
    fill: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Bytes used and there are, by claim."""
    memory: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Bytes of memory in use, by pod and container."""
    inside: Mapping[str, Any] = field(default_factory=dict)
    """What a pod of the WebUI says (see webui_script.py)."""
    computing: Mapping[str, Compute | None] = field(default_factory=dict)
    """On what each pod of Ollama computes that has GPUs; None where its log does not tell."""
    killed: Mapping[str, Killed] = field(default_factory=dict)
    """What each pod of Ollama says of models whose servers have ended."""


@dataclass(frozen=True)
class Observation:
    """Everything that was seen."""

    machine: Machine
    address: Address | None = None
    """Where the configuration leads; None where no cluster is configured."""
    silence: str = ""
    """Why the cluster does not answer, in kubectl's words; without an address, why the configuration leads to none."""
    server: Server | None = None
    wanted: Requirements | None = None
    identity: str = ""
    """How the cluster differs from the one that the stack belongs to."""
    resolved: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Addresses by host name; none for a name that nobody knows."""
    images: Mapping[str, Answer] = field(default_factory=dict)
    """What the registries say of the stack's images."""
    probed: Probed | None = None
    """What short pods have tried; None where nobody asked for that."""

    @property
    def cluster(self) -> Server:
        """The cluster, which answers."""
        if self.server is None:
            raise NotChecked("The cluster does not answer.")
        return self.server

    @property
    def stack(self) -> Requirements:
        """The stack that was named."""
        if self.wanted is None:
            raise NotChecked("No stack is named.")
        return self.wanted

    @property
    def probe(self) -> Probed:
        """What short pods have tried."""
        if self.probed is None:
            raise NotChecked("--probe was not given.")
        return self.probed

    def all(self, resource: str) -> Sequence[KubeObject]:
        """The objects of the whole cluster. Raises NotChecked where they could not be listed."""
        return self._objects(self.cluster.objects, resource)

    def own(self, resource: str) -> Sequence[KubeObject]:
        """The objects of the stack's namespace. Raises NotChecked where they could not be listed."""
        if resource in self.cluster.own:
            return self.cluster.own[resource]
        if resource in self.cluster.objects:
            wanted = self.stack.namespace
            return [each for each in self.cluster.objects[resource] if each["metadata"].get("namespace") == wanted]
        return self._objects(self.cluster.own, resource)

    def known(self, what: str) -> None:
        """Raises NotChecked where `what` could not be asked for."""
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
            raise NotChecked(f"{resource} were not asked for.")
        return objects[resource]


def minor(version: str) -> tuple[int, int]:
    """Major and minor of a version of Kubernetes, such as `v1.34.1-gke.100`."""
    parts = version.removeprefix("v").split(".")
    try:
        return int(parts[0]), int("".join(c for c in parts[1] if c.isdigit()))
    except (IndexError, ValueError):
        return 0, 0


def name_of(body: KubeObject) -> str:
    """The name of an object."""
    return str(body["metadata"]["name"])


def named(objects: Sequence[KubeObject], name: str) -> KubeObject | None:
    """The one of that name."""
    return next((each for each in objects if name_of(each) == name), None)


def is_default(body: KubeObject, annotation: str) -> bool:
    """Whether a class is the default of its kind."""
    return bool((body["metadata"].get("annotations") or {}).get(annotation) == "true")


def condition(body: KubeObject, kind: str) -> Mapping[str, Any]:
    """A condition of the object's status; empty if there is none."""
    conditions = (body.get("status") or {}).get("conditions") or []
    return next((each for each in conditions if each["type"] == kind), {})
