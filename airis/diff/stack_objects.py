"""One side of a diff: the objects of a stack in a revision, a file or a cluster."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airis.diff.fields import Hidden
from airis.diff.registered import SECRET

Body = Mapping[str, Any]


@dataclass(frozen=True)
class Item:
    """An object with its manifest and Pulumi's resource options."""

    body: Body
    urn: str = ""
    """Its URN in the program; empty if it was not rendered."""
    protect: bool = False
    retain: bool = False
    ignores: tuple[str, ...] = ()
    stray: bool = False
    """Whether it only exists in the cluster: it is not in the stack, and no pod uses it."""

    @property
    def kind(self) -> str:
        """The kind, such as `StatefulSet`."""
        return str(self.body["kind"])

    @property
    def name(self) -> str:
        """The name in the cluster."""
        return str(self.body["metadata"]["name"])

    @property
    def namespace(self) -> str | None:
        """The namespace; None for cluster-scoped objects."""
        found = self.body["metadata"].get("namespace")
        return None if found is None else str(found)

    @property
    def group(self) -> str:
        """The API group; empty for the core group."""
        return str(self.body.get("apiVersion", "")).rpartition("/")[0]

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """Identifies it in a cluster."""
        return self.group, self.kind, self.namespace or "", self.name

    @property
    def pod(self) -> Body:
        """The spec of a workload's pods; empty for other objects."""
        return self.template.get("spec") or {}

    @property
    def template(self) -> Body:
        """The template of a workload's pods; empty for other objects."""
        found = (self.body.get("spec") or {}).get("template")
        return found if isinstance(found, Mapping) and isinstance(found.get("spec"), Mapping) else {}

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True)
class Side:
    """All objects of a stack on one side."""

    label: str
    items: tuple[Item, ...] = ()
    config: Mapping[str, str] = field(default_factory=dict)
    """The stack's configuration, as passed to the program; empty if unknown."""
    mutable: Mapping[str, bool] = field(default_factory=dict)
    """Which kinds the provider changes in place, by the project's configuration."""
    encryption: tuple[str, ...] = ()
    """The encryption of the stack's secrets: provider, key and salt."""
    problem: str = ""
    """Why the side could not be rendered."""
    there: bool = True
    """Whether the stack exists on this side."""


def side_of(label: str, taken: Mapping[str, Any] | None) -> Side:
    """A side from the output of registered.py; None means that the stack does not exist."""
    if taken is None:
        return Side(label, there=False)
    if taken["problem"]:
        return Side(label, config=taken["config"], problem=taken["problem"])
    return Side(
        label,
        items=items_of(taken["objects"]),
        config=taken["config"],
        mutable=taken["provider"],
        encryption=tuple(map(str, taken["encryption"])),
    )


def items_of(objects: Iterable[Mapping[str, Any]]) -> tuple[Item, ...]:
    """Objects from the output of registered.py, with secrets as digests."""
    return tuple(
        Item(_opened(each["body"]), each["urn"], each["protect"], each["retain"], tuple(each["ignores"]))
        for each in objects
    )


def _opened(value: Any) -> Any:
    if isinstance(value, Mapping):
        if set(value) == {SECRET}:
            return Hidden(value[SECRET])
        return {key: _opened(inner) for key, inner in value.items()}
    return [_opened(inner) for inner in value] if isinstance(value, list) else value
