"""What a stack needs from a cluster, derived from its objects."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any

from airis.cluster.kubectl import KubeObject
from settings.stack import StackSettings

_SUFFIXES = {"n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "k": Decimal(1000)}
_SUFFIXES |= {each: Decimal(1000) ** power for power, each in enumerate("MGTPE", 2)}
_SUFFIXES |= {f"{each}i": Decimal(1024) ** power for power, each in enumerate("KMGTPE", 1)}


def amount(quantity: object) -> Decimal:
    """A Kubernetes quantity as a number: cores, bytes or a count. Source: apimachinery, pkg/api/resource/quantity.go."""
    text = str(quantity)
    for suffix in sorted(_SUFFIXES, key=len, reverse=True):
        if text.endswith(suffix):
            return Decimal(text.removesuffix(suffix)) * _SUFFIXES[suffix]
    return Decimal(text)


Amounts = dict[str, Decimal]
"""Amounts by resource."""


def added(*each: Mapping[str, Decimal]) -> Amounts:
    """The sum by resource."""
    total: Amounts = {}
    for one in each:
        for key, value in one.items():
            total[key] = total.get(key, Decimal(0)) + value
    return total


def asked(pod: Mapping[str, Any], what: str = "requests") -> Amounts:
    """The requests (or limits) of one pod: the sum of its containers, or its largest init container.

    Source: Kubernetes, "Init containers: resource sharing". A limit without a request is also the request.
    """

    def of(container: Mapping[str, Any]) -> Amounts:
        resources = container.get("resources") or {}
        given = resources.get(what) or {}
        if what == "requests":
            given = {**(resources.get("limits") or {}), **given}
        return {key: amount(value) for key, value in given.items()}

    init = pod.get("initContainers") or []
    sidecars = [of(each) for each in init if each.get("restartPolicy") == "Always"]
    together = added(*sidecars, *map(of, pod.get("containers") or []))
    for each in init:
        if each.get("restartPolicy") != "Always":
            for key, value in of(each).items():
                together[key] = max(together.get(key, Decimal(0)), value)
    return together


@dataclass(frozen=True)
class Workload:
    """An object that creates pods."""

    kind: str
    name: str
    replicas: int
    labels: Mapping[str, str]
    """Labels of its pods."""
    selector: Mapping[str, str]
    """The selector's labels; empty for a Job, whose selector is generated."""
    pod: Mapping[str, Any]
    """The spec of its pods."""
    claims: Sequence[KubeObject]
    """Its claim templates."""

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"

    def owns(self, pod: KubeObject) -> bool:
        """Whether a pod in the stack's namespace belongs to it."""
        labels = pod["metadata"].get("labels") or {}
        if self.kind == "Job":
            return bool(labels.get("batch.kubernetes.io/job-name", labels.get("job-name")) == self.name)
        return self.selector.items() <= labels.items()


