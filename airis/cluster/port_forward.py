"""`kubectl port-forward` as a child process: forwards a port of this machine to a pod."""

import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from airis.cluster.connection import Cluster
from airis.cluster.kubectl import KubectlError, environment

_LISTENING = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+) ->")
_POD_SECONDS = 5
_START_SECONDS = 20.0
_END_SECONDS = 5.0


class PortForward:
    """A running `kubectl port-forward`. It ends when its pod ends."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._settled = threading.Event()
        self._port = 0
        self._words = ""
        _each_line(process.stdout, self._told, self._settled.set)
        _each_line(process.stderr, self._complained, lambda: None)

    @property
    def ended(self) -> bool:
        """Whether the process has ended."""
        return self._process.poll() is not None

    @property
    def words(self) -> str:
        """Kubectl's last error message; empty if there is none."""
        return self._words

    def port(self) -> int:
        """Waits until it listens on 127.0.0.1, and returns the port.

        Raises KubectlError, with kubectl's message, if it ends first, or prints nothing for 20 seconds.
        """
        self._settled.wait(_START_SECONDS)
        if not self._port:
            raise KubectlError(f"kubectl port-forward: {self._words or 'it did not start to listen'}")
        return self._port

    def _told(self, line: str) -> None:
        if found := _LISTENING.match(line):
            self._port = int(found[1])
            self._settled.set()

    def _complained(self, line: str) -> None:
        self._words = line.strip() or self._words


@contextmanager
def forwarded(cluster: Cluster, service: str, port: int) -> Iterator[PortForward]:
    """Forwards to `port` of a pod of the Service while the block runs, and then ends kubectl.

    Raises KubectlError if kubectl cannot be started.
    """
    command = cluster.command(
        "port-forward",
        "--address=127.0.0.1",
        f"--pod-running-timeout={_POD_SECONDS}s",
        f"service/{service}",
        f":{port}",
    )
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            env=environment(),
        )
    except OSError as error:
        raise KubectlError(f"kubectl port-forward: {error.strerror or error}: {command[0]}") from None
    try:
        yield PortForward(process)
    finally:
        process.terminate()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _each_line(stream: IO[str] | None, take: Callable[[str], None], at_end: Callable[[], None]) -> None:
    """Reads a pipe until its end in a thread: kubectl would block on a full pipe."""

    def run() -> None:
        for line in stream or ():
            take(line)
        at_end()

    threading.Thread(target=run, daemon=True).start()
