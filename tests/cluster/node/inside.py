"""The node from inside: process 1 of its own namespaces, and its child process, which starts and watches the daemons.

`python -m tests.cluster.node.inside FOLDER GROUP`, with the programs on PATH. It reports its progress by lines on stdout:
`containerd`, `api`, `ready`, or `error` with a reason, after which it ends. All its mounts, processes and settings are in the
namespaces that `keeper` created for it, and end with them.
"""

import http.client
import json
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.cluster.node import certificates
from tests.cluster.node.daemons import NO_NAMES, SLOT, commands, configure
from tests.cluster.node.places import ADDRESS, API_PORT, INSIDE, NAME, OUTSIDE, SOCKET

_SECONDS = 180.0
_POLL_SECONDS = 0.1
_WATCH_SECONDS = 0.5
_LAST_LINES = 5

_KUBELETS_OWN = ("vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys",
                 "kernel/keys/root_maxbytes")  # fmt: skip
"""Kernel settings of the whole machine that a kubelet changes (kubernetes, pkg/kubelet/cm/container_manager_linux.go)."""


_CORES = 8
"""The minimum resources of the node, so that any stack fits: requests are only accounted, limits are enforced as usual."""


class Failed(Exception):
    """The node cannot start, or one of its daemons has ended."""


def main() -> None:
    """Process 1: reaps orphans until the worker ends; the kernel then ends all other processes."""
    folder, group = sys.argv[1:]
    worker = os.fork()
    if worker == 0:
        _work(Path(folder), group)
    while os.wait()[0] != worker:
        pass


def _work(folder: Path, group: str) -> None:
    try:
        _mount(folder)
        _connect()
        configure(SLOT, group)
        certificates.issue(SLOT.etc)
        Node().run()
    except (Failed, OSError, subprocess.SubprocessError) as error:
        _tell("error", str(error))
    os._exit(1)


def _tell(word: str, *more: str) -> None:
    print(json.dumps([word, *more]), flush=True)


def _call(*command: str) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        raise Failed(f"{' '.join(command)}: {done.stderr.strip()}")


def _mount(folder: Path) -> None:
    """Gives the node its own /run, and lets it write in /etc and /var, without changes to those of the machine."""
    _call("mount", "--make-rshared", "/")  # of this namespace: mounts of pods may propagate
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)  # it may itself be below /run or /var
    _call("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    INSIDE.mkdir()
    _call("mount", "--bind", f"/proc/{os.getpid()}/fd/{held}", str(INSIDE))
    os.close(held)
    for each in ("lock", "sysctl"):
        Path("/run", each).mkdir()
    for each in ("etc", "var"):
        upper, work = Path("/run/over", each, "upper"), Path("/run/over", each, "work")
        upper.mkdir(parents=True)
        work.mkdir()
        layers = f"lowerdir=/{each},upperdir={upper},workdir={work}"
        _call("mount", "-t", "overlay", "-o", layers, "overlay", f"/{each}")
    resolver = Path("/etc/resolv.conf")
    resolver.unlink(missing_ok=True)  # often a link to the machine's /run
    resolver.write_text(NO_NAMES)
    # The kubelet counts the folders of processors (cadvisor, utils/sysinfo), and prefers those of NUMA nodes
    for each in ("cpu", "node"):
        _call("mount", "-t", "tmpfs", "tmpfs", f"/sys/devices/system/{each}")
    for number in range(max(_CORES, os.cpu_count() or 0)):
        Path(f"/sys/devices/system/cpu/cpu{number}").mkdir()
    for number, each in enumerate(_KUBELETS_OWN):
        if (setting := Path("/proc/sys", each)).exists():
            copy = Path("/run/sysctl", str(number))
            copy.write_text(setting.read_text())
            _call("mount", "--bind", str(copy), str(setting))


def _connect() -> None:
    _call("ip", "link", "set", "lo", "up")
    _call("ip", "link", "add", "name", "node0", "type", "bridge")
    for address in (ADDRESS, OUTSIDE):
        _call("ip", "address", "add", f"{address}/24", "dev", "node0")
    _call("ip", "link", "set", "node0", "up")
    _call("ip", "route", "add", "default", "dev", "node0")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


class Node:
    """The daemons."""

    def __init__(self) -> None:
        self._commands = commands()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._context = ssl.create_default_context(cafile=str(SLOT.etc / "ca.crt"))
        self._context.load_cert_chain(SLOT.etc / "admin.crt", SLOT.etc / "admin.key")

    def run(self) -> None:
        """Starts them in order, and watches them. Raises Failed if one cannot start, or ends."""
        self._start("containerd", "etcd", "kube-apiserver")
        self._wait("containerd answers", SOCKET.exists)
        _tell("containerd")
        self._wait("the API server is ready", lambda: self._get("/readyz") == b"ok")
        _tell("api")
        self._start("kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")
        self._wait("the node is Ready", self._is_ready)
        self._start("kube-router")  # it ends immediately if its node is not registered yet
        self._wait("kube-router enforces policies", self._enforces)
        _tell("ready")
        while True:
            self._check()
            time.sleep(_WATCH_SECONDS)

    def _start(self, *names: str) -> None:
        for name in names:
            with (SLOT.logs / f"{name}.log").open("wb") as log:
                self._running[name] = subprocess.Popen(
                    self._commands[name], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/run"
                )

    def _check(self) -> None:
        for name, process in self._running.items():
            if process.poll() is not None:
                raise Failed(f"{name} has ended ({process.returncode}): {self._last(name)}")

    def _last(self, name: str) -> str:
        lines = (SLOT.logs / f"{name}.log").read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-_LAST_LINES:])

    def _wait(self, what: str, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _SECONDS
        while not condition():
            self._check()
            if time.monotonic() > deadline:
                raise Failed(f"after {_SECONDS:g} s, it is not true that {what}: see {SLOT.logs}")
            time.sleep(_POLL_SECONDS)

    def _get(self, path: str) -> bytes:
        """The response of the API server; empty if there is none."""
        connection = http.client.HTTPSConnection(ADDRESS, API_PORT, timeout=10, context=self._context)
        with suppress(OSError, http.client.HTTPException):
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status == http.HTTPStatus.OK:
                return body
        return b""

    def _is_ready(self) -> bool:
        node = json.loads(self._get(f"/api/v1/nodes/{NAME}") or "{}")
        conditions = node.get("status", {}).get("conditions", [])
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

    def _enforces(self) -> bool:
        """Whether kube-router has finished its first sync (its docs/health.md)."""
        connection = http.client.HTTPConnection("127.0.0.1", 20244, timeout=5)
        with suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/healthz")
            return connection.getresponse().status == http.HTTPStatus.OK
        return False


if __name__ == "__main__":
    main()
