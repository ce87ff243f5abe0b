"""kubectl on the user's own cluster, for what backup and restore need: to look, to scale, to stream through a pod.

Stacks are deployed by Pulumi and by nothing else. What is done here is operation, not deployment: a helper pod that
lives for minutes, and a Deployment that is paused and brought back to as many pods as it had.
"""

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, TypeVar, cast

from airis.backup import agent
from airis.backup.archive import Advance, BrokenStream
from airis.cluster import configured_cluster
from airis.errors import AirisError, EnvironmentProblem
from airis.kubectl import LISTED, KubectlError, call, environment, listed
from airis.sandbox.binaries import cached
from airis.stacks import StackFile

T = TypeVar("T")

START = "import sys;exec(compile(sys.stdin.buffer.read(int(sys.argv.pop(1))),'airis','exec'))"
"""Reads the agent from stdin and runs it; what is left on stdin is for the agent. Command lines are too short for it."""

_CHUNK = 1 << 20
_STDERR_BYTES = 8192
_STOP_SECONDS = 10.0


class Refusal(AirisError):
    """The agent's own refusal: it promises that the data is as it was."""


def answer(stdout: BinaryIO) -> dict[str, Any]:
    """Reads the agent's answer, where that is JSON."""
    try:
        return dict(json.loads(stdout.read()))
    except ValueError:
        raise BrokenStream("the connection to the pod broke before it answered") from None


@dataclass(frozen=True)
class Cluster:
    """One namespace of one cluster. `options` are kubectl's own, such as `--context`."""

    binary: Path
    namespace: str
    options: Sequence[str] = ()

    def run(self, *args: str, stdin: str | None = None, timeout: float = 60.0) -> str:
        """Runs one command and returns its stdout. Raises KubectlError with kubectl's own words when it fails."""
        what = f"kubectl {' '.join(args[:2])}"
        # Ctrl-C is for airis, which tidies up with further commands
        return call(self._command(*args), what, stdin=stdin, timeout=timeout, own_session=True)

    def get(self, *args: str) -> list[dict[str, Any]]:
        """The objects that `kubectl get <args>` finds; none is an empty list."""
        return listed(self.run("get", *args, *LISTED))

    def agent(
        self,
        pod: str,
        container: str,
        *arguments: str,
        receive: Callable[[BinaryIO], T],
        archive: Path | None = None,
        advance: Advance = lambda done, detail: None,
    ) -> T:
        """Runs the agent in a pod and returns what `receive` makes of its stdout; `archive` goes to its stdin.

        Raises Refusal when the agent refuses, and another AirisError when anything else goes wrong on the way.
        """
        source = Path(agent.__file__).read_bytes()
        # -I: no Python paths or variables of the image count; -B: nothing is written beside the modules
        remote = ["python3", "-I", "-B", "-c", START, str(len(source)), *arguments]
        command = self._command("exec", "--stdin", pod, f"--container={container}", "--", *remote)
        with tempfile.TemporaryFile() as errors, self._started(command, errors) as process:
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
    def _started(self, command: Sequence[str], errors: IO[bytes]) -> Iterator["subprocess.Popen[bytes]"]:
        """A process that is gone after the block."""
        pipe = subprocess.PIPE
        try:
            process = subprocess.Popen(
                command, stdin=pipe, stdout=pipe, stderr=errors, env=environment(), start_new_session=True
            )
        except OSError as error:
            raise KubectlError(f"kubectl exec: {error.strerror or error}: {self.binary}") from None
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            for each in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):
                    each.close()  # type: ignore[union-attr]  # they are pipes

    def _command(self, *args: str) -> list[str]:
        return [str(self.binary), *self.options, f"--namespace={self.namespace}", *args]


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
    """What the agent said on stderr, or else the last thing that kubectl did."""
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


@contextmanager
def connected(stack: StackFile, namespace: str, kubeconfig: Path | None) -> Iterator[Cluster]:
    """The cluster that the stack is on: `kubeconfig`, if given, or else the one that `pulumi up` goes to.

    Raises EnvironmentProblem where none is configured or kubectl is missing.
    """
    binary = _kubectl()
    context = stack.config.get("kubernetes:context")
    options = [f"--context={context}"] if context and kubeconfig is None else []
    own = stack.config.get("kubernetes:kubeconfig")
    if kubeconfig is not None:
        if not kubeconfig.is_file():
            raise AirisError(f"{kubeconfig}: there is no such file", "--kubeconfig names a kubeconfig")
        yield Cluster(binary, namespace, [f"--kubeconfig={kubeconfig}"])
    elif "kubernetes:kubeconfig" in stack.secret_keys:
        raise AirisError(
            f"{stack.path.name}: kubernetes:kubeconfig is encrypted, and only Pulumi can decrypt it",
            "name the same cluster with --kubeconfig",
        )
    elif own is None:
        if configured_cluster(stack) is None:
            raise EnvironmentProblem(
                "no cluster is configured", "set $KUBECONFIG, or name a kubeconfig with --kubeconfig"
            )
        yield Cluster(binary, namespace, options)
    elif "\n" not in own:
        yield Cluster(binary, namespace, [f"--kubeconfig={stack.path.parent / Path(own).expanduser()}", *options])
    else:
        with tempfile.NamedTemporaryFile("w", suffix=".kubeconfig") as file:  # readable by its owner alone
            file.write(own)
            file.flush()
            yield Cluster(binary, namespace, [f"--kubeconfig={file.name}", *options])


def _kubectl() -> Path:
    if found := shutil.which("kubectl"):
        return Path(found)
    with contextlib.suppress(AirisError, OSError):
        if (ours := cached().path("kubectl")).exists():
            return ours
    raise EnvironmentProblem("kubectl is missing", "install it, or `airis sandbox build`, which brings one along")
