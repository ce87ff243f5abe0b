"""Measured start times and memory of the applications, and warnings for settings below them."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

from settings.pods.workload import WorkloadSettings
from settings.reading.yaml_file import read_yaml
from settings.types.quantity import as_bytes, cpu_millicores

_DATA = Path(__file__).with_name("measured.yaml")

LOCAL_EMBEDDINGS = "a local embedding model"
EMBEDDINGS_ELSEWHERE = "embeddings of a server"


def measured_warnings(
    application: Literal["webui", "ollama"], settings: WorkloadSettings, kind: str = ""
) -> Iterator[str]:
    """Warns if the startup probe fails before any measured start, or if an idle pod exceeds its memory limit.

    `kind` is the `with` of the rows that apply to these pods.
    """
    key, known = f"airis:{application}", _data()[application]
    probe = settings.probes.startup
    budget = probe.period_seconds * probe.failure_threshold
    start = _row(known["start"], settings.resources.limits.cpu)
    if budget < start["to"]:
        took = f"{start['from']} to {start['to']}" if start["from"] < start["to"] else start["to"]
        yield (
            f"{key}.probes.startup: {budget} s (periodSeconds x failureThreshold), but a start took {took} s with a CPU limit "
            f"of {start['cpu']}: the container may be restarted before it is ready, repeatedly"
        )
    limit = settings.resources.limits.memory
    rest = next(each for each in known["rest"] if each.get("with", kind) == kind)
    if limit is not None and as_bytes(limit) < as_bytes(rest["memory"]):
        what = f" with {kind}" if kind else ""
        yield (
            f"{key}.resources.limits.memory: {limit}, but an idle pod used {rest['memory']}{what}: it is OOM-killed before it "
            "is ready, repeatedly"
        )


def _row(rows: Sequence[Mapping[str, Any]], cpu: str | None) -> Mapping[str, Any]:
    """The row of the CPU limit, or of the next higher one; otherwise the row of the highest limit."""
    highest_first = sorted(rows, key=lambda each: -cpu_millicores(each["cpu"]))
    enough = [each for each in highest_first if cpu is not None and cpu_millicores(each["cpu"]) >= cpu_millicores(cpu)]
    return enough[-1] if enough else highest_first[0]


@cache
def _data() -> Mapping[str, Any]:
    found: Mapping[str, Any] = read_yaml(_DATA)
    return found
