"""`airis review` with rehearsals, on two commits and a real control plane."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from airis.cli import main as cli
from airis.rehearse.sandbox import Sandbox
from airis.review import gather
from tests.processes.repositories import git
from tests.unit.drawing import ROOT

pytestmark = pytest.mark.timeout(180)

GPUS = "config:\n  airis:ollama:\n    gpu: {{count: {}}}\n"


def test_all_stacks_share_a_sandbox_with_their_own_nodes(
    clean_sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    borrowed: list[str] = []

    @contextmanager
    def borrowed_sandbox() -> Iterator[Sandbox]:
        borrowed.append(clean_sandbox.name)
        with clean_sandbox.hold():
            yield clean_sandbox

    for file in (ROOT / "__main__.py", ROOT / "Pulumi.yaml"):
        (tmp_path / file.name).symlink_to(file)
    for name in ("big", "small"):
        (tmp_path / f"Pulumi.{name}.yaml").write_text(GPUS.format(1))
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message=base")
    for name in ("big", "small"):
        (tmp_path / f"Pulumi.{name}.yaml").write_text(GPUS.format(8))
    nodes = tmp_path / "examples" / "nodes"
    nodes.mkdir(parents=True)
    (nodes / "big.yaml").write_text(
        "nodes:\n  - name: large\n    cpu: 32\n    memory: 256Gi\n    resources: {nvidia.com/gpu: 8}\n"
        '    labels: {nvidia.com/gpu.present: "true"}\n'
    )
    monkeypatch.setattr(gather, "borrowed_sandbox", borrowed_sandbox)
    monkeypatch.chdir(tmp_path)
    out, body = tmp_path / "comment.md", tmp_path / "review.json"
    monkeypatch.setattr(sys, "argv", ["airis", "review", "--base=main", f"--output={out}", f"--json={body}"])

    code = cli._run()

    assert code == 3, capsys.readouterr().err
    assert borrowed == [clean_sandbox.name]
    big, small = json.loads(body.read_text())["stacks"]
    assert (big["stack"], big["rehearsal"]["ok"]) == ("big", True)
    assert (small["stack"], small["rehearsal"]["ok"]) == ("small", False)
    text = out.read_text(encoding="utf-8")
    assert "| big | 1 changed |" in text
    assert "1 → 8 nvidia.com/gpu" in text
    assert "Insufficient nvidia.com/gpu" in text
