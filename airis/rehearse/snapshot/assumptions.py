"""Objects that a stack refers to and a rehearsal cannot check: it assumes that they exist, and lists them."""

from collections.abc import Iterator, Sequence

from airis.cluster.kubectl import KubeObject
from airis.cluster.readiness import group_of, version_of
from airis.doctor.queries import resource_of
from airis.rehearse.sandbox import definitions_for
from airis.rehearse.sandbox.cluster_objects import volume
from airis.rehearse.sandbox.control_plane import STORAGE_CLASS
from airis.rehearse.snapshot.model import Definition
from airis.rehearse.snapshot.references import ADDRESS, Need, is_defined
from airis.rehearse.snapshot.volumes import claim_with, spec_of_volume

_SIZE = "1Ti"
"""More than any claim requests."""


def assumed_definitions(stack: Sequence[KubeObject]) -> Iterator[KubeObject]:
    """Definitions of the kinds that the stack uses: the bundled ones, or definitions without a schema."""
    ours = definitions_for(stack)
    yield from ours
    known = {(each["spec"]["group"], each["spec"]["names"]["kind"]) for each in ours}
    for body in stack:
        group, kind = group_of(body), body["kind"]
        if is_defined(body) and (group, kind) not in known:
            known.add((group, kind))
            yield open_definition(
                Definition(
                    group=group,
                    kind=kind,
                    plural=resource_of(body).partition(".")[0],
                    scope="Namespaced" if "namespace" in body["metadata"] else "Cluster",
                    versions=(version_of(body),),
                )
            )


def open_definition(definition: Definition) -> KubeObject:
    """A definition that accepts any object of the kind, because its schema is unknown."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    name = f"{definition.plural}.{definition.group}"
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        # Required for API groups of Kubernetes itself
        "metadata": {"name": name, "annotations": {"api-approved.kubernetes.io": "unapproved, for rehearsals"}},
        "spec": {
            "group": definition.group,
            "names": {"kind": definition.kind, "plural": definition.plural},
            "scope": definition.scope,
            "versions": [
                {"name": each, "served": True, "storage": number == 0, "schema": {"openAPIV3Schema": schema}}
                for number, each in enumerate(definition.versions)
            ],
        },
    }


def assumed_classes(wanted: Sequence[Need]) -> Iterator[KubeObject]:
    """Classes with those names and common properties."""
    for kind, name in dict.fromkeys((each.kind, each.name) for each in wanted if each.name):
        match kind:
            case "StorageClass":
                yield {**STORAGE_CLASS, "metadata": {"name": name}}
            case "PriorityClass":
                yield {"apiVersion": "scheduling.k8s.io/v1", "kind": kind, "metadata": {"name": name}, "value": 0}
            case "RuntimeClass":
                yield {"apiVersion": "node.k8s.io/v1", "kind": kind, "metadata": {"name": name}, "handler": "assumed"}


def assumed_claims(wanted: Sequence[Need]) -> Iterator[KubeObject]:
    """Bound claims with those names."""
    for name, namespace in dict.fromkeys(
        (each.name, each.namespace) for each in wanted if each.kind == "PersistentVolumeClaim"
    ):
        body = {
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
                "resources": {"requests": {"storage": _SIZE}},
            },
        }
        called = f"{namespace}-{name}"
        yield volume(called, spec_of_volume(body), (namespace, name))
        yield claim_with(body, called)


def lines(wanted: Sequence[Need]) -> tuple[str, ...]:
    """The assumptions, one line for each kind."""
    found: dict[str, dict[str, set[str]]] = {}
    for each in wanted:
        name = each.name or "the default"
        if each.kind == ADDRESS:
            name = f"for Service {each.name}"
        elif each.kind == "Gateway":
            name = f"{each.namespace}/{each.name}"
        found.setdefault(each.kind, {}).setdefault(name, set()).update({each.key} - {""})
    return tuple(
        f"{kind} {', '.join(f'{name} ({_keys(keys)})' if keys else name for name, keys in sorted(named.items()))}"
        for kind, named in sorted(found.items())
    )


def _keys(keys: set[str]) -> str:
    return f"key{'s' if len(keys) > 1 else ''} {', '.join(sorted(keys))}"
