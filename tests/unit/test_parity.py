"""The stacks hold every field of the Kustomize deployment; what differs is listed, argued in the docs, and still true."""

import json
import re
from typing import Any

import pytest
import yaml

from airis.stack_file.stacks import read_stack
from tests.unit import kustomize
from tests.unit.deviations import ADDITIONS, ALL, DEVIATIONS, Addition, Deviation
from tests.unit.drawing import REFERENCE, ROOT, committed, draw_once
from tests.unit.fields import fields

pytestmark = pytest.mark.timeout(60)

FOLDERS = {"cpu": "base", "gpu": "gpu"}
GPU_LIMIT = "spec.template.spec.containers[ollama].resources.limits[nvidia.com/gpu]"
DIGEST = r"-[0-9a-f]{8}$"
PAGE = ROOT / "docs" / "from-kustomize.md"

Fields = dict[tuple[str, str], object]


def flat(objects: list[Any]) -> Fields:
    """Every field of every object, by object and path. Digests of the content are left out of names."""
    return {
        (f"{each['kind']}/{re.sub(DIGEST, '', each['metadata']['name'])}", path): value
        for each in objects
        for path, value in fields(each)
    }


def reference(stack: str) -> Fields:
    return flat(kustomize.render(kustomize.REFERENCE / FOLDERS[stack]))


def here(stack: str) -> Fields:
    return flat([each.manifest for each in committed(stack).objects])


def written(value: object) -> str:
    """A value as the lists and the page write it; quantities as what they amount to."""
    return json.dumps(str(value))


def deviations(stack: str, reference: Fields, here: Fields) -> list[Deviation]:
    return [
        Deviation(stack, *key, written(value), written(here[key]) if key in here else "absent")
        for key, value in reference.items()
        if key not in here or here[key] != value
    ]


def covers(addition: Addition, stack: str, name: str, path: str) -> bool:
    return (
        addition.stack in (ALL, stack)
        and addition.object in (ALL, name)
        and (addition.field in (ALL, path) or path.startswith((f"{addition.field}.", f"{addition.field}[")))
    )


def found_additions() -> list[tuple[str, str, str]]:
    return [(stack, *key) for stack in FOLDERS for key in here(stack).keys() - reference(stack).keys()]


def table(heading: str) -> list[tuple[str, ...]]:
    """The rows of the Markdown table under a heading, without code marks; a bar inside of a cell is not supported."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line.strip().strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [tuple(cell.strip().replace("`", "") for cell in row) for row in rows[2:]]


def test_the_stacks_hold_every_field_of_the_reference_but_for_the_listed_ones() -> None:
    found = [each for stack in FOLDERS for each in deviations(stack, reference(stack), here(stack))]
    assert sorted(found) == sorted(
        each._replace(stack=stack) for each in DEVIATIONS for stack in FOLDERS if each.stack in (ALL, stack)
    )


def test_the_reference_stack_brings_everything_back_but_a_gpu_key_of_0() -> None:
    found = deviations("cpu", reference("cpu"), here(REFERENCE))
    assert found == [Deviation("cpu", "StatefulSet/ollama", GPU_LIMIT, '"0"', "absent")]


def test_the_reference_stack_with_a_gpu_brings_the_overlay_back() -> None:
    config = {key.removeprefix("airis:"): _decoded(value) for key, value in read_stack(REFERENCE, ROOT).config.items()}
    drawn = draw_once(**{**config, "ollama": {**config["ollama"], "gpu": {}}})
    assert deviations("gpu", reference("gpu"), flat([each.manifest for each in drawn.objects])) == []


def test_the_reference_stack_says_every_value_itself() -> None:
    """So that a default may change without it."""
    said = read_stack(REFERENCE, ROOT).config
    webui, ollama = json.loads(said["airis:webui"]), json.loads(said["airis:ollama"])
    assert (webui["image"], ollama["image"]) == ("ghcr.io/airis/airis:main", "ollama/ollama:latest")
    assert all({"requests", "limits"} <= each["resources"].keys() and each["storage"] for each in (webui, ollama))


def _decoded(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def test_a_missing_and_a_changed_field_are_deviations() -> None:
    there = {("Service/a", "spec.type"): "NodePort", ("Service/a", "spec.ports[80].port"): 80, ("Service/a", "x"): 1}
    assert deviations("cpu", there, {("Service/a", "spec.type"): "ClusterIP", ("Service/a", "x"): 1}) == [
        Deviation("cpu", "Service/a", "spec.type", '"NodePort"', '"ClusterIP"'),
        Deviation("cpu", "Service/a", "spec.ports[80].port", '"80"', "absent"),
    ]


def test_the_stacks_add_only_what_is_listed() -> None:
    unlisted = [each for each in found_additions() if not any(covers(addition, *each) for addition in ADDITIONS)]
    assert unlisted == []


def test_every_listed_addition_is_there() -> None:
    added = found_additions()
    gone = [addition for addition in ADDITIONS if not any(covers(addition, *each) for each in added)]
    assert gone == []


def test_an_addition_that_is_listed_for_all_stacks_is_in_all_of_them() -> None:
    for stack in FOLDERS:
        added = [each for each in found_additions() if each[0] == stack]
        for addition in ADDITIONS:
            if addition.stack == ALL:
                assert any(covers(addition, *each) for each in added), (stack, addition)


def test_the_page_lists_the_same_deviations_and_says_why() -> None:
    rows = table("Changed fields")
    assert [Deviation(*row[:5]) for row in rows] == DEVIATIONS
    assert all(len(row) == 6 and row[5] for row in rows)


def test_the_page_lists_the_same_additions_and_says_why() -> None:
    rows = table("Added fields")
    assert [Addition(*row[:3]) for row in rows] == ADDITIONS
    assert all(len(row) == 4 and row[3] for row in rows)


def test_every_setting_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`(airis:[\w.]+)`", PAGE.read_text(encoding="utf-8")))
    known = set(
        re.findall(r"^\| `(airis:[\w.]+)", (ROOT / "docs" / "config.md").read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert len(named) > 15
    assert [each for each in named if not any(f"{key}.".startswith(f"{each}.") for key in known)] == []


def test_the_reference_is_the_whole_deployment() -> None:
    assert {name for name, _ in reference("gpu")} == {
        "Namespace/airis",
        "Service/ollama-service",
        "StatefulSet/ollama",
        "Deployment/airis-deployment",
        "Service/airis-service",
        "Ingress/airis-ingress",
        "PersistentVolumeClaim/airis-pvc",
    }
    resources = ("StatefulSet/ollama", GPU_LIMIT)
    assert (reference("cpu")[resources], reference("gpu")[resources]) == (0, 1)


def test_the_overlay_changes_nothing_but_what_it_patches() -> None:
    base, gpu = reference("cpu"), reference("gpu")
    changed = {path for (_, path), _ in base.items() ^ gpu.items()}
    patch = yaml.safe_load((kustomize.REFERENCE / "gpu" / "ollama-statefulset-gpu.yaml").read_text(encoding="utf-8"))
    assert changed <= {path for path, _ in fields(patch)}
    assert len(base) < len(gpu)


def test_a_strategic_merge_takes_list_items_by_name() -> None:
    containers = [{"name": "a", "image": "1"}, {"name": "b"}]
    change = {"containers": [{"name": "a", "args": ["x"]}, {"name": "c"}], "volumes": None, "args": ["y"]}
    assert kustomize.merged({"containers": containers, "volumes": [], "args": ["z", "z"]}, change) == {
        "containers": [{"name": "a", "image": "1", "args": ["x"]}, {"name": "b"}, {"name": "c"}],
        "args": ["y"],
    }
