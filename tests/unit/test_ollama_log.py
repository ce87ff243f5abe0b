"""Parsing Ollama's log, with lines of 0.17.4 and 0.34.4."""

import pytest

from airis.cluster.ollama_log import REMEDY, Ended, compute, ended
from tests.unit.drawing import ROOT

pytestmark = pytest.mark.timeout(60)

LISTENING = (
    'time=2026-11-28T10:00:00.000Z level=INFO source=routes.go:{line} msg="Listening on [::]:11434 (version {version})"\n'
    'time=2026-11-28T10:00:00.001Z level=INFO source=runner.go:60 msg="discovering available GPUs..."\n'
)
STARTS = [LISTENING.format(line=1718, version="0.17.4"), LISTENING.format(line=2063, version="0.34.4")]
LINE = (
    'time=2026-11-28T10:00:01.000Z level=INFO source=types.go:{line} msg="inference compute" id={id} {filter}library={library} '
    'compute={compute} name={name} description={name} libdirs=ollama driver={driver} pci_id="" type={type} total="31.3 GiB" '
    'available="30.4 GiB"\n'
)
CPU = LINE.format(line=50, id="cpu", filter="", library="cpu", compute='""', name="cpu", driver='""', type='""')
CUDA = LINE.format(
    line=32,
    id="GPU-452cac9f",
    filter='filter_id="" ',
    library="CUDA",
    compute="8.9",
    name='"NVIDIA L4"',
    driver="13.0",
    type="discrete",
)
OLD = (
    'time=2026-11-28T10:00:00.900Z level=WARN source=cuda_compat.go:65 msg="NVIDIA driver too old" device="NVIDIA L4" '
    'driver=535 required_driver="550 or newer"\n'
)
REQUEST = '[GIN] 2026/11/28 - 10:00:09 | 200 |      50.263µs |       10.0.0.1 | GET      "/api/tags"\n'


@pytest.mark.parametrize("start", STARTS)
def test_a_server_without_a_gpu_computes_on_the_cpu(start: str) -> None:
    found = compute(start + CPU + REQUEST)

    assert found is not None
    assert found.on_cpu
    assert found.libraries == ("cpu",)
    assert found.remedy == REMEDY


@pytest.mark.parametrize("start", STARTS)
def test_the_library_of_each_gpu_is_read(start: str) -> None:
    found = compute(start + CUDA + CUDA.replace("CUDA", "ROCm") + REQUEST)

    assert found is not None
    assert not found.on_cpu
    assert found.libraries == ("CUDA", "ROCm")


def test_the_remedy_fits_the_cause_that_ollama_gives() -> None:
    found = compute(STARTS[1] + OLD + CPU)

    assert found is not None
    assert found.causes == ("NVIDIA driver too old",)
    assert "newer NVIDIA driver" in found.remedy


@pytest.mark.parametrize("log", ["", REQUEST, STARTS[0], STARTS[1] + OLD])
def test_a_log_without_the_line_does_not_tell(log: str) -> None:
    assert compute(log) is None


def test_the_last_start_counts() -> None:
    found = compute(STARTS[0] + OLD + CPU + STARTS[1] + CUDA)

    assert found is not None
    assert (found.libraries, found.causes) == (("CUDA",), ())


def test_quoted_text_in_requests_is_not_read_as_a_device() -> None:
    quoted = REQUEST.replace("/api/tags", "/api/tags?library=cpu")

    found = compute(STARTS[1] + CUDA + quoted)

    assert found is not None
    assert found.libraries == ("CUDA",)


def killed_in_log(blob: str) -> str:
    """Ollama's log if a model's server is killed during a request, and at the next request."""
    port = 30000 + sum(map(ord, blob))
    return (
        f'time=2026-11-28T10:00:01.000Z level=INFO source=llama_server.go:436 msg="starting llama-server" '
        f'cmd="/usr/lib/ollama/llama-server --model /data/.ollama/models/blobs/{blob} --port {port} --host 127.0.0.1"\n'
        f'time=2026-11-28T10:01:00.000Z level=ERROR source=llama_server.go:1746 msg="llama-server completion error" '
        f'error="Post \\"http://127.0.0.1:{port}/completion\\": EOF"\n'
        '[GIN] 2026/11/28 - 10:01:00 | 500 |  9.1s |       10.0.0.1 | POST     "/api/generate"\n'
        'time=2026-11-28T10:02:00.000Z level=WARN source=llama_server.go:1208 msg="llama-server process no longer running" '
        'sys=9 string="signal: killed"\n'
    )


BLOB, OTHER = "sha256-" + "a" * 64, "sha256-" + "b" * 64
UNLOADED = (
    "time=2026-11-28T10:03:00.000Z level=ERROR source=llama_server.go:1029 "
    'msg="llama-server terminated" error="signal: killed" exit=unknown\n'
)
"""Ollama also kills a server like this to unload its model."""


def test_an_oom_killed_server_is_found_in_the_log() -> None:
    """Recorded lines: Ollama 0.34.4 in a pod with a limit of 1200Mi, at the sixth prompt of 1,500 tokens."""
    log = (ROOT / "tests" / "fixtures" / "ollama" / "killed-0.34.4.log").read_text(encoding="utf-8")
    blob = "sha256-d5d7fdfe32da967fe76800be3d0b05a6fcdc268d920b2821b73db1230c2f871d"

    assert ended(log) == [Ended(blob, 1, killed=True)]
    before, _, _ = log.partition("completion error")
    assert ended(before) == []


def test_models_whose_servers_were_killed_are_counted() -> None:
    log = STARTS[1] + killed_in_log(BLOB) + killed_in_log(OTHER) + UNLOADED + REQUEST

    assert ended(log) == [Ended(BLOB, 1, killed=True), Ended(OTHER, 1, killed=True)]


def test_a_server_that_ends_for_another_reason_was_not_killed() -> None:
    aborted = killed_in_log(BLOB).replace("sys=9", "sys=6").replace("signal: killed", "signal: aborted")

    assert ended(STARTS[1] + aborted) == [Ended(BLOB, 1, killed=False)]


def test_a_server_that_is_killed_while_it_loads_counts() -> None:
    begun = killed_in_log(BLOB).splitlines()[0]
    failed = 'level=INFO msg="Load failed" error="llama-server process has terminated: signal: killed"'

    assert ended(f"{STARTS[1]}{begun}\n{failed}\n{failed}\n") == [Ended(BLOB, 1, killed=True)]


def test_a_killed_server_is_found_in_a_truncated_log() -> None:
    _, *rest = killed_in_log(BLOB).splitlines(keepends=True)

    assert ended("".join(rest)) == [Ended("", 1, killed=True)]


@pytest.mark.parametrize("log", ["", STARTS[1] + CPU + REQUEST, UNLOADED, killed_in_log(BLOB) + STARTS[1] + CPU])
def test_no_server_has_ended_since_the_last_start(log: str) -> None:
    assert ended(log) == []
