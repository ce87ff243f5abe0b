"""Compares a stack with a file of manifests, and renders the stack as one side of a diff."""

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
"""Kinds that the program always retains."""

_SAMPLE = 3


def rendered(stack: StackFile) -> Side:
    """The stack as this side's program renders it, without the secrets that only Pulumi can decrypt."""
    return Side("the rendered stack", tuple(map(_item, program.run(stack).objects)), dict(stack.config))


def _item(each: KubernetesObject) -> Item:
    body = without_secrets(manifest.manifest(each))
    return Item(body, each.urn, each.protect, each.retain, tuple(each.ignores))


def diff_file(stack: StackFile, file: Path) -> Diff:
    """The changes from the manifests in a file to the stack. Secret values are not compared: a render has none.

    Raises AirisError if the file does not contain manifests.
    """
    after = rendered(stack)
    namespaces = [each.namespace for each in after.items if each.namespace]
    namespace = max(set(namespaces), key=namespaces.count) if namespaces else "default"
    before = Side(file.name, tuple(_from_file(body, namespace) for body in manifests_in(file)))
    return whole(stack.name, before, after)


def manifests_in(file: Path) -> list[dict[str, Any]]:
    """The objects in a file of YAML or JSON documents, including those in Lists.

    Raises AirisError, naming file and line, if it cannot be read, does not parse, or contains anything else.
    """
    try:
        documents = kubectl_documents(file.read_text(encoding="utf-8"))
    except YamlError as error:
        raise AirisError(f"{file}{error}", _RIGHT) from None
    except UnicodeDecodeError as error:
        raise AirisError(f"{file}: this is not UTF-8 text: {error}", _RIGHT) from None
    except OSError as error:
        raise AirisError(f"{file}: {error.strerror}", _RIGHT) from None
    found = [body for each in documents if each is not None for body in _objects(each, file)]
    if not found:
        raise AirisError(f"{file}: contains no objects", _RIGHT)
    keys = [Item(each).identity for each in found]
    if twice := [key for key in dict.fromkeys(keys) if keys.count(key) > 1]:
        listed = ", ".join(f"{kind}/{name}" for _, kind, _, name in twice[:_SAMPLE])
        raise AirisError(f"{file}: duplicate object {listed}", "remove the duplicate")
    return found


_RIGHT = "pass the output of `airis render`, `kustomize build` or `helm template`"


def _objects(document: Any, file: Path) -> Iterator[dict[str, Any]]:
    if isinstance(document, Mapping) and str(document.get("kind", "")).endswith("List") and "items" in document:
        for each in document["items"] or []:
            yield from _objects(each, file)
        return
    named = isinstance(document, Mapping) and isinstance(document.get("metadata"), Mapping)
    if not (named and document.get("apiVersion") and document.get("kind") and document["metadata"].get("name")):
        raise AirisError(f"{file}: contains something other than a named Kubernetes object", _RIGHT)
    yield dict(document)


def _from_file(body: Mapping[str, Any], namespace: str) -> Item:
    kept = {key: value for key, value in body.items() if key != "status"}
    if kept["kind"] not in _WITHOUT_NAMESPACE and not kept["metadata"].get("namespace"):
        kept["metadata"] = {**kept["metadata"], "namespace": namespace}  # as kubectl would
    return Item(without_secrets(kept), retain=kept["kind"] in _KEPT)


def without_secrets(body: Mapping[str, Any]) -> Body:
    """A Secret with its keys but without their values; other objects unchanged."""
    if body["kind"] != "Secret":
        return body
    names = sorted({*(body.get("data") or {}), *(body.get("stringData") or {})})
    rest = {key: value for key, value in body.items() if key not in ("data", "stringData")}
    return {**rest, "data": dict.fromkeys(names, Hidden(""))} if names else rest
