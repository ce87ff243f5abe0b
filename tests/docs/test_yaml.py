"""YAML blocks: stack configuration loads with the stack file's loader; other manifests have known kinds and keys."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from settings import SettingsError, load
from tests.docs.blocks import Block, blocks
from tests.unit.drawing import ROOT

pytestmark = pytest.mark.timeout(60)

YAML = [each for each in blocks() if each.language == "yaml"]

MANIFESTS: Mapping[tuple[str, str], tuple[str, frozenset[str]]] = {
    ("kind.x-k8s.io/v1alpha4", "Cluster"): (
        "https://kind.sigs.k8s.io/docs/user/configuration/",
        frozenset({"nodes", "role", "extraPortMappings", "containerPort", "hostPort"}),
    ),
    ("eksctl.io/v1alpha5", "ClusterConfig"): (
        "https://docs.aws.amazon.com/eks/latest/eksctl/schema.html; defaultStorageClass: kubernetes-sigs/aws-ebs-csi-driver, "
        "charts/aws-ebs-csi-driver/values.yaml",
        frozenset(
            {"metadata", "name", "region", "addons", "useDefaultPodIdentityAssociations", "configurationValues"}
            | {"managedNodeGroups", "instanceType", "desiredCapacity", "volumeSize", "taints", "key", "value", "effect"}
        ),
    ),
}
"""Third-party manifests that pages may show: the documentation of their keys, and the keys that are used."""


@pytest.mark.parametrize("block", YAML, ids=str)
def test_yaml_blocks_are_valid(block: Block, tmp_path: Path) -> None:
    document = yaml.safe_load(block.text)
    assert isinstance(document, dict), "keys and values"
    if "kind" in document:
        assert unknown_keys(document) == []
    else:
        for path, text in named_files(block.page):
            (tmp_path / path).parent.mkdir(exist_ok=True)
            (tmp_path / path).write_text(text, encoding="utf-8")
        assert refusal(document, tmp_path) is None


def named_files(page: str) -> list[tuple[str, str]]:
    """Blocks of the page with a path in their first line, as files: for example a base that another block names."""
    blocks_of_page = [each.text for each in YAML if each.page == page]
    return [(found[1], text) for text in blocks_of_page if (found := re.match(r"# ([\w./-]+\.yaml)\n", text))]


def refusal(document: Mapping[str, Any], root: Path = ROOT) -> str | None:
    """The error of the loader for a complete stack file or for some of its `airis:` keys; None if it loads."""
    config = document.get("config", document)
    values = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
    foreign = sorted(key for key in values if not key.startswith(("airis:", "kubernetes:")))
    if foreign:
        return f"not of a stack file: {', '.join(foreign)}"
    try:
        load(values, source="this block", root=root)
    except SettingsError as error:
        return str(error)
    return None


def unknown_keys(document: Mapping[str, Any]) -> list[str]:
    """The unknown keys of a manifest; for an unknown kind of manifest, its apiVersion and kind."""
    identity = (document.get("apiVersion", ""), document["kind"])
    if identity not in MANIFESTS:
        return [" ".join(identity)]
    _, known = MANIFESTS[identity]
    return sorted(set(_keys(document)) - known - {"apiVersion", "kind"})


def _keys(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [*value, *(key for inner in value.values() for key in _keys(inner))]
    return [key for inner in value for key in _keys(inner)] if isinstance(value, list) else []


def test_there_are_such_blocks() -> None:
    assert len(YAML) > 10


def test_what_is_wrong_is_found() -> None:
    assert refusal({"config": {"airis:webui": {"replicas": 1}}}) is None
    assert "airis:webui.replica" in str(refusal({"airis:webui": {"replica": 1}}))
    assert refusal({"replicas": 1}) == "not of a stack file: replicas"
    assert unknown_keys({"apiVersion": "v1", "kind": "Pod"}) == ["v1 Pod"]
    assert unknown_keys({"apiVersion": "kind.x-k8s.io/v1alpha4", "kind": "Cluster", "node": []}) == ["node"]
