"""What Pulumi does with a changed stack, done with kubectl: in place, by replacement, or not at all, as airis/diff says.

It stands in for the engine where 200 updates have to take seconds each. The rules are those of airis/diff, which the tests
with the real engine hold against Pulumi itself.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airis.cluster.kubectl import Kubectl
from airis.diff.compare import Compared, compared
from airis.diff.data_loss import refusals
from airis.diff.ignored_fields import kept
from airis.diff.model import Action
from airis.diff.stack_objects import Item, Side
from airis.render.manifest import in_order, manifest, place
from airis.render.program import Rendering

Body = dict[str, Any]

MANAGER = "pulumi-kubernetes"
MUTABLE = {"enableSecretMutable": True, "enableConfigMapMutable": False}
"""As Pulumi.yaml configures the provider."""


def side(rendering: Rendering) -> Side:
    """The stack as airis/diff compares it, with its secrets: here they are made up."""
    return Side(
        "",
        tuple(
            Item(encoded(manifest(each, show_secrets=True)), each.urn, each.protect, each.retain, tuple(each.ignores))
            for each in in_order(rendering.objects)
        ),
        mutable=MUTABLE,
    )


def encoded(body: Body) -> Body:
    """A Secret with `data` alone, as the provider sends it (pulumi/pulumi-kubernetes, provider/pkg/clients, normalizeSecret).

    What leaves `stringData` would stay in the cluster otherwise: the API server keeps `data`, and nobody owns its entries.
    """
    if body["kind"] != "Secret" or "stringData" not in body:
        return body
    plain = {key: base64.b64encode(value.encode()).decode() for key, value in body["stringData"].items()}
    return {
        **{key: each for key, each in body.items() if key != "stringData"},
        "data": {**body.get("data", {}), **plain},
    }


@dataclass
class Deployment:
    """What a stack's state would hold: the objects as they were applied last."""

    kubectl: Kubectl
    items: Side = field(default_factory=lambda: Side("", mutable=MUTABLE))
    kept: dict[tuple[str, str, str, str], Item] = field(default_factory=dict)
    """Objects that left the stack, and stay in the cluster."""

    def changes(self, after: Side) -> list[Compared]:
        return compared(self.items, after)

    def refused(self, changes: Sequence[Compared]) -> list[str]:
        """Why `up` would stop in its preview."""
        return [words for each in changes for words in refusals(each)]

    def update(self, after: Side, changes: Sequence[Compared]) -> None:
        """Creates and updates in order; what is replaced goes first, because its name stays; what left the stack goes last."""
        wanted = {each.identity: each for each in (self._as_applied(each) for each in after.items)}
        replaced = [each for each in changes if each.action is Action.REPLACED]
        self.kubectl.delete([_reference(each.before) for each in replaced if each.before is not None])
        touched = {
            each.item.identity for each in changes if each.action in (Action.CREATED, Action.CHANGED, Action.REPLACED)
        }
        objects = [each.body for identity, each in wanted.items() if identity in touched]
        self.kubectl.apply(sorted(objects, key=_place), field_manager=MANAGER)
        gone = [each.before for each in changes if each.action is Action.DELETED and each.before is not None]
        self.kubectl.delete([_reference(each) for each in gone])
        left = {each.before.identity: each.before for each in changes if each.action is Action.KEPT and each.before}
        self.kept = {key: each for key, each in {**self.kept, **left}.items() if key not in wanted}
        self.items = Side("", tuple(wanted.values()), mutable=MUTABLE)

    def _as_applied(self, item: Item) -> Item:
        """The object with the old values of what Pulumi is told to overlook (`ignore_changes`)."""
        before = next((each for each in self.items.items if each.urn == item.urn), None)
        if before is None or not item.ignores:
            return item
        body = kept(item.body, before.body, item.ignores)
        return Item(body, item.urn, item.protect, item.retain, item.ignores)


def _place(body: Mapping[str, Any]) -> tuple[int, str, str, str]:
    return place(body["kind"], body["metadata"].get("namespace"), body["metadata"]["name"])


def _reference(item: Item) -> Mapping[str, Any]:
    metadata = {key: item.body["metadata"][key] for key in ("name", "namespace") if key in item.body["metadata"]}
    return {"apiVersion": item.body["apiVersion"], "kind": item.kind, "metadata": metadata}
