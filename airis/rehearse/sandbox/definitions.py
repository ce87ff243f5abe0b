"""CustomResourceDefinitions of kinds that a stack may use; the sandbox gets those that a stack has objects of."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from airis.cluster.kubectl import KubeObject
from settings.reading.yaml_file import kubectl_documents

_FILES = {("gateway.networking.k8s.io", "HTTPRoute"): "httproutes.yaml"}
"""Files next to this one, by the group and kind that they define."""


def definitions_for(objects: Sequence[KubeObject]) -> list[KubeObject]:
    """The CustomResourceDefinitions that these objects need, if known here; most stacks need none."""
    kinds = {(each["apiVersion"].rpartition("/")[0], each["kind"]) for each in objects}
    files = [Path(__file__).with_name(file) for kind, file in _FILES.items() if kind in kinds]
    return [each for file in files for each in _parsed(file)]


@cache
def _parsed(file: Path) -> Sequence[KubeObject]:
    return kubectl_documents(file.read_text(encoding="utf-8"))
