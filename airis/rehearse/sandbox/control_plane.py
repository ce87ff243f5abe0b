"""A temporary Kubernetes control plane on this machine's loopback: API server, scheduler, controllers, and KWOK's nodes.

kwokctl starts the processes; all files of a sandbox are in one folder.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from airis.cluster.kubectl import Kubectl, KubectlError, KubeObject
from airis.cluster.programs.binaries import cached, ensure, versions
from airis.cluster.programs.cache import cache_root
from airis.cluster.programs.locking import held, lock_at
from airis.rehearse.sandbox import kwokctl, simulated_nodes
from airis.rehearse.sandbox.processes import command_lines, resident_bytes
from airis.stack_file.yaml_writer import dump
from airis.terminal.errors import EnvironmentProblem
from airis.terminal.progress import step
from airis.terminal.signals import handled
from settings.reading.yaml_file import kubectl_documents

OWN_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
"""The namespaces that every API server creates."""

COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok-controller")

STORAGE_CLASS: KubeObject = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
    "provisioner": "kubernetes.io/host-path",
    "allowVolumeExpansion": True,
}
"""Binds claims immediately to folders on this machine, with the controller manager's host path provisioner."""

_ATTEMPTS = 3
_POLL_SECONDS = 0.1
_STOP_SECONDS = 10.0
_HOLD_SECONDS = 600.0
_HOST_PATH = re.compile(rb"/tmp/hostpath_pv/[0-9a-f-]{36}")  # fixed by the provisioner: kubernetes, pkg/volume/hostpath


@dataclass(frozen=True)
class SandboxStatus:
    """The state and the resource usage of a sandbox."""

    name: str
    running: bool
    """Whether all processes run and the API server is ready."""
    version: str
    """Kubernetes version."""
    kubeconfig: Path
    server: str
    """URL of the API server."""
    nodes: tuple[str, ...]
    processes: Mapping[str, int]
    """Process ids of the running components."""
    memory_bytes: int
    """Their resident memory; 0 without /proc."""


