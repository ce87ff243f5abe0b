"""A throw-away Kubernetes control plane on this machine's loopback: real API server, scheduler and controllers, KWOK's nodes.

kwokctl starts and stops the processes; everything that belongs to one sandbox lies in one folder.
"""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from airis.errors import EnvironmentProblem
from airis.kubectl import Kubectl, KubectlError, KubeObject
from airis.progress import step
from airis.sandbox.binaries import Binaries, cached, ensure, versions
from airis.sandbox.locking import held, lock_at
from airis.sandbox.places import cache_root

COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok-controller")

STORAGE_CLASS: KubeObject = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
    "provisioner": "kubernetes.io/host-path",
    "allowVolumeExpansion": True,
}
"""Binds claims to folders of this machine, at once. The provisioner is the controller manager's own."""

_ATTEMPTS = 3
_START_SECONDS = 90.0
_NODES_SECONDS = 60.0
_STOP_SECONDS = 10.0
_HOLD_SECONDS = 600.0
_HOST_PATHS = Path("/tmp/hostpath_pv")  # noqa: S108  (fixed by the provisioner: kubernetes, pkg/volume/hostpath)
_NODE_DIGEST = "airis.dev/node-digest"


@dataclass(frozen=True)
class SandboxStatus:
    """What a sandbox is and costs."""

    name: str
    running: bool
    """Whether every process lives and the API server says that it is ready."""
    version: str
    """Version of Kubernetes."""
    kubeconfig: Path
    server: str
    """URL of the API server."""
    nodes: tuple[str, ...]
    processes: Mapping[str, int]
    """Process ids of the components that live."""
    memory_bytes: int
    """Resident memory of all of them; 0 where /proc does not tell."""


