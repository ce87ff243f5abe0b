"""A throw-away Kubernetes control plane on this machine's loopback: real API server, scheduler and controllers, KWOK's nodes.

kwokctl starts and stops the processes; everything that belongs to one sandbox lies in one folder.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from airis.cluster.kubectl import Kubectl, KubectlError, KubeObject
from airis.cluster.programs.binaries import Binaries, cached, ensure, versions
from airis.cluster.programs.cache import cache_root
from airis.cluster.programs.locking import held, lock_at
from airis.stack_file.yaml_writer import dump
from airis.terminal.errors import EnvironmentProblem
from airis.terminal.progress import step
from airis.terminal.signals import handled
from settings.reading.yaml_file import kubectl_documents

OWN_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
"""Those that every API server makes."""

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
_APPLYING = 4
"""How many kubectl make nodes side by side."""

_POLL_SECONDS = 0.1
_NODES_SECONDS = 60.0
_STOP_SECONDS = 10.0
_HOLD_SECONDS = 600.0
_HOST_PATH = re.compile(rb"/tmp/hostpath_pv/[0-9a-f-]{36}")  # fixed by the provisioner: kubernetes, pkg/volume/hostpath
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
        with self.hold(), _ended_by_signal():
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
                        self._check_none_ended(set(COMPONENTS))
                        self._complete.touch()
                        return
                    except (_NotStarted, KubectlError) as error:
                        # the usual reason is a port that somebody took between choosing and using it: choose again
                        reason = str(error)
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
            (config,) = kubectl_documents(self.kubeconfig.read_text(encoding="utf-8"))
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

        Nodes that are already as wanted are left alone; one that was cordoned or tainted since is made anew. Raises
        KubectlError when the API server refuses one.
        """
        wanted = {each["metadata"]["name"]: _for_kwok(each) for each in nodes}
        present = {each["metadata"]["name"]: each for each in self.kubectl.get("nodes")}
        kept = {name for name, each in present.items() if name in wanted and _is_as_made(each, wanted[name])}
        stale = [each for name, each in present.items() if name not in kept]
        missing = [each for name, each in wanted.items() if name not in kept]
        # The status of a node that exists cannot be applied with its spec: a changed node is made anew
        limit = _NODES_SECONDS + len(nodes) / 5
        self.kubectl.delete(stale, timeout=_NODES_SECONDS + len(stale) / 5)
        with ThreadPoolExecutor(_APPLYING) as pool:  # kubectl sends one object after the other
            parts = [part for start in range(_APPLYING) if (part := missing[start::_APPLYING])]
            list(pool.map(partial(self.kubectl.apply, timeout=limit), parts))
        deadline = time.monotonic() + limit
        while not all(map(_is_ready, self.kubectl.get("nodes"))):
            if time.monotonic() > deadline:
                raise EnvironmentProblem(
                    "the sandbox's nodes do not become Ready", "`airis sandbox down`, and try again"
                )
            time.sleep(0.2)

    def create_command(self, folder: Path) -> list[str]:
        """The kwokctl command that makes this control plane; its configuration is written into `folder`."""
        binaries = cached(self._root)
        config = self._config(folder)
        config.write_text(dump(_kwokctl_config(binaries)), encoding="utf-8")
        return [
            str(binaries.path("kwokctl")),
            f"--name={self.name}",
            f"--config={config}",
            "create",
            "cluster",
            f"--kubeconfig={folder / self.kubeconfig.name}",  # else kwokctl writes into the user's own
            "--extra-args=kube-controller-manager=enable-hostpath-provisioner=true",
            # There is only one of each. On a busy machine it would miss the renewal of its lease, and end
            "--extra-args=kube-controller-manager=leader-elect=false",
            "--extra-args=kube-scheduler=leader-elect=false",
            # Nothing has to survive a crash of the machine, and a slow disk slows every write down
            "--extra-args=etcd=unsafe-no-fsync=true",
            # Without one, the API server looks for a default route, and ends on a machine that is offline.
            # TEST-NET-1 (RFC 5737) leads nowhere, and a loopback address is not valid in an EndpointSlice.
            "--extra-args=kube-apiserver=advertise-address=192.0.2.1",
            f"--wait={_START_SECONDS:.0f}s",
        ]

    def _create(self) -> None:
        """Runs kwokctl, which chooses ports that are free and returns when the API server answers, or gave up on it."""
        self._work.mkdir(parents=True, exist_ok=True)
        # kwokctl and etcd also take options from variables of the user's
        foreign = ("KWOK_", "ETCD_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        environment |= {
            "KWOK_WORKDIR": str(self._work),
            # kwokctl asks whether the API server answers with the first kubectl on PATH, whatever that is
            "PATH": os.pathsep.join([str(cached(self._root).folder), os.environ.get("PATH", "")]),
            "KUBECACHEDIR": str(self._work / "kubectl-cache"),
            "KUBERC": "off",
        }
        with (
            # Two at once would choose the same ports
            held(lock_at(self._work / ".ports.lock"), "it starts another sandbox", _HOLD_SECONDS),
            tempfile.TemporaryFile("w+", errors="replace") as log,
            # A session of its own: Ctrl-C is for the command in front, never for the control plane behind it
            subprocess.Popen(
                self.create_command(self._work), env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            ) as kwokctl,
        ):  # fmt: skip
            try:
                self._watch(kwokctl)
            except BaseException:
                kwokctl.kill()
                raise
            if kwokctl.returncode:
                log.seek(0)
                raise _NotStarted(f"kwokctl: {_last_lines(log.read())}")

    def _watch(self, kwokctl: "subprocess.Popen[bytes]") -> None:
        """Waits for kwokctl. Itself it would wait two minutes for a component that is long gone, and then report success."""
        deadline = time.monotonic() + 2 * _START_SECONDS
        while kwokctl.poll() is None:
            # kwokctl writes the file once the program runs; before that, it only asks each for its version
            self._check_none_ended({file.stem for file in (self._folder / "pids").glob("*.pid")})
            if time.monotonic() > deadline:
                raise _NotStarted(f"the API server does not answer within {2 * _START_SECONDS:.0f} s")
            time.sleep(_POLL_SECONDS)

    def _check_none_ended(self, started: set[str]) -> None:
        for component in sorted(started - set(self._processes())):
            log = self._folder / "logs" / f"{component}.log"
            words = log.read_text(encoding="utf-8", errors="replace") if log.exists() else "it wrote no log"
            raise _NotStarted(f"{component} ended at once: {_last_lines(words)}")

    def _destroy(self) -> None:
        """Stops every process and removes every trace, whatever state they are in."""
        deadline = time.monotonic() + _STOP_SECONDS
        while (processes := self._processes()) and time.monotonic() < deadline:
            for pid in processes.values():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)  # nothing of it is kept, so there is nothing to end gracefully
            time.sleep(0.05)
        for volume in self._volumes():
            shutil.rmtree(volume, ignore_errors=True)
        shutil.rmtree(self._folder, ignore_errors=True)
        lock = self.kubeconfig.with_name(f"{self.kubeconfig.name}.lock")  # stale, where kwokctl was killed
        for file in (self.kubeconfig, lock, self._config(self._work)):
            file.unlink(missing_ok=True)

    def _volumes(self) -> set[Path]:
        """The folders that volumes became, as etcd's files name them: that needs no API server that still answers."""
        files = [file for pattern in ("*.wal", "db") for file in (self._folder / "etcd").rglob(pattern)]
        return {Path(os.fsdecode(path)) for file in files for path in _HOST_PATH.findall(file.read_bytes())}

    def _healthy(self) -> bool:
        if set(self._processes()) != set(COMPONENTS) or not self._complete.is_file():
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
        """What lives of this sandbox: its components, and kwokctl while it starts them.

        Their command lines tell. kwokctl's own record of process ids may be stale, not written yet, or gone.
        """
        starts = {f"{self._folder}/bin/{component} ": component for component in COMPONENTS}
        starts[f"{cached(self._root).path('kwokctl')} --name={self.name} --config={self._config(self._work)} "] = (
            "kwokctl"
        )
        return {
            component: pid
            for pid, command_line in _command_lines()
            for start, component in starts.items()
            if command_line.startswith(start)
        }

    @property
    def _complete(self) -> Path:
        """Written when everything is there: kwokctl goes on alone where the process that ran it was killed."""
        return self._folder / "complete"

    def _config(self, folder: Path) -> Path:
        return folder / f"{self.name}.yaml"


