"""Nothing is left of a node: after its end, after SIGKILL of its starter, or after SIGKILL of its keeper and the next start."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cluster.node import groups
from tests.cluster.target import KUBECONFIG
from tests.cluster.test_node import eventually

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(KUBECONFIG in os.environ, reason=f"NO NODE: ${KUBECONFIG} names a cluster to run on instead"),
]

STARTER = """
import sys, json, os
from pathlib import Path
from tests.cluster.images.recipes import BUSYBOX, PAUSE
from tests.cluster.node import images
from tests.cluster.node.node import running
from tests.cluster.pods import shell
from tests.cluster.ready import wait_ready

with running(Path(sys.argv[1])) as node:
    images.load(node, [PAUSE, BUSYBOX])
    pod = shell("pod", "default", volumeMounts=[{"name": "temporary", "mountPath": "/tmp"}])
    pod["spec"]["volumes"] = [{"name": "temporary", "emptyDir": {"medium": "Memory"}}]
    while not node.kubectl.get("serviceaccounts", "default", "--namespace=default"):
        pass
    node.kubectl.apply([pod])
    wait_ready(node.kubectl, [pod])
    print(node.slot.folder, node.pid, node.keeper_pid, node.slot.group, flush=True)
    sys.stdin.read()
"""
"""Starts a node with a running pod that has a mount; ends it when its stdin ends."""

KERNEL = ("vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys")

FOLDERS = ("/run/containerd", "/run/netns", "/var/lib/cni", "/var/lib/kubelet", "/var/log/pods", "/opt/containerd", "/etc/cni",
           "/usr/libexec/kubernetes", "/run/xtables.lock", "/var/lib/containerd", "/opt/nri", "/etc/containerd")  # fmt: skip


def machine() -> dict[str, object]:
    """Things that a node could leave on the machine."""
    return {
        "mounts": Path("/proc/self/mountinfo").read_text(),
        # of the machine, like the parent process: this process may be in the network namespace of the node of other tests
        "interfaces": [
            line.split(":")[0].strip()
            for line in Path(f"/proc/{os.getppid()}/net/dev").read_text().splitlines()
            if ":" in line
        ],
        "settings": [Path("/proc/sys", each).read_text() for each in KERNEL],
        "folders": [each for each in FOLDERS if Path(each).exists()],
    }


@dataclass
class Started:
    """A node that a separate process has started."""

    starter: "subprocess.Popen[str]"
    folder: Path
    pid: int
    keeper: int
    group: str

    def __post_init__(self) -> None:
        self.namespaces = {
            kind: os.fspath(Path(f"/proc/{self.pid}/ns/{kind}").readlink()) for kind in ("pid", "net", "mnt", "ipc")
        }

    def inhabitants(self) -> list[str]:
        """The processes in its namespaces."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if any(os.fspath((process / "ns" / kind).readlink()) == name for kind, name in self.namespaces.items()):
                    found.append(f"{process.name} {(process / 'comm').read_text().strip()}")
        return found

    def groups(self) -> list[Path]:
        return [each / self.group for each in groups.hierarchies() if (each / self.group).exists()]

    def left(self) -> list[object]:
        """The remains of the node on the machine."""
        return [*self.inhabitants(), *self.groups(), *self.folder.glob("run")]


def start(root: Path) -> Started:
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(root)],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert starter.stdout is not None
    folder, pid, keeper, group = starter.stdout.readline().split()
    return Started(starter, Path(folder), int(pid), int(keeper), group)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nodes")


@pytest.fixture
def before() -> Iterator[dict[str, object]]:
    yield (found := machine())
    assert machine() == found


@pytest.fixture
def node(root: Path, before: dict[str, object]) -> Iterator[Started]:
    started = start(root)
    assert len(started.inhabitants()) > 10
    assert started.groups()
    yield started
    with suppress(ProcessLookupError):
        started.starter.kill()
        started.starter.wait()


def test_nothing_is_left_after_its_end(node: Started) -> None:
    assert node.starter.stdin is not None
    node.starter.stdin.close()
    begun = time.monotonic()
    assert node.starter.wait(60) == 0
    assert node.left() == []
    assert time.monotonic() - begun < 20


def test_nothing_is_left_after_its_starter_is_killed(node: Started) -> None:
    node.starter.kill()
    node.starter.wait()
    assert eventually(lambda: node.left() == []), node.left()
    assert eventually(lambda: not Path(f"/proc/{node.keeper}").exists())


def test_no_process_is_left_if_its_keeper_is_killed_too_and_the_next_start_removes_the_rest(
    node: Started, root: Path
) -> None:
    os.kill(node.keeper, signal.SIGKILL)
    node.starter.kill()
    node.starter.wait()
    assert eventually(lambda: node.inhabitants() == []), node.inhabitants()
    assert node.groups()
    following = start(root)
    assert following.folder == node.folder
    following.starter.kill()
    following.starter.wait()
    assert eventually(lambda: following.left() == []), following.left()