class Sandbox:
    """One control plane, by its name. Two of different names live side by side.

    `root` is the cache folder. Nothing outside of it is touched, the user's own kubeconfig least of all; but volumes
    become folders in /tmp/hostpath_pv, which is where the provisioner makes them, and they go with their sandbox.
    """

    def __init__(self, name: str = "airis", root: Path | None = None) -> None:
        self.name = name
        self._root = root or cache_root()
        self._work = self._root / "clusters"
        self._folder = self._work / "clusters" / name  # as kwokctl lays it out below KWOK_WORKDIR
        self._lock = lock_at(self._work / f"{name}.lock")
        self.kubeconfig = self._work / f"{name}.kubeconfig"
        """The kubeconfig of this sandbox, and of nothing else."""

    @property
    def kubectl(self) -> Kubectl:
        """Kubectl for this sandbox."""
        return Kubectl(cached(self._root).path("kubectl"), self.kubeconfig)

    @contextmanager
    def hold(self, timeout: float = _HOLD_SECONDS) -> Iterator[None]:
        """Keeps the sandbox to this thread while the block runs; a second rehearsal waits for its turn, and says so.

        Raises EnvironmentProblem, naming the holder, when its turn does not come within `timeout` seconds.
        """
        with held(self._lock, f"it uses the sandbox {self.name}", timeout):
            yield

    def up(self) -> None:
        """Starts the sandbox; one that runs already is left as it is.

        One that is broken, or whose processes are gone since the machine restarted, is thrown away and made anew. Raises
        EnvironmentProblem where it cannot be built or started; then no process is left behind.
        """
        with self.hold():
            if self._healthy():
                return
            ensure(root=self._root)
            self._destroy()
            with step("Starting the sandbox", _ATTEMPTS) as advance:
                for attempt in range(1, _ATTEMPTS + 1):
                    try:
                        self._create()
                        self.kubectl.apply([STORAGE_CLASS])
                        self._await_service_account()
                        return
                    except (subprocess.CalledProcessError, subprocess.TimeoutExpired, KubectlError) as error:
                        # the usual reason is a port that somebody took between choosing and using it: choose again
                        reason = _last_lines(getattr(error, "stderr", None) or str(error))
                        self._destroy()
                        advance(attempt, "once more")
                    except BaseException:
                        self._destroy()
                        raise
            raise EnvironmentProblem(f"the sandbox does not start:\n{reason}", "see whether memory and ports are free")

    def down(self) -> None:
        """Stops the sandbox and forgets everything in it; does nothing where there is none."""
        with self.hold():
            self._destroy()

    def status(self) -> SandboxStatus:
        """Looks at the sandbox without touching it."""
        processes = self._processes()
        running = self._healthy()
        server = ""
        if running:
            config = yaml.safe_load(self.kubeconfig.read_text(encoding="utf-8"))
            server = str(config["clusters"][0]["cluster"]["server"])
        return SandboxStatus(
            name=self.name,
            running=running,
            version=versions()["k8s.io/kubernetes"],
            kubeconfig=self.kubeconfig,
            server=server,
            nodes=tuple(each["metadata"]["name"] for each in self.kubectl.get("nodes")) if running else (),
            processes=processes,
            memory_bytes=sum(map(_resident_bytes, processes.values())),
        )

    def set_nodes(self, nodes: Sequence[KubeObject]) -> None:
        """Makes these the sandbox's only nodes, and waits until they are Ready.

        Nodes that are already as wanted are left alone. Raises KubectlError when the API server refuses one.
        """
        wanted = {each["metadata"]["name"]: _for_kwok(each) for each in nodes}
        present = {each["metadata"]["name"]: each for each in self.kubectl.get("nodes")}
        stale = [each for name, each in present.items() if _digest_of(each) != _digest_of(wanted.get(name, {}))]
        missing = [each for name, each in wanted.items() if _digest_of(each) != _digest_of(present.get(name, {}))]
        # The status of a node that exists cannot be applied with its spec: a changed node is made anew
        self.kubectl.delete(stale)
        self.kubectl.apply(missing, timeout=max(_NODES_SECONDS, len(missing) / 10))
        deadline = time.monotonic() + _NODES_SECONDS
        while missing and not all(map(_is_ready, self.kubectl.get("nodes"))):
            if time.monotonic() > deadline:
                raise EnvironmentProblem(
                    "the sandbox's nodes do not become Ready", "`airis sandbox down`, and try again"
                )
            time.sleep(0.2)

    def create_command(self, folder: Path) -> list[str]:
        """The kwokctl command that makes this control plane; its configuration is written into `folder`."""
        binaries = cached(self._root)
        config = folder / f"{self.name}.yaml"
        config.write_text(yaml.safe_dump(_kwokctl_config(binaries)), encoding="utf-8")
        return [
            str(binaries.path("kwokctl")),
            f"--name={self.name}",
            f"--config={config}",
            "create",
            "cluster",
            f"--kubeconfig={folder / self.kubeconfig.name}",  # else kwokctl writes into the user's own
            "--extra-args=kube-controller-manager=enable-hostpath-provisioner=true",
            f"--wait={_START_SECONDS:.0f}s",
        ]

    def _create(self) -> None:
        self._work.mkdir(parents=True, exist_ok=True)
        # A session of its own: Ctrl-C is for the command in front, never for the control plane behind it
        subprocess.run(
            self.create_command(self._work),
            env={**os.environ, "KWOK_WORKDIR": str(self._work)},
            check=True,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=_START_SECONDS + 30,
            start_new_session=True,
        )

    def _destroy(self) -> None:
        """Stops every process and removes every trace, whatever state they are in."""
        with contextlib.suppress(KubectlError, OSError):
            volumes = self.kubectl.get("persistentvolumes", timeout=5) if self._processes() else []
            for volume in volumes:
                path = Path(volume["spec"].get("hostPath", {}).get("path", "/"))
                if path.parent == _HOST_PATHS:
                    shutil.rmtree(path, ignore_errors=True)
        deadline = time.monotonic() + _STOP_SECONDS
        while (processes := self._processes()) and time.monotonic() < deadline:
            for pid in processes.values():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)  # nothing of it is kept, so there is nothing to end gracefully
            time.sleep(0.05)
        shutil.rmtree(self._folder, ignore_errors=True)
        for file in (self.kubeconfig, self._work / f"{self.name}.yaml"):
            file.unlink(missing_ok=True)

    def _healthy(self) -> bool:
        if set(self._processes()) != set(COMPONENTS) or not self.kubeconfig.is_file():
            return False
        try:
            return self.kubectl.run("get", "--raw", "/readyz", timeout=5) == "ok"
        except KubectlError:
            return False

    def _await_service_account(self) -> None:
        """Pods are refused until the namespace's ServiceAccount is there."""
        deadline = time.monotonic() + _START_SECONDS
        while not self.kubectl.get("serviceaccounts", "default", "--namespace=default"):
            if time.monotonic() > deadline:
                raise KubectlError("the controller manager made no ServiceAccount")
            time.sleep(0.1)

    def _processes(self) -> dict[str, int]:
        """The components that live. A process id may have been given to somebody else: its command line decides."""
        found = {}
        for component in COMPONENTS:
            with contextlib.suppress(OSError, ValueError):
                pid = int((self._folder / "pids" / f"{component}.pid").read_text())
                if str(self._folder).encode() in _command_line(pid):
                    found[component] = pid
        return found


