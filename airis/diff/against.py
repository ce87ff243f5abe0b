"""The sides that a stack is compared with beside a revision: a file of manifests, and what runs in the cluster."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from airis.diff.changes import whole
from airis.diff.fields import Hidden
from airis.diff.model import Diff
from airis.diff.stack_objects import Body, Item, Side
from airis.render import manifest, program
from airis.render.program import KubernetesObject
from airis.stack_file.stacks import StackFile
from airis.terminal.errors import AirisError
from settings.reading.yaml_file import YamlError, kubectl_documents

_WITHOUT_NAMESPACE = frozenset(
    {
        "APIService",
        "ClusterRole",
        "ClusterRoleBinding",
        "CustomResourceDefinition",
        "DeviceClass",
        "GatewayClass",
        "IngressClass",
        "MutatingWebhookConfiguration",
        "Namespace",
        "PersistentVolume",
        "PriorityClass",
        "RuntimeClass",
        "StorageClass",
        "ValidatingWebhookConfiguration",
    }
)
_KEPT = ("PersistentVolumeClaim", "Namespace")
"""Kinds that this program always retains."""

_SAMPLE = 3


def rendered(stack: StackFile) -> Side:
    """The stack, as this side's program renders it, with the secrets that only Pulumi knows left out."""
    return Side("the stack as it renders now", tuple(map(_item, program.run(stack).objects)), dict(stack.config))


def _item(each: KubernetesObject) -> Item:
    body = without_secrets(manifest.manifest(each))
    return Item(body, each.urn, each.protect, each.retain, tuple(each.ignores))


def diff_file(stack: StackFile, file: Path) -> Diff:
    """What the stack changes over the manifests in a file. Secret values are not compared: a render has none.

    Raises AirisError where the file is no list of manifests.
    """
    after = rendered(stack)
    namespaces = [each.namespace for each in after.items if each.namespace]
    namespace = max(set(namespaces), key=namespaces.count) if namespaces else "default"
    before = Side(file.name, tuple(_from_file(body, namespace) for body in manifests_in(file)))
    return whole(stack.name, before, after)


def manifests_in(file: Path) -> list[dict[str, Any]]:
    """The objects in a file of YAML or JSON documents; those of a List one by one.

    Raises AirisError, naming file and place, where it cannot be read, does not parse, or holds something else.
    """
    try:
        documents = kubectl_documents(file.read_text(encoding="utf-8"))
    except YamlError as error:
        raise AirisError(f"{file}{error}", _RIGHT) from None
    except UnicodeDecodeError as error:
        raise AirisError(f"{file}: it is not text in YAML: {error}", _RIGHT) from None
    except OSError as error:
        raise AirisError(f"{file}: {error.strerror}", _RIGHT) from None
    found = [body for each in documents if each is not None for body in _objects(each, file)]
    if not found:
        raise AirisError(f"{file}: it holds no objects", _RIGHT)
    keys = [Item(each).identity for each in found]
    if twice := [key for key in dict.fromkeys(keys) if keys.count(key) > 1]:
        listed = ", ".join(f"{kind}/{name}" for _, kind, _, name in twice[:_SAMPLE])
        raise AirisError(f"{file}: {listed} stands in it twice", "every object must stand once")
    return found


_RIGHT = "`airis render`, `kustomize build` and `helm template` write such files"


def _objects(document: Any, file: Path) -> Iterator[dict[str, Any]]:
    if isinstance(document, Mapping) and str(document.get("kind", "")).endswith("List") and "items" in document:
        for each in document["items"] or []:
            yield from _objects(each, file)
        return
    named = isinstance(document, Mapping) and isinstance(document.get("metadata"), Mapping)
    if not (named and document.get("apiVersion") and document.get("kind") and document["metadata"].get("name")):
        raise AirisError(f"{file}: it holds something that is no Kubernetes object with a name", _RIGHT)
    yield dict(document)


def _from_file(body: Mapping[str, Any], namespace: str) -> Item:
    kept = {key: value for key, value in body.items() if key != "status"}
    if kept["kind"] not in _WITHOUT_NAMESPACE and not kept["metadata"].get("namespace"):
        kept["metadata"] = {**kept["metadata"], "namespace": namespace}  # as kubectl would put it there
    return Item(without_secrets(kept), retain=kept["kind"] in _KEPT)


def without_secrets(body: Mapping[str, Any]) -> Body:
    """A Secret with the names of its keys alone; other objects as they are."""
    if body["kind"] != "Secret":
        return body
    names = sorted({*(body.get("data") or {}), *(body.get("stringData") or {})})
    rest = {key: value for key, value in body.items() if key not in ("data", "stringData")}
    return {**rest, "data": dict.fromkeys(names, Hidden(""))} if names else rest
