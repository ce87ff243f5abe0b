"""Runs the agent in a pod through `kubectl exec`, with streams to and from it."""

import contextlib
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, TypeVar, cast

from airis.backup import agent
from airis.backup.archive import Advance, BrokenStream
from airis.cluster.connection import Cluster
from airis.cluster.kubectl import KubectlError, environment
from airis.terminal.errors import AirisError

T = TypeVar("T")

START = "import sys;exec(compile(sys.stdin.buffer.read(int(sys.argv.pop(1))),'airis','exec'))"
"""Reads the agent's source from stdin and runs it. The rest of stdin is for the agent. A command line is too short for it."""

_CHUNK = 1 << 20
_STDERR_BYTES = 8192
_STOP_SECONDS = 10.0


class Refusal(AirisError):
    """The agent's refusal: it guarantees that the data is unchanged."""


def answer(stdout: BinaryIO) -> dict[str, Any]:
    """Reads the agent's JSON answer."""
    try:
        return dict(json.loads(stdout.read()))
    except ValueError:
        raise BrokenStream("the connection to the pod broke before it answered") from None


def run_agent(
    cluster: Cluster,
    pod: str,
    container: str,
    *arguments: str,
    receive: Callable[[BinaryIO], T],
    archive: Path | None = None,
    advance: Advance = lambda done, detail: None,
) -> T:
    """Runs the agent in a pod, and returns the result of `receive` on its stdout. `archive` goes to its stdin.

    Raises Refusal if the agent refuses, and another AirisError for any other failure.
    """
    source = Path(agent.__file__).read_bytes()
    # -I: ignore the image's Python paths and variables; -B: write no bytecode
    remote = ["python3", "-I", "-B", "-c", START, str(len(source)), *arguments]
    command = cluster.command("exec", "--stdin", pod, f"--container={container}", "--", *remote)
    with tempfile.TemporaryFile() as errors, _started(command, errors) as process:
        stdin, stdout = cast(BinaryIO, process.stdin), cast(BinaryIO, process.stdout)
        try:
            with contextlib.suppress(BrokenPipeError), contextlib.closing(stdin):  # why it broke is on stderr
                stdin.write(source)
                if archive is not None:
                    _send(archive, stdin, advance)
            result = receive(stdout)
            while stdout.read(_CHUNK):
                pass
        except BrokenStream as broken:
            stdout.close()
            raise _failure(pod, _ended(process), errors) or broken from None
        if failure := _failure(pod, process.wait(), errors):
            raise failure
    return result


@contextmanager
def _started(command: Sequence[str], errors: IO[bytes]) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that is killed at the end of the block."""
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=errors, env=environment(), start_new_session=True
        )
    except OSError as error:
        raise KubectlError(f"kubectl exec: {error.strerror or error}: {command[0]}") from None
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for each in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                each.close()  # type: ignore[union-attr]  # they are pipes


def _send(archive: Path, stdin: BinaryIO, advance: Advance) -> None:
    total, done = archive.stat().st_size, 0
    with archive.open("rb") as file:
        while chunk := file.read(_CHUNK):
            stdin.write(chunk)
            done += len(chunk)
            advance(done / total, f"{done >> 20} MiB")


def _ended(process: "subprocess.Popen[bytes]") -> int:
    with contextlib.suppress(subprocess.TimeoutExpired):
        return process.wait(_STOP_SECONDS)
    process.kill()
    return process.wait()


def _failure(pod: str, code: int, errors: IO[bytes]) -> AirisError | None:
    """The agent's error on stderr, or else the last line of kubectl."""
    if not code:
        return None
    errors.seek(0, os.SEEK_END)
    errors.seek(max(0, errors.tell() - _STDERR_BYTES))
    lines = [each for each in errors.read().decode(errors="replace").splitlines() if each.strip()]
    for line in reversed(lines):
        with contextlib.suppress(ValueError):
            match json.loads(line):
                case {"message": str(message), "remedy": str(remedy), "refused": bool(refused)}:
                    return (Refusal if refused else AirisError)(message, remedy)
    last = next((each for each in reversed(lines) if not each.startswith("command terminated")), f"exit code {code}")
    return KubectlError(f"kubectl exec {pod}: {last.strip()}")
