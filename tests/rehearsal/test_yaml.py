"""What the real kubectl makes of what `airis render` prints, on the real API server."""

from pathlib import Path

import pytest

from airis.rehearse.sandbox import Sandbox
from airis.render import program
from airis.render.manifest import to_yaml
from airis.stack_file.stacks import read_stack
from airis.stack_file.yaml_writer import dump
from tests.unit.drawing import ROOT
from tests.yaml_texts import TEXTS

pytestmark = pytest.mark.timeout(180)


def test_every_text_arrives_as_it_was_written(clean_sandbox: Sandbox, tmp_path: Path) -> None:
    """From the stack file on: labels, and variables of every text that some parser takes for something else."""
    env = {f"TEXT_{number}": text for number, text in enumerate(TEXTS) if not ("\n" in text and text[0] in "\n\t")}
    labels = {"x": "y", "commit": "1234e56", "n": "N", "octal": "0o14"}
    settings = {"podLabels": labels, "podAnnotations": {"a.example.com/on": "on", "a.example.com/date": "2026-01-01"}}
    for name in ("__main__.py", "Pulumi.yaml"):
        (tmp_path / name).symlink_to(ROOT / name)
    config = {"airis:webui": {**settings, "env": env}}
    (tmp_path / "Pulumi.test.yaml").write_text(dump({"config": config}), encoding="utf-8")

    rendered = to_yaml(program.run(read_stack("test", tmp_path)).objects)
    clean_sandbox.kubectl.run("apply", "--filename=-", stdin=rendered)

    (deployment,) = clean_sandbox.kubectl.get("deployment", "airis-deployment", "--namespace=airis")
    template = deployment["spec"]["template"]
    arrived = {each["name"]: each.get("value", "") for each in template["spec"]["containers"][0]["env"]}
    assert [(text, arrived.get(name)) for name, text in env.items() if arrived.get(name) != text] == []
    assert labels.items() <= template["metadata"]["labels"].items()
    assert settings["podAnnotations"].items() <= template["metadata"]["annotations"].items()
