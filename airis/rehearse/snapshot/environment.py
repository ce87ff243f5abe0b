"""The environment of stacks in a rehearsal: objects for the sandbox, known gaps, and assumptions."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from airis.cluster.kubectl import KubeObject
from airis.cluster.programs.binaries import versions
from airis.doctor.observation import minor
from airis.rehearse.snapshot.assumptions import assumed_claims, assumed_classes, assumed_definitions, lines
from airis.rehearse.snapshot.missing import Lack, sorted_out
from airis.rehearse.snapshot.model import Snapshot
from airis.rehearse.snapshot.references import needs, pod_of
from airis.rehearse.snapshot.sandbox_objects import definitions_of, objects_of, takes_parameters

_DOMAIN = re.compile(r"\.svc\.(?P<domain>[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)")


@dataclass(frozen=True)
class Surroundings:
    """The environment of one or several stacks that are rehearsed together."""

    definitions: tuple[KubeObject, ...] = ()
    """CustomResourceDefinitions that the stacks need."""
    objects: tuple[KubeObject, ...] = ()
    """The objects that are in the cluster before the stacks."""
    replaces: bool = False
    """Whether `objects` replace the sandbox's defaults, because a snapshot was given."""
    later: tuple[KubeObject, ...] = ()
    """Assumed objects in the stacks' namespaces, to be created once these exist."""
    lacks: tuple[Lack, ...] = ()
    unprovisioned: frozenset[tuple[str, str]] = frozenset()
    """Claims, by namespace and name, that their provisioner cannot provision."""
    assumed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By stack: references that were not checked, one line for each kind."""
    notes: tuple[str, ...] = ()
    """What is not rehearsed, or differs from the cluster."""


def without_snapshot(stacks: Mapping[str, Sequence[KubeObject]]) -> Surroundings:
    """The environment if everything that the stacks refer to is assumed to exist."""
    wanted = {name: needs(objects) for name, objects in stacks.items()}
    everything = [body for objects in stacks.values() for body in objects]
    every = list(dict.fromkeys(need for found in wanted.values() for need in found))
    return Surroundings(
        definitions=tuple(assumed_definitions(everything)),
        objects=tuple(assumed_classes(every)),
        later=tuple(assumed_claims(every)),
        # The sandbox has a default class, so that reference is rehearsed
        assumed={
            name: lines([each for each in found if each.kind != "StorageClass" or each.name])
            for name, found in wanted.items()
        },
    )


def of_snapshot(stacks: Mapping[str, Sequence[KubeObject]], snapshot: Snapshot, today: date) -> Surroundings:
    """The environment from a snapshot; what the snapshot does not contain is assumed."""
    everything = [body for objects in stacks.values() for body in objects]
    judged = {name: sorted_out(objects, snapshot) for name, objects in stacks.items()}
    lacks = tuple(dict.fromkeys(lack for found, _ in judged.values() for lack in found))
    unknown = list(dict.fromkeys(need for _, found in judged.values() for need in found))
    claims = frozenset(each.by[1:] for each in lacks if each.by[0] == "PersistentVolumeClaim")
    nodes = () if snapshot.knows("nodes") else ("Nodes: the sandbox's default ones",)
    return Surroundings(
        definitions=tuple(definitions_of(everything, snapshot)),
        objects=(*objects_of(snapshot, everything), *assumed_classes(unknown)),
        replaces=True,
        later=tuple(assumed_claims(unknown)),
        lacks=lacks,
        unprovisioned=claims,
        assumed={name: (*nodes, *lines(found)) for name, (_, found) in judged.items()},
        notes=tuple(_notes(snapshot, everything, today)),
    )


def _notes(snapshot: Snapshot, stack: Sequence[KubeObject], today: date) -> Iterator[str]:
    days = (today - snapshot.taken).days
    if snapshot.is_old(today):
        yield f"the snapshot is {days} days old ({snapshot.taken}): take a new one with `airis snapshot`"
    if minor(snapshot.server) not in ((0, 0), minor(here := versions()["k8s.io/kubernetes"])):
        yield f"the cluster runs Kubernetes {snapshot.server}, the sandbox {here}"
    if snapshot.webhooks:
        yield f"not rehearsed, admission webhooks: {', '.join(snapshot.webhooks)}"
    if policies := sorted(
        f"{each['kind']}/{each['metadata']['name']}"
        for each in snapshot.objects
        if each["kind"].endswith("AdmissionPolicy") and takes_parameters(each, snapshot)
    ):
        yield f"not rehearsed, policies with parameters: {', '.join(policies)}"
    if snapshot.network.policies == "not enforced" and any(each["kind"] == "NetworkPolicy" for each in stack):
        yield f"NetworkPolicies have no effect in the cluster: {snapshot.network.plugin} does not enforce them"
    if snapshot.domain and (others := sorted(_domains(stack) - {snapshot.domain})):
        yield (
            f"the cluster's DNS domain is {snapshot.domain}, but pods use names in {', '.join(others)} (airis:clusterDomain)"
        )


def _domains(stack: Sequence[KubeObject]) -> set[str]:
    """The cluster DNS domains in the pods' environment variables."""
    pods = [pod_of(each) for each in stack]
    containers = [each for pod in pods for part in ("initContainers", "containers") for each in pod.get(part) or []]
    values = [str(variable.get("value", "")) for each in containers for variable in each.get("env") or []]
    return {found["domain"] for value in values for found in _DOMAIN.finditer(value)}
