"""A real Kubernetes node for tests: starts it, runs commands on it, stops it."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from airis.cluster.kubectl import Kubectl
from airis.cluster.programs.binaries import cached
from airis.cluster.programs.cache import cache_root
from airis.terminal.errors import EnvironmentProblem
from airis.terminal.progress import step
from tests.cluster.node import groups, namespaces, packages, programs
from tests.cluster.node.places import NAME, SOCKET, Slot

STAGES = ("slot", "containerd", "api", "ready")
"""The stages of a starting node, in order."""

_ROOT = Path(__file__).parents[3]
_SYSTEM = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_START_SECONDS = 400.0
_STOP_SECONDS = 60.0


def obstacle() -> str | None:
    """The reason why no node can run on this machine, if there is one. Nothing is installed in that case."""
    if sys.platform != "linux":
        return "it takes Linux"
    if os.geteuid() != 0:
        return "it takes root"
    if packages.missing(packages.NODE) and shutil.which("apt-get") is None:
        return f"these packages are missing, and there is no apt-get: {', '.join(packages.missing(packages.NODE))}"
    namespaces = ["unshare", "--fork", "--pid", "--mount", "--net", "--ipc", "--mount-proc", "true"]
    if subprocess.run(namespaces, capture_output=True, timeout=30, check=False).returncode:
        return "this root may not make namespaces: a container without CAP_SYS_ADMIN?"
    probe = f"airis-probe-{os.getpid()}"
    try:
        groups.make(probe)
    except OSError as error:
        return f"this root may not make control groups: {error}"
    finally:
        with suppress(OSError):
            groups.remove(probe)
    return None if groups.hierarchies() else "no control groups are mounted"


@dataclass
class Node:
    """A running node, which ends with this process at the latest."""

    slot: Slot
    pid: int
    """The process in whose namespaces the node runs."""
    kubectl: Kubectl
    path: str
    """PATH with the programs of the node."""
    _keeper: "subprocess.Popen[str]"
    _told: list[list[str]] = field(default_factory=list)

    def wait(self, stage: str, seconds: float = _START_SECONDS) -> None:
        """Returns when the node has reached this stage. Raises EnvironmentProblem with the reason if it does not."""
        deadline = time.monotonic() + seconds
        while stage not in [word for word, *_ in self._told]:
            self.check()
            if time.monotonic() > deadline:
                raise EnvironmentProblem(f"after {seconds:g} s the node is not {stage}", f"see {self.slot.logs}")
            time.sleep(0.05)

    def check(self) -> None:
        """Raises EnvironmentProblem with the reason if the node has ended unexpectedly."""
        for word, *more in list(self._told):
            if word == "error":
                raise EnvironmentProblem(f"the node has ended: {' '.join(more)}", f"see {self.slot.logs}")
        if self._keeper.poll() is not None:
            raise EnvironmentProblem(f"the node's keeper has ended: {self._keeper.returncode}", f"see {self.slot.logs}")

    def inside(self) -> AbstractContextManager[None]:
        """Moves this thread into the node's network namespace while the block runs."""
        return namespaces.network_of(self.pid)

    def outside(self) -> AbstractContextManager[None]:
        """Moves this thread back into the machine's network namespace, where registries are reachable, while the block runs."""
        return namespaces.network_of(self._keeper.pid)

    def command(self, *args: str) -> list[str]:
        """The command line that runs a command in the namespaces of the node."""
        return ["nsenter", f"--target={self.pid}", "--pid", "--mount", "--net", "--ipc", *args]

    def ctr(self, *args: str, stdin: IO[bytes] | None = None, timeout: float = 600) -> str:
        """Runs containerd's client in the namespace of the pods; returns its stdout.

        Raises EnvironmentProblem with the last line of its stderr if it fails.
        """
        done = subprocess.run(
            self.command("ctr", f"--address={SOCKET}", "--namespace=k8s.io", *args),
            stdin=stdin or subprocess.DEVNULL,
            env={"PATH": self.path},
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )
        if done.returncode:
            raise EnvironmentProblem(f"ctr {' '.join(args)}: {done.stderr.strip().rpartition(chr(10))[2]}")
        return done.stdout

    @contextmanager
    def offering(self, resources: Mapping[str, str]) -> Iterator[None]:
        """Adds extended resources to the node while the block runs, like a device plugin: `{"nvidia.com/gpu": "1"}`."""

        def patch(values: Mapping[str, str | None]) -> None:
            status = json.dumps({"status": {"capacity": values, "allocatable": values}})
            self.kubectl.run("patch", "node", NAME, "--subresource=status", "--type=merge", f"--patch={status}")

        patch(resources)
        try:
            yield
        finally:
            patch(dict.fromkeys(resources))

    def control_groups(self, uid: str) -> dict[str, Path]:
        """The control groups of a pod, by hierarchy: `memory`, `cpu`, ...; in version 2, `cgroup`."""
        found = {each.name: (each / self.slot.group).rglob(f"pod{uid}") for each in groups.hierarchies()}
        return {name: path for name, paths in found.items() for path in paths}

    @property
    def keeper_pid(self) -> int:
        """The process that stops the node after this process has ended."""
        return self._keeper.pid

    def stop(self) -> None:
        """Stops the node with everything that belongs to it. Raises TimeoutExpired after a minute."""
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()
        self._keeper.wait(_STOP_SECONDS)


def launch(root: Path | None = None) -> Node:
    """Starts a node, without waiting for it; installs packages and builds programs first. `root` is the folder of its slots.

    Raises EnvironmentProblem if that is not possible.
    """
    packages.ensure()
    path = os.pathsep.join(map(str, [*programs.folders(), _SYSTEM]))
    keeper = subprocess.Popen(
        [sys.executable, "-m", "tests.cluster.node.keeper", str(root or cache_root() / "node")],
        cwd=_ROOT,
        # Only the necessary variables: the node must not use the user's proxy
        env={"PATH": path, "HOME": "/root", "PYTHONPATH": str(_ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for the tests, which stop the node at their end
    )
    assert keeper.stdout is not None
    first = keeper.stdout.readline()
    if not first:
        raise EnvironmentProblem("the node's keeper has ended before it could start the node", "see above")
    _, folder, pid = json.loads(first)
    slot = Slot(Path(folder))
    node = Node(slot, pid, Kubectl(cached().path("kubectl"), slot.kubeconfig), path, keeper, [json.loads(first)])
    threading.Thread(target=_listen, args=(keeper.stdout, node._told), daemon=True).start()
    return node


@contextmanager
def running(root: Path | None = None) -> Iterator[Node]:
    """A Ready node, with this thread in its network namespace; afterwards the node is removed completely."""
    with step("Starting a Kubernetes node", len(STAGES)) as advance:
        node = launch(root)
        try:
            for number, stage in enumerate(STAGES):
                node.wait(stage)
                advance(number + 1, stage)
        except BaseException:
            node.stop()
            raise
    try:
        with node.inside():
            yield node
    finally:
        node.stop()


def _listen(lines: IO[str], told: list[list[str]]) -> None:
    told.extend(json.loads(line) for line in lines)