@contextmanager
def borrowed_sandbox(name: str = "airis") -> Iterator[Sandbox]:
    """A running sandbox for this thread alone; afterwards it runs only if it did before."""
    sandbox = Sandbox(name)
    with sandbox.hold():
        ran_before = sandbox.status().running
        sandbox.up()
        try:
            yield sandbox
        finally:
            if not ran_before:
                sandbox.down()


def _kwokctl_config(binaries: Binaries) -> dict[str, Any]:
    """Source: sigs.k8s.io/kwok, pkg/apis/config/v1alpha1/kwokctl_configuration_types.go."""
    paths = {
        "etcdBinary": "etcd",
        "etcdctlBinary": "etcdctl",
        "kubeApiserverBinary": "kube-apiserver",
        "kubeControllerManagerBinary": "kube-controller-manager",
        "kubeSchedulerBinary": "kube-scheduler",
        "kubectlBinary": "kubectl",
        "kwokControllerBinary": "kwok",
    }
    return {
        "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
        "kind": "KwokctlConfiguration",
        "options": {
            "runtime": "binary",
            "bindAddress": "127.0.0.1",  # kwokctl's own default is every interface
            "kubeVersion": versions()["k8s.io/kubernetes"],
            "kubeAuthorization": True,
            "kubeAdmission": True,
            "disableQPSLimits": True,
            **{option: str(binaries.path(program)) for option, program in paths.items()},
        },
    }


def _for_kwok(node: KubeObject) -> dict[str, Any]:
    """The node with the mark by which KWOK knows its own, and what a kubelet would report of itself."""
    status = dict(node.get("status", {}))
    allocatable = {"pods": "110", **status.get("allocatable", {})}
    status = {**status, "allocatable": allocatable, "capacity": {**allocatable, **status.get("capacity", {})}}
    digest = hashlib.sha256(json.dumps([node, status], sort_keys=True).encode()).hexdigest()
    annotations = {**node["metadata"].get("annotations", {}), "kwok.x-k8s.io/node": "fake", _NODE_DIGEST: digest}
    return {**node, "metadata": {**node["metadata"], "annotations": annotations}, "status": status}


def _digest_of(node: KubeObject) -> str | None:
    digest: str | None = node.get("metadata", {}).get("annotations", {}).get(_NODE_DIGEST)
    return digest


def _is_ready(node: KubeObject) -> bool:
    conditions = node.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _command_line(pid: int) -> bytes:
    """The command line of a living process; empty for a dead one, and for a zombie."""
    proc = Path("/proc") / str(pid) / "cmdline"
    if Path("/proc/self").exists():
        return proc.read_bytes() if proc.exists() else b""
    listed = subprocess.run(["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, check=False)
    return listed.stdout


def _resident_bytes(pid: int) -> int:
    with contextlib.suppress(OSError, ValueError, IndexError):
        pages = int((Path("/proc") / str(pid) / "statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return 0


def _last_lines(text: str | bytes) -> str:
    decoded = text.decode(errors="replace") if isinstance(text, bytes) else text
    return "\n".join(decoded.strip().splitlines()[-5:])