class Sandbox:
    """A control plane with a name. Several with different names can run at the same time.

    `root` is the cache folder. Nothing outside of it is changed, in particular not the user's kubeconfig, except that the
    provisioner creates volumes as folders in /tmp/hostpath_pv, which are deleted with their sandbox.
    """

    def __init__(self, name: str = "airis", root: Path | None = None) -> None:
        self.name = name
        self._root = root or cache_root()
        self._work = self._root / "clusters"
        self._folder = self._work / "clusters" / name  # kwokctl's layout below KWOK_WORKDIR
        self._lock = lock_at(self._work / f"{name}.lock")
        self.kubeconfig = self._work / f"{name}.kubeconfig"
        """The kubeconfig of this sandbox only."""

    @property
    def kubectl(self) -> Kubectl:
        """Kubectl for this sandbox."""
        return Kubectl(cached(self._root).path("kubectl"), self.kubeconfig)

    @contextmanager
    def hold(self, timeout: float = _HOLD_SECONDS) -> Iterator[None]:
        """Locks the sandbox for this thread while the block runs; a second rehearsal waits, and prints that it waits.

        Raises EnvironmentProblem, naming the holder of the lock, after `timeout` seconds.
        """
        with held(self._lock, f"it uses the sandbox {self.name}", timeout):
            yield

    def up(self) -> None:
        """Starts the sandbox, unless it already runs.

        A broken sandbox, or one whose processes ended with a restart of the machine, is deleted and recreated. Raises
        EnvironmentProblem if it cannot be built or started; no process is then left behind.
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
                        # usually, another process took a port after kwokctl chose it: retry with other ports
                        reason = str(error)
                        self._destroy()
                        advance(attempt, "retrying")
                    except BaseException:
                        self._destroy()
                        raise
            raise EnvironmentProblem(
                f"the sandbox does not start:\n{reason}", "check that memory and ports are available"
            )

    def down(self) -> None:
        """Stops the sandbox and deletes everything in it; does nothing if there is none."""
        with self.hold():
            self._destroy()

    def status(self) -> SandboxStatus:
        """The status of the sandbox. Changes nothing."""
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
            memory_bytes=sum(map(resident_bytes, processes.values())),
        )

    def set_nodes(self, nodes: Sequence[KubeObject]) -> None:
        """Makes these the sandbox's only nodes, and waits until they are Ready."""
        simulated_nodes.set_nodes(self.kubectl, nodes)

    def create_command(self, folder: Path) -> list[str]:
        """The kwokctl command that creates this control plane; writes its configuration into `folder`."""
        binaries = cached(self._root)
        config = self._config(folder)
        config.write_text(dump(kwokctl.configuration(binaries)), encoding="utf-8")
        return kwokctl.create_command(binaries, self.name, config, folder / self.kubeconfig.name)

    def _create(self) -> None:
        """Runs kwokctl, which chooses free ports, and returns when the API server answers or kwokctl gives up."""
        self._work.mkdir(parents=True, exist_ok=True)
        # kwokctl and etcd also read options from environment variables
        foreign = ("KWOK_", "ETCD_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        environment |= {
            "KWOK_WORKDIR": str(self._work),
            # kwokctl checks the API server with the first kubectl on PATH
            "PATH": os.pathsep.join([str(cached(self._root).folder), os.environ.get("PATH", "")]),
            "KUBECACHEDIR": str(self._work / "kubectl-cache"),
            "KUBERC": "off",
        }
        with (
            # Two at the same time would choose the same ports
            held(lock_at(self._work / ".ports.lock"), "it starts another sandbox", _HOLD_SECONDS),
            tempfile.TemporaryFile("w+", errors="replace") as log,
            # In its own session, so that Ctrl-C only reaches the foreground command, not the control plane
            subprocess.Popen(
                self.create_command(self._work), env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            ) as process,
        ):  # fmt: skip
            try:
                self._watch(process)
            except BaseException:
                process.kill()
                raise
            if process.returncode:
                log.seek(0)
                raise _NotStarted(f"kwokctl: {_last_lines(log.read())}")

    def _watch(self, process: "subprocess.Popen[bytes]") -> None:
        """Waits for kwokctl, which would wait two minutes for a component that has ended, and then report success."""
        seconds = 2 * kwokctl.START_SECONDS
        deadline = time.monotonic() + seconds
        while process.poll() is None:
            # kwokctl writes the file once the component runs; before that, it only queries its version
            self._check_none_ended({file.stem for file in (self._folder / "pids").glob("*.pid")})
            if time.monotonic() > deadline:
                raise _NotStarted(f"the API server does not answer within {seconds:.0f} s")
            time.sleep(_POLL_SECONDS)

    def _check_none_ended(self, started: set[str]) -> None:
        for component in sorted(started - set(self._processes())):
            log = self._folder / "logs" / f"{component}.log"
            words = log.read_text(encoding="utf-8", errors="replace") if log.exists() else "it wrote no log"
            raise _NotStarted(f"{component} exited: {_last_lines(words)}")

    def _destroy(self) -> None:
        """Kills every process and deletes all files, in whatever state they are."""
        deadline = time.monotonic() + _STOP_SECONDS
        while (processes := self._processes()) and time.monotonic() < deadline:
            for pid in processes.values():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)  # no data is kept, so a graceful end is not needed
            time.sleep(0.05)
        for volume in self._volumes():
            shutil.rmtree(volume, ignore_errors=True)
        shutil.rmtree(self._folder, ignore_errors=True)
        lock = self.kubeconfig.with_name(f"{self.kubeconfig.name}.lock")  # stale, if kwokctl was killed
        for file in (self.kubeconfig, lock, self._config(self._work)):
            file.unlink(missing_ok=True)

    def _volumes(self) -> set[Path]:
        """The folders of the volumes, from etcd's files, because the API server may not answer any more."""
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
        """Waits for the default ServiceAccount, without which pods are rejected."""
        deadline = time.monotonic() + kwokctl.START_SECONDS
        while not self.kubectl.get("serviceaccounts", "default", "--namespace=default"):
            if time.monotonic() > deadline:
                raise KubectlError("the controller manager did not create a ServiceAccount")
            time.sleep(0.1)

    def _processes(self) -> dict[str, int]:
        """The running processes of this sandbox: its components, and kwokctl while it starts them.

        Found by their command lines, because kwokctl's pid files may be stale, not written yet, or deleted.
        """
        starts = {f"{self._folder}/bin/{component} ": component for component in COMPONENTS}
        starts[f"{cached(self._root).path('kwokctl')} --name={self.name} --config={self._config(self._work)} "] = (
            "kwokctl"
        )
        return {
            component: pid
            for pid, command_line in command_lines()
            for start, component in starts.items()
            if command_line.startswith(start)
        }

    @property
    def _complete(self) -> Path:
        """Written when the start is complete: kwokctl continues alone if the process that ran it was killed."""
        return self._folder / "complete"

    def _config(self, folder: Path) -> Path:
        return folder / f"{self.name}.yaml"


class _NotStarted(Exception):
    """An attempt to start failed; another one may succeed."""


@contextmanager
def borrowed_sandbox(name: str = "airis") -> Iterator[Sandbox]:
    """A running sandbox, locked for this thread; stopped afterwards, unless it ran before."""
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
    """Lets SIGTERM and SIGHUP (a closed terminal) end the block with an exception, as Ctrl-C does, so that it cleans up."""

    def end(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    caught = [each for each in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(each) is signal.SIG_DFL]
    with handled(end, caught):
        yield


def _last_lines(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-5:])
