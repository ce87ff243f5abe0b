"""Tenants side by side on a hundred nodes; `make bench` goes on to a hundred tenants and a thousand nodes."""

import copy
from pathlib import Path

import pytest

from airis.rehearse.rehearsal import rehearse_together
from airis.rehearse.sandbox import Sandbox, load_nodes
from airis.render.many import for_each
from airis.render.objects import manifests
from airis.stack_file.stacks import read_stacks
from tests.rehearsal import fleet
from tests.rehearsal.fleet import tenants
from tests.unit.drawing import ROOT

pytestmark = pytest.mark.timeout(240)


def test_the_example_has_a_thousand_nodes_with_gpus_of_three_kinds() -> None:
    nodes = load_nodes(fleet.NODES)
    with_gpus = [
        each["metadata"]["labels"][fleet.PRODUCT] for each in nodes if fleet.GPU in each["status"]["allocatable"]
    ]
    assert (len(nodes), len(with_gpus), len({*with_gpus})) == (1000, 200, 3)
    assert len(fleet.nodes(1000)) == 1000
    assert len(fleet.nodes(10)) == 10 or {each["metadata"]["name"] for each in fleet.nodes(10)} >= {"t4-0", "h100-0"}


def test_tenants_come_up_side_by_side_as_their_settings_say(tmp_path: Path, clean_sandbox: Sandbox) -> None:
    for file in ("__main__.py", "Pulumi.yaml"):
        (tmp_path / file).symlink_to(ROOT / file)
    names = tenants(tmp_path, 8)
    stacks = read_stacks(["dept-*"], tmp_path)
    assert [each.name for each in stacks] == names
    clean_sandbox.set_nodes(fleet.nodes(100))
    wanted = dict(zip(names, for_each(stacks, manifests, "Rendering"), strict=True))

    verdicts = rehearse_together(wanted, clean_sandbox.kubectl, timeout_seconds=120)

    assert [each.stack for each in verdicts if not each.ok] == []
    assert [each.stack for each in verdicts] == names
    assert {found.namespace for each in verdicts for found in each.findings if found.kind == "Pod"} == {*names}
    assert fleet.broken(clean_sandbox.kubectl, names) == []

    # One tenant's mistake is that tenant's alone
    wrong = copy.deepcopy(wanted)
    (ollama,) = [each for each in wrong["dept-001"] if each["kind"] == "StatefulSet"]
    ollama["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"][fleet.GPU] = "9"
    ollama["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"][fleet.GPU] = "9"
    verdicts = rehearse_together(wrong, clean_sandbox.kubectl, timeout_seconds=60)
    assert [each.stack for each in verdicts if not each.ok] == ["dept-001"]
