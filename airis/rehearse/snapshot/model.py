"""The snapshot as data, and as a YAML file: sorted, so that a diff of two snapshots shows changes of the cluster."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictStr, ValidationError
from pydantic.alias_generators import to_camel

from airis.cluster.kubectl import KubeObject
from airis.rehearse.snapshot.kept_fields import KEPT, metadata_of
from airis.stack_file.yaml_writer import dump
from airis.terminal.errors import AirisError
from airis.terminal.input_files import documents_in, in_words

VERSION: Literal[1] = 1
"""Version of the file. Adding keys keeps it; renaming or removing keys increments it."""

OLD_DAYS = 31
"""A rehearsal notes that an older snapshot is old."""

_REMEDY = "`airis snapshot > FILE` writes one; for a file with only nodes, use --nodes"
_HEAD = """\
# A snapshot of a cluster by `airis snapshot`, without values of Secrets and ConfigMaps. docs/snapshot.md describes it.
"""


def _kept_kind(given: Mapping[str, Any]) -> Mapping[str, Any]:
    name = given.get("metadata", {}).get("name") if isinstance(given.get("metadata"), Mapping) else None
    if not (isinstance(given.get("apiVersion"), str) and isinstance(given.get("kind"), str) and isinstance(name, str)):
        raise ValueError("must be a Kubernetes object with apiVersion, kind and metadata.name")
    kinds = [each.kind for each in KEPT.values()]
    if given["kind"] not in kinds:
        raise ValueError(f"a snapshot cannot contain {given['kind']}, only {', '.join(kinds)}")
    return given


class _Part(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, alias_generator=to_camel, populate_by_name=True
    )


class Addresses(_Part):
    """Whether the cluster assigns addresses to Services of type LoadBalancer."""

    given: Literal["yes", "no", "unknown"]
    evidence: str
    """How that was determined."""


class Network(_Part):
    """The network plugin."""

    plugin: str
    """Its name, or why it is unknown."""
    policies: Literal["enforced", "not enforced", "unknown"]
    """Whether it enforces NetworkPolicies."""


class Held(_Part):
    """A Secret or ConfigMap, without its values."""

    namespace: str
    name: str
    type: str = ""
    """The type of a Secret."""
    keys: tuple[StrictStr, ...] = ()


class Definition(_Part):
    """A kind from a CustomResourceDefinition, with its served versions."""

    group: str
    kind: str
    plural: str
    scope: Literal["Namespaced", "Cluster"]
    versions: tuple[str, ...]


class Snapshot(_Part):
    """What a rehearsal needs to know about a cluster."""

    snapshot: Literal[1] = VERSION
    """Version of the file."""
    taken: date
    server: str
    """Version of the API server."""
    namespaces: tuple[str, ...]
    """The namespaces that were read. Those without a Namespace object do not exist."""
    domain: str | None
    """The cluster's DNS domain; null if unknown."""
    network: Network
    load_balancers: Addresses
    unknown: dict[str, str] = Field(default_factory=dict)
    """What could not be read, and why: by resource, or `NAMESPACE/RESOURCE` for namespaced ones."""
    webhooks: tuple[str, ...] = ()
    """Admission webhooks, by kind and name."""
    definitions: tuple[Definition, ...] = ()
    secrets: tuple[Held, ...] = ()
    config_maps: tuple[Held, ...] = ()
    objects: tuple[Annotated[Mapping[str, Any], AfterValidator(_kept_kind)], ...] = ()
    """Kubernetes objects, with only the fields that a rehearsal needs (see kept_fields.py)."""

    def of_kind(self, kind: str, namespace: str = "") -> list[KubeObject]:
        """The objects of a kind; for namespaced kinds, in that namespace."""
        return [
            each for each in self.objects if each["kind"] == kind and each["metadata"].get("namespace", "") == namespace
        ]

    def knows(self, resource: str, namespace: str = "") -> bool:
        """Whether the snapshot has all objects of a resource, in a namespace or the cluster."""
        if namespace:
            return namespace in self.namespaces and f"{namespace}/{resource}" not in self.unknown
        return resource not in self.unknown

    def is_old(self, today: date) -> bool:
        """Whether it was taken more than a month ago."""
        return (today - self.taken).days > OLD_DAYS


def load_snapshot(path: Path) -> Snapshot:
    """Reads a snapshot. Raises AirisError with the file and the invalid entries."""
    documents = documents_in(path, unreadable=_REMEDY, remedy=_REMEDY)
    document = documents[0] if len(documents) == 1 else None
    if not isinstance(document, dict) or "snapshot" not in document:
        raise AirisError(f"{path}: this is not a snapshot of a cluster", _REMEDY)
    if document["snapshot"] != VERSION:
        raise AirisError(
            f"{path}: the snapshot has version {document['snapshot']!r}, but this airis reads version {VERSION}",
            _REMEDY,
        )
    try:
        return Snapshot.model_validate(document)
    except ValidationError as error:
        wrong = [in_words(each) for each in error.errors()]
        raise AirisError("\n  ".join([f"{path}: invalid entries:", *wrong]), _REMEDY) from None


def written(snapshot: Snapshot) -> str:
    """The snapshot as YAML; equal clusters give equal files."""
    body = snapshot.model_dump(mode="json", by_alias=True)
    body["objects"] = in_order(body["objects"])
    return _HEAD + dump(body)


def in_order(objects: Sequence[KubeObject]) -> list[KubeObject]:
    """The objects sorted by kind, namespace and name; their fields by name, after apiVersion, kind and metadata."""
    kinds = [each.kind for each in KEPT.values()]
    found = sorted(
        objects,
        key=lambda each: (
            kinds.index(each["kind"]),
            each["metadata"].get("namespace", ""),
            each["metadata"]["name"],
        ),
    )
    return [
        {
            "apiVersion": each["apiVersion"],
            "kind": each["kind"],
            "metadata": metadata_of(each),
            **{key: _by_name(each[key]) for key in sorted(each) if key not in ("apiVersion", "kind", "metadata")},
        }
        for each in found
    ]


def _by_name(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _by_name(value[key]) for key in sorted(value)}
    return [_by_name(each) for each in value] if isinstance(value, list | tuple) else value
