"""What stands around stacks in a rehearsal: what is put into the sandbox, what is known to be missing, what is assumed."""

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
    """Around one or several stacks that are rehearsed together."""

    definitions: tuple[KubeObject, ...] = ()
    """Of kinds that a bare API server does not know."""
    objects: tuple[KubeObject, ...] = ()
    """What is in the cluster before the stacks come."""
    replaces: bool = False
    """Whether `objects` are in the place of the sandbox's own: a snapshot was given."""
    later: tuple[KubeObject, ...] = ()
    """What is assumed in the stacks' own namespaces: it can be made when these are there."""
    lacks: tuple[Lack, ...] = ()
    unprovisioned: frozenset[tuple[str, str]] = frozenset()
    """Claims, by namespace and name, that their provisioner makes no volume for."""
    assumed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By stack: what it refers to and nobody has looked for, a line for each kind."""
    notes: tuple[str, ...] = ()
    """What is not rehearsed, or not as in the cluster."""


def without_snapshot(stacks: Mapping[str, Sequence[KubeObject]]) -> Surroundings:
    """Everything that the stacks refer to is assumed to be there."""
    wanted = {name: needs(objects) for name, objects in stacks.items()}
    everything = [body for objects in stacks.values() for body in objects]
    every = list(dict.fromkeys(need for found in wanted.values() for need in found))
    return Surroundings(
        definitions=tuple(assumed_definitions(everything)),
        objects=tuple(assumed_classes(every)),
        later=tuple(assumed_claims(every)),
        # The default class is the sandbox's own, and its claims show whether it works
        assumed={
            name: lines([each for each in found if each.kind != "StorageClass" or each.name])
            for name, found in wanted.items()
        },
    )


def of_snapshot(stacks: Mapping[str, Sequence[KubeObject]], snapshot: Snapshot, today: date) -> Surroundings:
    """What the cluster of the snapshot has; what the snapshot does not tell is assumed."""
    everything = [body for objects in stacks.values() for body in objects]
    judged = {name: sorted_out(objects, snapshot) for name, objects in stacks.items()}
    lacks = tuple(dict.fromkeys(lack for found, _ in judged.values() for lack in found))
    unknown = list(dict.fromkeys(need for _, found in judged.values() for need in found))
    claims = frozenset(each.by[1:] for each in lacks if each.by[0] == "PersistentVolumeClaim")
    nodes = () if snapshot.knows("nodes") else ("Nodes: the sandbox's own",)
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
        yield f"the snapshot is {days} days old, of {snapshot.taken}: take it anew with `airis snapshot`"
    if minor(snapshot.server) not in ((0, 0), minor(here := versions()["k8s.io/kubernetes"])):
        yield f"the cluster is Kubernetes {snapshot.server}, the rehearsal's control plane {here}"
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
            f"the cluster's DNS domain is {snapshot.domain}, and pods look for names in {', '.join(others)} "
            "(airis:clusterDomain)"
        )


def _domains(stack: Sequence[KubeObject]) -> set[str]:
    """DNS domains of clusters that the pods' variables name."""
    pods = [pod_of(each) for each in stack]
    containers = [each for pod in pods for part in ("initContainers", "containers") for each in pod.get(part) or []]
    values = [str(variable.get("value", "")) for each in containers for variable in each.get("env") or []]
    return {found["domain"] for value in values for found in _DOMAIN.finditer(value)}
