"""Benchmarks of the variables that fit Ollama to its pod, on a real node: docs/benchmarks-ollama.md.

`python -m benchmarks.ollama` measures, and writes the page. Like `make test-cluster`, it needs Linux and root.
"""

import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from benchmarks.measure import HEADINGS, ROOT, Row, Sample, machine, table
from settings.ollama.llama_server import LLAMA_THREADS, PROMPT_CACHE
from settings.types.releases import OLLAMA
from tests.cluster import models
from tests.cluster.models import Tiny
from tests.cluster.prompts import Answer, Stopped, ask, different
from tests.cluster.stacks import Applied, new_namespace
from tests.cluster.target import Target, obstacle, target

PAGE = ROOT / "docs" / "benchmarks-ollama.md"

MODEL = Tiny(16, 1024)
"""437 MB. Each byte of a prompt is a token."""

CPU_LIMITS = ("500m", "1", "2")
_ROUNDS = 4
_PROMPT = 64
_TOKENS = 32

MEMORY_LIMIT = "1200Mi"
_LONG_PROMPT = 1500
_PROMPTS = 18
_SECONDS = 300.0

RENDERED, WITHOUT = "as rendered", "without"
"""The environment of an Ollama: from the settings, or without the variables, with as many threads as this host has cores."""


class Ollama(Applied):
    """A stack without its WebUI."""

    def _rendered(self, settings: Mapping[str, object]) -> list[dict[str, Any]]:
        return [each for each in super()._rendered(settings) if each["kind"] != "Deployment"]

    def start(self, way: str, **limits: str) -> str:
        """Starts it with these limits, and loads the model; returns its URL."""
        none = {"cpu": "100m", "memory": "100Mi"}
        self.up(ollama={"resources": {"requests": none, "limits": limits}})
        if way == WITHOUT:
            self.cluster.run("set", "env", "statefulset/ollama", f"{LLAMA_THREADS}-", f"{PROMPT_CACHE}-")
            self.cluster.run("rollout", "status", "statefulset/ollama", "--timeout=120s", timeout=130)
        url = self.url("ollama-service")
        _answers(url)
        if not requests.get(f"{url}/api/tags", timeout=_SECONDS).json()["models"]:
            models.give(self.target, url, tiny=MODEL)
        ask(url, "warm up", 1)
        return url


def speed(stacks: Mapping[str, Ollama]) -> Iterator[Row]:
    """Each environment with each CPU limit, in turns."""
    prompts = different(_PROMPT)
    for cpu in CPU_LIMITS:
        print(f"Measuring Ollama with a CPU limit of {cpu} ...", file=sys.stderr, flush=True)
        urls = {way: stack.start(way, cpu=cpu, memory="2Gi") for way, stack in stacks.items()}
        taken: dict[str, list[Answer]] = {way: [] for way in urls}
        for _ in range(_ROUNDS):
            for way, url in urls.items():
                taken[way].append(ask(url, next(prompts), _TOKENS))
        for what, index in ((f"{_TOKENS} tokens", 1), (f"first token, after a prompt of {_PROMPT}", 0)):
            samples = {way: Sample(tuple(each[index] for each in answers)) for way, answers in taken.items()}
            yield Row(f"{what}, CPU limit {cpu}", samples[RENDERED], WITHOUT, samples[WITHOUT], 1.1)


@dataclass(frozen=True)
class Prompts:
    """The number of long prompts that a model answered until its server was killed."""

    way: str
    read: int
    killed: str
    """Ollama's error; empty if the server was not killed."""

    HEADINGS = ("environment", "answered prompts", "the next prompt")

    def cells(self) -> tuple[str, ...]:
        return self.way, str(self.read), f"`{self.killed.partition(',')[0]}`" if self.killed else "not sent"


def endurance(stacks: Mapping[str, Ollama]) -> Iterator[Prompts]:
    """Prompts without common prefixes, with little memory, until the model's server is killed."""
    for way in (WITHOUT, RENDERED):
        print(f"Sending long prompts to Ollama, {way} ...", file=sys.stderr, flush=True)
        url, read, killed = stacks[way].start(way, cpu="2", memory=MEMORY_LIMIT), 0, ""
        for _, prompt in zip(range(_PROMPTS), different(_LONG_PROMPT), strict=False):
            try:
                ask(url, prompt, _TOKENS)
            except Stopped as stopped:
                killed = str(stopped)
                break
            read += 1
        yield Prompts(way, read, killed)


def measured(cluster: Target, folder: Path) -> tuple[list[Row], list[Prompts]]:
    """Everything, one after the other."""
    with ExitStack() as spaces:
        stacks = {
            way: Ollama(cluster, spaces.enter_context(new_namespace(cluster)), folder) for way in (RENDERED, WITHOUT)
        }
        return list(speed(stacks)), list(endurance(stacks))


def write() -> bool:
    """Measures, and writes the page; returns whether every limit is kept."""
    with target() as cluster, tempfile.TemporaryDirectory(prefix="airis-bench-") as folder:
        rows, prompts = measured(cluster, Path(folder))
    PAGE.write_text(_page(rows, prompts), encoding="utf-8")
    return all(each.ok for each in rows) and all(not each.killed for each in prompts if each.way == RENDERED)


def _page(rows: Sequence[Row], prompts: Sequence[Prompts]) -> str:
    return f"""# Benchmarks of Ollama in its pod

`python -m benchmarks.ollama` generates this page: Ollama {OLLAMA.version} on a real node (`tests/cluster`), on CPU, with a
model of {MODEL.layers} layers and width {MODEL.width} (437 MB). Two pods with the same limits take turns: one as rendered, and
one without the variables of [models.md](models.md#threads-and-prompt-cache), which has as many threads as the host has cores.
Figures are medians of {_ROUNDS} answers. {machine()}

{table(HEADINGS, [row.cells() for row in rows])}

## Cached prompts

The memory limit is {MEMORY_LIMIT}. {_PROMPTS} prompts of {_LONG_PROMPT} tokens without common prefixes are sent.

{table(Prompts.HEADINGS, [each.cells() for each in prompts])}
"""


def _answers(url: str) -> None:
    """Waits until the Service routes to the pod."""
    deadline = time.monotonic() + 30
    while True:
        try:
            requests.get(f"{url}/api/version", timeout=5)
            return
        except requests.ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


if __name__ == "__main__":
    if reason := obstacle():
        sys.exit(f"Cannot run a real node: {reason}")
    sys.exit(0 if write() else 1)