class _NotStarted(Exception):
    """An attempt to start failed; another one may not."""


@contextmanager
def borrowed_sandbox(name: str = "airis") -> Iterator[Sandbox]:
    """A running sandbox for this thread alone; afterwards it runs only if it did before."""
    sandbox = Sandbox(name)
    with sandbox.hold(), _ended_by_signal():
        ran_before = sandbox.status().running
        sandbox.up()
        try:
            yield sandbox
        finally:
            if not ran_before:
                sandbox.down()


@contextmanager
def _ended_by_signal() -> Iterator[None]:
    """Has SIGTERM and SIGHUP (a closed terminal) end the block as Ctrl-C does: by an exception, so that it cleans up."""

    def end(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    caught = [each for each in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(each) is signal.SIG_DFL]
    with handled(end, caught):
        yield


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


def _is_as_made(node: KubeObject, wanted: KubeObject) -> bool:
    """Whether it was made from this description, and is as open for pods as it was then."""
    return _digest_of(node) == _digest_of(wanted) and _closed_by(node) == _closed_by(wanted)


def _closed_by(node: KubeObject) -> set[tuple[str, str, str]]:
    """What keeps pods away: `kubectl cordon` and taints, without those that the node controller sets and takes away."""
    spec = node.get("spec", {})
    taints = {(each["key"], each.get("value", ""), each["effect"]) for each in spec.get("taints", [])}
    own = {each for each in taints if not each[0].startswith("node.kubernetes.io/")}
    return own | ({("cordoned", "", "")} if spec.get("unschedulable") else set())


def _is_ready(node: KubeObject) -> bool:
    """Ready, and open for pods: a controller takes the taint of a new node away a moment after it has become Ready."""
    conditions = node.get("status", {}).get("conditions", [])
    closed = any(each["key"] == "node.kubernetes.io/not-ready" for each in node["spec"].get("taints", []))
    return not closed and any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _command_lines() -> Iterator[tuple[int, str]]:
    """Process id and command line of each process of this machine; the line is empty for a zombie."""
    if Path("/proc/self").exists():
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it ended meanwhile, or is somebody else's
                yield int(entry.name), os.fsdecode((entry / "cmdline").read_bytes()).replace("\0", " ")
        return
    listed = subprocess.run(["ps", "-axww", "-o", "pid=,command="], capture_output=True, text=True, check=True).stdout
    for line in listed.splitlines():
        pid, _, command_line = line.strip().partition(" ")
        yield int(pid), command_line.strip() + " "


def _resident_bytes(pid: int) -> int:
    with contextlib.suppress(OSError, ValueError, IndexError):
        pages = int((Path("/proc") / str(pid) / "statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return 0


def _last_lines(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-5:])
