"""docs/extending.md: its blocks, applied to a copy of the project, make what the page says."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.docs.blocks import Block, blocks
from tests.unit.drawing import ROOT

pytestmark = pytest.mark.timeout(120)

BLOCKS = [each for each in blocks() if each.page == "docs/extending.md" and each.title]
STACK = {
    "airis:webui": {"logging": {"audit": "REQUEST", "auditBodyBytes": 4096}},
    "airis:tika": {},
    "airis:labels": {"team": "platform"},
}


def edited(text: str, block: Block) -> str:
    """The file with the hunks of a diff applied; each must fit exactly one place of it."""
    for hunk in block.text.split("@@\n"):
        lines = hunk.splitlines()
        before = "".join(f"{line[1:]}\n" for line in lines if line[:1] != "+")
        after = "".join(f"{line[1:]}\n" for line in lines if line[:1] != "-")
        assert text.count(before) == 1, f"{block}: {text.count(before)} places in {block.title} fit\n{before}"
        text = text.replace(before, after)
    return text


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with every block of the page applied, and a stack that uses what they add."""
    copy = tmp_path_factory.mktemp("extended")
    for folder in ("airis", "components", "policy", "schema", "settings", "tests/unit"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__", "test_*"))
    for name in (
        "__main__.py",
        "Pulumi.yaml",
        "Pulumi.cpu.yaml",
        "pyproject.toml",
        "docs/since.json",
        "tests/__init__.py",
    ):
        (copy / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, copy / name)
    for block in BLOCKS:
        file = copy / block.title
        if block.language == "diff":
            file.write_text(edited(file.read_text(encoding="utf-8"), block), encoding="utf-8")
        else:
            assert not (ROOT / block.title).exists(), f"{block}: {block.title} exists, and the page makes it"
            file.write_text(block.text, encoding="utf-8")
    (copy / "Pulumi.new.yaml").write_text(yaml.safe_dump({"config": STACK}), encoding="utf-8")
    return copy


def run(extended: Path, *module: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", *module],
        cwd=extended,
        env={**os.environ, "PYTHONPATH": str(extended)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.fixture(scope="module")
def objects(extended: Path) -> Iterator[list[dict[str, object]]]:
    rendered = run(extended, "airis.cli.main", "render", "--stack", "new")
    assert rendered.returncode == 0, rendered.stderr
    yield list(yaml.safe_load_all(rendered.stdout))


def test_the_setting_sets_its_variable(objects: list[dict[str, object]]) -> None:
    (webui,) = [
        each for each in objects if each["kind"] == "Deployment" and "airis-deployment" in str(each["metadata"])
    ]
    assert "{'name': 'MAX_BODY_LOG_SIZE', 'value': '4096'}" in str(webui["spec"])


def test_the_component_is_there(objects: list[dict[str, object]]) -> None:
    kinds = {each["kind"] for each in objects if "'app': 'tika'" in str(each["metadata"])}
    assert kinds == {"Deployment", "NetworkPolicy", "Service", "ServiceAccount"}


def test_both_keep_the_rules(extended: Path) -> None:
    checked = run(extended, "airis.cli.main", "check", "--stack", "new")
    mandatory = [line for line in checked.stdout.splitlines() if line.startswith("mandatory")]
    assert (checked.returncode, mandatory) == (0, []), checked.stdout + checked.stderr


def test_the_policy_refuses_what_breaks_it(extended: Path) -> None:
    checked = run(extended, "airis.cli.main", "check", "--stack", "cpu")
    assert checked.returncode == 1
    assert "owner: Deployment/airis-deployment: metadata.labels.team" in checked.stdout
    assert "owner: Service" not in checked.stdout


def test_the_tests_of_the_page_pass(extended: Path) -> None:
    tests = [block.title for block in BLOCKS if block.title.startswith("tests/")]
    assert tests
    ran = run(extended, "pytest", "-q", "-p", "no:cacheprovider", *tests)
    assert ran.returncode == 0, ran.stdout
    assert "2 passed" in ran.stdout


def test_the_reference_follows(extended: Path) -> None:
    written = run(extended, "airis.stack_file.reference")
    assert written.returncode == 0, written.stderr
    page = (extended / "docs" / "config.md").read_text(encoding="utf-8")
    assert "| `airis:webui.logging.auditBodyBytes` | whole number or null | `null` |" in page
    assert "`airis:tika.image`" in page
    assert "A Tika server of the stack" in (extended / "schema" / "stack.schema.json").read_text(encoding="utf-8")


def test_a_diff_that_does_not_fit_is_found() -> None:
    block = Block("page.md", 1, "diff", "x.py", " a\n+b\n@@\n-c\n")
    assert edited("a\nc\n", block) == "a\nb\n"
    with pytest.raises(AssertionError, match=r"page\.md:1: 0 places in x\.py fit"):
        edited("a\n", block)
