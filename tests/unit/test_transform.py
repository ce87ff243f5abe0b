"""The transform file: it changes and adds objects, and errors name the line."""

import shutil
from pathlib import Path

import pytest

from airis.render import program
from airis.render.program import Rendering
from airis.stack_file.stacks import StackFile, read_stack
from tests.unit.conftest import Command
from tests.unit.drawing import ROOT, draw_once, find, manifest, pod_spec

pytestmark = pytest.mark.timeout(60)

EXAMPLE = "examples/transforms/sidecar.py"


def draw_with(project: Path, source: str) -> Rendering:
    (project / "mine.py").write_text(source, encoding="utf-8")
    (project / "Pulumi.test.yaml").write_text("config:\n  airis:transform: {file: mine.py}\n", encoding="utf-8")
    return program.run(read_stack("test", project))


def refused(project: Path, command: Command, source: str) -> str:
    (project / "mine.py").write_text(source, encoding="utf-8")
    return refused_file(project, command, "mine.py")


def refused_file(project: Path, command: Command, file: str) -> str:
    (project / "Pulumi.test.yaml").write_text(f"config:\n  airis:transform: {{file: {file}}}\n", encoding="utf-8")
    code, out, err = command("render", "--stack", "test")
    assert (code, out) == (1, "")
    assert "Traceback" not in err
    return err.removeprefix("error: ").strip()


def test_the_example_adds_a_container_a_volume_and_an_object() -> None:
    plain, drawn = draw_once(), draw_once(transform={"file": EXAMPLE})
    deployment = manifest(drawn, "Deployment", "airis-deployment")
    assert [each["name"] for each in pod_spec(deployment)["containers"]] == ["airis", "fluent-bit"]
    assert pod_spec(deployment)["volumes"][-1] == {"name": "fluent-bit", "configMap": {"name": "fluent-bit"}}
    assert find(drawn, "ConfigMap", "fluent-bit").namespace == "airis"
    assert len(drawn.objects) == len(plain.objects) + 1
    untouched = {str(each): each.manifest for each in plain.objects if each.kind != "Deployment"}
    assert {str(each): each.manifest for each in drawn.objects if str(each) in untouched} == untouched


def test_transform_receives_every_object_including_its_own(project: Path) -> None:
    drawn = draw_with(
        project,
        """
import pulumi
from pulumi_kubernetes.core.v1 import ConfigMap
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

def transform(args):
    if args.type_.startswith("kubernetes:"):
        metadata = args.props["metadata"]
        metadata.annotations = {**(metadata.annotations or {}), "example.com/seen": "yes"}
        return pulumi.ResourceTransformationResult(args.props, args.opts)

def objects(namespace, opts):
    ConfigMap("further", metadata=ObjectMetaArgs(name="further", namespace=namespace), opts=opts)
""",
    )
    assert [
        str(each) for each in drawn.objects if "example.com/seen" not in each.manifest["metadata"]["annotations"]
    ] == []
    assert {"Namespace/airis", "PersistentVolumeClaim/airis-pvc", "ConfigMap/further"} <= set(map(str, drawn.objects))


@pytest.mark.parametrize(
    "source", ["def transform(args):\n    return None\n", "def objects(namespace, opts):\n    pass\n"]
)
def test_one_function_is_sufficient_and_may_return_none(project: Path, source: str) -> None:
    drawn = draw_with(project, source)
    assert {str(each): each.manifest for each in drawn.objects} == {
        str(each): each.manifest for each in draw_once().objects
    }


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1\n", "mine.py defines neither transform(args) nor objects(namespace, opts)"),
        ("def transform(:\n", "mine.py, line 1: running it failed: SyntaxError: "),
        ("x = 1\nimport nowhere_at_all\n", "mine.py, line 2: running it failed: ModuleNotFoundError: "),
        (
            "\n\ndef transform(args):\n    return args.nothing\n",
            "mine.py, line 4: transform, given kubernetes:core/v1:Namespace",
        ),
        ("def objects(namespace, opts):\n    return 1 / 0\n", "mine.py, line 2: objects failed: ZeroDivisionError"),
    ],
)
def test_errors_name_the_line(project: Path, command: Command, source: str, message: str) -> None:
    assert refused(project, command, source).startswith(f"airis:transform.file: {message}")


def test_a_missing_file(project: Path, command: Command) -> None:
    assert refused_file(project, command, "other.py") == (
        "airis:transform.file: other.py does not exist in the directory of Pulumi.yaml"
    )


@pytest.mark.parametrize("file", ["/etc/mine.py", "../mine.py", "mine.txt", "a//b.py", "''"])
def test_files_outside_the_project_are_refused(project: Path, command: Command, file: str) -> None:
    assert "a Python file of the project such as transforms/sidecar.py" in refused_file(project, command, file)


def test_the_path_is_relative_to_the_project_not_the_working_directory(project: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", project / "examples")
    config = {"airis:transform": f'{{"file": "{EXAMPLE}"}}'}
    drawn = program.run(StackFile("test", project / "Pulumi.test.yaml", config, frozenset()))
    assert find(drawn, "ConfigMap", "fluent-bit")
