"""Renders stacks with Pulumi's mocks, and finds objects in them, as plain values to assert on."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from textwrap import dedent
from typing import Any

from airis.render import program
from airis.render.program import KubernetesObject, Rendering
from airis.stack_file.stacks import StackFile, read_stack, stack_names

ROOT = Path(__file__).parents[2]
COMMITTED = stack_names(ROOT)
"""The stacks whose files are part of the project."""
REFERENCE = "reference"
"""The stack that repeats the Kustomize deployment, including its insecure parts."""
RECOMMENDED = [stack for stack in COMMITTED if stack != REFERENCE]
"""The stacks to use or to copy."""

Manifest = Mapping[str, Any]


@cache
def committed(stack: str) -> Rendering:
    """A committed stack file, rendered once for all tests."""
    return program.run(read_stack(stack, ROOT))


def draw(**settings: object) -> Rendering:
    """The whole program with these settings: `draw(ollama={"replicas": 2})`."""
    return program.run(stack_of(**settings))


def draw_once(**settings: object) -> Rendering:
    """The same, rendered once for all tests that only read it."""
    return _drawn(json.dumps(settings))


@cache
def _drawn(settings: str) -> Rendering:
    return draw(**json.loads(settings))


def stack_of(**settings: object) -> StackFile:
    """The stack with these settings, as the engine passes it: the values under `secrets` were encrypted."""
    config = {f"airis:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in settings.items()}
    return StackFile("test", ROOT / "Pulumi.test.yaml", config, frozenset({"airis:secrets"} & config.keys()))


def draw_program(folder: Path, source: str) -> Rendering:
    """Another Pulumi program, written to `folder` as its `__main__.py`."""
    (folder / "__main__.py").write_text(dedent(source), encoding="utf-8")
    return program.run(StackFile("test", folder / "Pulumi.test.yaml", {}, frozenset()))


def find(rendering: Rendering, kind: str, name: str) -> KubernetesObject:
    """The one object of that kind and name."""
    (found,) = [each for each in rendering.objects if (each.kind, each.name) == (kind, name)]
    return found


def manifest(rendering: Rendering, kind: str, name: str) -> Manifest:
    return find(rendering, kind, name).manifest


def names(rendering: Rendering, kind: str) -> list[str]:
    return sorted(each.name for each in rendering.objects if each.kind == kind)


def undigested(name: str) -> str:
    """A name without the digest at the end of the names of immutable objects."""
    return re.sub(r"-[0-9a-f]{8}$", "", name)


def workloads(rendering: Rendering) -> list[Manifest]:
    """The workloads: objects that create pods."""
    return [each.manifest for each in rendering.objects if "template" in each.manifest.get("spec", {})]


def pod_spec(workload: Manifest) -> Any:
    return workload["spec"]["template"]["spec"]


def container(workload: Manifest) -> Any:
    """The one container of the workload's pods."""
    (only,) = pod_spec(workload)["containers"]
    return only


def env(workload: Manifest) -> dict[str, Any]:
    """The environment of the workload's one container."""
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container(workload).get("env", [])}


def values(value: object, key: str) -> Iterator[Any]:
    """Every value under that key, at any depth."""
    if isinstance(value, Mapping):
        yield from (inner for name, inner in value.items() if name == key)
        for inner in value.values():
            yield from values(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from values(inner, key)
