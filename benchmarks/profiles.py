"""Profiles of the slowest steps, as text."""

import re
import subprocess
import sys
from pathlib import Path

from benchmarks.measure import ROOT

FOLDER = ROOT / "docs" / "profiles"

_SCRIPT = """
import gc, json, os, sys
gc.set_threshold(200_000, 20, 20)  # as the command does
from pathlib import Path
from pyinstrument import Profiler
from pyinstrument.renderers import ConsoleRenderer
profiler = Profiler(interval=0.001, async_mode="disabled")

def render():
    from airis.render import manifest, program
    from airis.stack_file.stacks import read_stack
    stack = read_stack("gpu", Path())
    os.environ |= {"PULUMI_CONFIG": json.dumps(dict(stack.config)), "PULUMI_CONFIG_SECRET_KEYS": "[]"}
    return manifest.to_yaml(program._run(stack, False).objects)  # in this thread, where the profiler looks

runs = int(sys.argv[1])
if runs > 1:
    render()  # imports what is imported once
with profiler:
    for _ in range(runs):
        render()
hidden = {"filter_threshold": 0.015, "show_regex": ".*/(pulumi|pulumi_kubernetes|pydantic|grpc|airis|components|settings)/.*"}
print(profiler.output(ConsoleRenderer(unicode=True, processor_options=hidden)))
"""

PROFILES = {"one-render": 1, "twenty-more-renders": 20}
"""Renders in the profile, by the name of its file."""


def write() -> list[Path]:
    """Profiles each step with pyinstrument; returns the files that it wrote."""
    FOLDER.mkdir(exist_ok=True)
    written = []
    for name, runs in PROFILES.items():
        done = subprocess.run(
            [sys.executable, "-c", _SCRIPT, str(runs)], cwd=ROOT, check=True, capture_output=True, text=True
        )
        path = FOLDER / f"{name}.txt"
        path.write_text(_of_no_machine(done.stdout), encoding="utf-8")
        written.append(path)
    return written


def _of_no_machine(text: str) -> str:
    """Only the tree, without the heading, which contains a folder of this machine."""
    tree = re.sub(r"\A.*?^(?=\d+\.\d+ )", "", text, flags=re.DOTALL | re.MULTILINE)
    return "\n".join(line.rstrip() for line in tree.strip().splitlines()) + "\n"
