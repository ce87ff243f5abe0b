"""Benchmarks of commands that need no control plane."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from airis.cluster.programs.binaries import cached
from benchmarks.measure import ROOT, Row, Sample, command, python, side_by_side

BARE = "import pulumi, pulumi_kubernetes.apps.v1, pulumi_kubernetes.core.v1, pulumi_kubernetes.networking.v1"
"""What every Pulumi program with these typed objects imports, and nothing else."""

AIRIS = str(Path(sys.executable).with_name("airis"))

_KUSTOMIZE = ROOT / "tests" / "fixtures" / "kustomize" / "gpu"
_CHART = "OPEN_WEBUI_CHART"
"""The variable with the folder of the Open WebUI chart and its dependencies, to compare with Helm."""


def render() -> Iterator[Row]:
    """rendering"""
    bare, gpu, cpu, production = side_by_side(
        9,
        python("-c", BARE),
        command(AIRIS, "render", "--stack", "gpu"),
        command(AIRIS, "render", "--stack", "cpu"),
        command(AIRIS, "render", "--stack", "production"),
    )
    yield Row("`airis render -s gpu`", gpu, "importing Pulumi and the typed modules", bare, 1.2)
    yield Row("`airis render -s production`", production, "`airis render -s cpu`", cpu, 1.5)
    yield from _others(gpu)
    help_text, nothing = side_by_side(9, command(AIRIS, "--help"), python("-c", "pass"))
    yield Row("`airis --help`", help_text, "`python -c pass`", nothing, 3)


def _others(gpu: Sample) -> Iterator[Row]:
    """Kustomize, and Helm if it is installed."""
    kubectl = str(cached().path("kubectl"))
    (kustomize,) = side_by_side(9, command(kubectl, "kustomize", str(_KUSTOMIZE)))
    yield Row("`airis render -s gpu`", gpu, "`kubectl kustomize` of the overlay it replaces", kustomize, None)
    chart = os.environ.get(_CHART)
    if chart is None or shutil.which("helm") is None:
        print(f"  skipped helm: it is not on PATH, or ${_CHART} is not set", file=sys.stderr, flush=True)
        return
    (helm,) = side_by_side(9, command("helm", "template", chart))
    yield Row("`airis render -s gpu`", gpu, "`helm template` of the Open WebUI chart", helm, None)


def changes() -> Iterator[Row]:
    """diff and review"""
    with tempfile.TemporaryDirectory(prefix="airis-bench-") as name:
        folder = Path(name)
        _ten_stacks_that_change(folder)
        once, diff, review = side_by_side(
            5,
            command(AIRIS, "render", "--stack", "gpu"),
            command(AIRIS, "diff", "--stack", "team-0", folder=folder),
            command(AIRIS, "review", "--base", "HEAD", "--no-rehearsal", "--output", "/dev/null", folder=folder),
        )
    yield Row("`airis diff`, one setting changed", diff, "`airis render -s gpu`", once, 2.2)
    yield Row("`airis review`, ten stacks that change, no rehearsal", review, "`airis render -s gpu`", once, 12)


def _ten_stacks_that_change(folder: Path) -> None:
    """A repository with the program, and ten stacks that differ from its only commit."""
    for package in ("airis", "components", "policy", "settings"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("__main__.py", "Pulumi.yaml"):
        shutil.copy(ROOT / file, folder)
    stacks = [folder / f"Pulumi.team-{number}.yaml" for number in range(10)]
    text = (ROOT / "Pulumi.gpu.yaml").read_text(encoding="utf-8")
    for each in stacks:
        each.write_text(text, encoding="utf-8")
    identity = ("-c", "user.name=bench", "-c", "user.email=bench@example.com", "-c", "commit.gpgsign=false")
    for arguments in (("init", "--quiet"), ("add", "."), ("commit", "--quiet", "--message=base")):
        command("git", *identity, *arguments, folder=folder)()
    for each in stacks:
        each.write_text(f"{text}  airis:webui:\n    replicas: 0\n", encoding="utf-8")