@dataclass(frozen=True)
class Reference:
    """A Secret or ConfigMap that pods refer to, and that the stack does not create."""

    kind: str
    name: str
    key: str = ""
    """The required key; any if empty."""
    optional: bool = False
    volume: str = field(default="", compare=False)
    """The volume that mounts it; empty for a variable."""

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True)
class Requirements:
    """A stack's settings and its objects as plain manifests."""

    name: str
    settings: StackSettings
    objects: Sequence[KubeObject]
    upserts: bool = False
    """Whether Pulumi may overwrite existing objects (`kubernetes:upsertExistingObjects`)."""

    @property
    def namespace(self) -> str:
        """The stack's namespace."""
        return self.settings.namespace

    def of_kind(self, *kinds: str) -> list[KubeObject]:
        """The objects of these kinds."""
        return [each for each in self.objects if each["kind"] in kinds]

    def makes(self, kind: str, name: str) -> bool:
        """Whether the stack creates that object."""
        return any(each["metadata"]["name"] == name for each in self.of_kind(kind))

    @cached_property
    def workloads(self) -> list[Workload]:
        """The objects that create pods."""
        least = {
            each["spec"]["scaleTargetRef"]["name"]: each["spec"].get("minReplicas", 1)
            for each in self.of_kind("HorizontalPodAutoscaler")
        }
        return [
            Workload(
                kind=each["kind"],
                name=(name := each["metadata"]["name"]),
                replicas=int(each["spec"].get("replicas", least.get(name, 1))),
                labels=each["spec"]["template"]["metadata"].get("labels") or {},
                selector=(each["spec"].get("selector") or {}).get("matchLabels") or {},
                pod=each["spec"]["template"]["spec"],
                claims=each["spec"].get("volumeClaimTemplates") or [],
            )
            for each in self.objects
            if "template" in (each.get("spec") or {})
            and each["kind"] in ("Deployment", "StatefulSet", "Job", "DaemonSet")
        ]

    @cached_property
    def images(self) -> dict[str, list[Workload]]:
        """The images of all containers, each with the workloads that use it."""
        found: dict[str, list[Workload]] = {}
        for workload in self.workloads:
            for each in [*(workload.pod.get("initContainers") or []), *(workload.pod.get("containers") or [])]:
                users = found.setdefault(str(each["image"]), [])
                if workload not in users:
                    users.append(workload)
        return found

    @cached_property
    def pull_secrets(self) -> list[str]:
        """Pull secrets that the stack does not create."""
        sources = [each.pod for each in self.workloads] + self.of_kind("ServiceAccount")
        named = [ref["name"] for source in sources for ref in source.get("imagePullSecrets") or []]
        return [each for each in dict.fromkeys(named) if not self.makes("Secret", each)]

    @cached_property
    def references(self) -> list[Reference]:
        """References of the pods to Secrets and ConfigMaps that the stack does not create, one per key."""
        found = [ref for workload in self.workloads for ref in references_of(workload.pod)]
        return [each for each in dict.fromkeys(found) if not self.makes(each.kind, each.name)]

    @cached_property
    def tls_secrets(self) -> list[str]:
        """Secrets with certificates that must exist because no issuer creates them."""
        tls = self.settings.ingress.tls
        if tls is None or tls.issuers:
            return []
        named = [each.get("secretName") for one in self.of_kind("Ingress") for each in one["spec"].get("tls") or []]
        return [each for each in dict.fromkeys(named) if each]

    @cached_property
    def claims(self) -> list[KubeObject]:
        """The claims that the stack creates."""
        return self.of_kind("PersistentVolumeClaim")

    @cached_property
    def existing_claims(self) -> list[str]:
        """Claims that pods mount, and that the stack does not create."""
        mounted = [
            volume["persistentVolumeClaim"]["claimName"]
            for workload in self.workloads
            for volume in workload.pod.get("volumes") or []
            if "persistentVolumeClaim" in volume
        ]
        return [each for each in dict.fromkeys(mounted) if not self.makes("PersistentVolumeClaim", each)]

    @cached_property
    def hosts(self) -> list[str]:
        """The WebUI's host names, without wildcards."""
        gateway = self.settings.gateway.hosts if self.settings.gateway else ()
        return [each for each in dict.fromkeys([*self.settings.ingress.all_hosts, *gateway]) if "*" not in each]


def references_of(pod: Mapping[str, Any]) -> Iterator[Reference]:
    """The Secrets and ConfigMaps that a pod spec refers to, one per key, without pull secrets."""
    for container in [*(pod.get("initContainers") or []), *(pod.get("containers") or [])]:
        for variable in container.get("env") or []:
            source = variable.get("valueFrom") or {}
            for one, kind in (("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")):
                if ref := source.get(one):
                    yield Reference(kind, ref["name"], ref["key"], bool(ref.get("optional")))
        for source in container.get("envFrom") or []:
            for one, kind in (("secretRef", "Secret"), ("configMapRef", "ConfigMap")):
                if ref := source.get(one):
                    yield Reference(kind, ref["name"], "", bool(ref.get("optional")))
    for volume in pod.get("volumes") or []:
        for source in (volume, *((volume.get("projected") or {}).get("sources") or ())):
            yield from _mounted(source, volume["name"])


def _mounted(volume: Mapping[str, Any], called: str) -> Iterator[Reference]:
    for source_field, kind, named in (
        ("secret", "Secret", "secretName"),
        ("secret", "Secret", "name"),
        ("configMap", "ConfigMap", "name"),
    ):
        source = volume.get(source_field) or {}
        if name := source.get(named):
            for key in [each["key"] for each in source.get("items") or []] or [""]:
                yield Reference(kind, name, key, bool(source.get("optional")), called)
