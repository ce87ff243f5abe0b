"""Runs a program as the rendered pod says: a small kubelet and container runtime, made of Linux's own tools.

Taken from the rendering: user, groups, capabilities, privileges, the read-only root and the folders that are mounted into
it, memory and CPU limits, environment with the values of Secrets, ports, probes, and how long the end may take. The root
filesystem stands in for the image: the machine's own system folders, read-only, and the program's files. What it does not
imitate: the seccomp filter, and a process table of the pod's own.
"""

import os
import shlex
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from airis.manifest import manifest
from airis.program import Rendering
from settings.quantity import as_bytes, cpu_millicores
from tests.unit import drawing

SYSTEM_FOLDERS = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/dev", "/proc", "/sys")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Image:
    """What a container image brings along."""

    files: Mapping[Path, str]
    """Folders of this machine, and where they are in the image; all of them read-only."""
    command: Sequence[str]
    workdir: str
    env: Mapping[str, str]


@dataclass(frozen=True)
class Probe:
    """A rendered HTTP probe."""

    path: str
    port: int
    period: float
    timeout: float
    failures: int

    @property
    def budget(self) -> float:
        """Seconds until the kubelet gives up."""
        return self.period * self.failures

    def passes(self) -> bool:
        """Asks once, as the kubelet does: any answer from 200 to 399 within the timeout is a success."""
        with suppress(requests.RequestException):
            answer = requests.get(
                f"http://127.0.0.1:{self.port}{self.path}", timeout=self.timeout, allow_redirects=False
            )
            return 200 <= answer.status_code < 400
        return False


@dataclass(frozen=True)
class Pod:
    """A rendered pod with its one container, and the folders that are its volumes."""

    spec: Mapping[str, Any]
    env: Mapping[str, str]
    volumes: Mapping[str, Path]

    @property
    def container(self) -> Mapping[str, Any]:
        (container,) = self.spec["containers"]
        return dict(container)

    @property
    def fs_group(self) -> int:
        return int(self.spec["securityContext"]["fsGroup"])

    @property
    def memory_limit(self) -> int:
        return as_bytes(self.container["resources"]["limits"]["memory"])

    @property
    def port(self) -> int:
        (port,) = self.container["ports"]
        return int(port["containerPort"])

    def mounted(self, path: str) -> Path:
        """The folder that is the volume at this path."""
        (name,) = [each["name"] for each in self.container["volumeMounts"] if each["mountPath"] == path]
        return self.volumes[name]

    def probe(self, kind: str) -> Probe:
        rendered = self.container[f"{kind}Probe"]
        (port,) = self.container["ports"]
        assert rendered["httpGet"]["port"] == port["name"]
        return Probe(
            rendered["httpGet"]["path"],
            self.port,
            rendered["periodSeconds"],
            rendered["timeoutSeconds"],
            rendered["failureThreshold"],
        )


def read_pod(rendering: Rendering, kind: str, name: str, volumes: Path) -> Pod:
    """The pod of that workload, with an empty folder below `volumes` for each of its volumes."""
    plain = {(each.kind, each.name): manifest(each, show_secrets=True) for each in rendering.objects}
    workload = plain[kind, name]
    spec = drawing.pod_spec(workload)
    folders = {each["name"]: volumes / each["name"] for each in drawing.container(workload)["volumeMounts"]}
    for folder in folders.values():
        folder.mkdir(parents=True)
        own_by_group(folder, spec["securityContext"]["fsGroup"])
    env = {name: _value(value, plain) for name, value in drawing.env(workload).items()}
    return Pod(spec, env, folders)


def _value(value: Any, objects: Mapping[tuple[str, str], Mapping[str, Any]]) -> str:
    if isinstance(value, str):
        return value
    reference = value["secretKeyRef"]
    return str(objects["Secret", reference["name"]]["stringData"][reference["key"]])


def own_by_group(volume: Path, group: int) -> None:
    """What the kubelet does to a volume for fsGroup (kubernetes/kubernetes, pkg/volume/volume_linux.go)."""
    for path in (volume, *volume.rglob("*")):
        os.chown(path, -1, group, follow_symlinks=False)
        if not path.is_symlink():
            path.chmod(stat.S_IMODE(path.stat().st_mode) | (0o2770 if path.is_dir() else 0o660))


@dataclass
class Running:
    """A pod's process."""

    pod: Pod
    process: "subprocess.Popen[bytes]"
    output: Path
    limited: bool
    """Whether the rendered limits are enforced: some machines let nobody make control groups."""
    begun: float = field(default_factory=time.monotonic)
    start_seconds: float = 0.0
    """How long the start took, once the startup probe has passed."""

    @property
    def status(self) -> str:
        """What the kernel says about the process."""
        return Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")

    @property
    def mounts(self) -> str:
        """What is mounted where, as the process sees it."""
        return Path(f"/proc/{self.process.pid}/mounts").read_text(encoding="utf-8")

    @property
    def log(self) -> str:
        return self.output.read_text(encoding="utf-8", errors="replace")

    def wait_until_started(self) -> None:
        """Asks the startup probe, more often than the kubelet would, for as long as the kubelet would."""
        probe = self.pod.probe("startup")
        while not probe.passes():
            assert self.process.poll() is None, f"exited with {self.process.returncode}:\n{self.log[-3000:]}"
            assert time.monotonic() - self.begun < probe.budget, f"startup budget spent:\n{self.log[-3000:]}"
            time.sleep(0.5)
        self.start_seconds = time.monotonic() - self.begun

    def memory(self, what: str) -> int:
        """Bytes by the kernel's name: `RssAnon` (resident, the process's own), `RssFile` (resident, of mapped files)."""
        (line,) = [line for line in self.status.splitlines() if line.startswith(f"{what}:")]
        return int(line.split()[1]) * 1024

    def stop(self) -> float:
        """Ends the process as the kubelet does; returns the seconds that it took. Killed after the grace period, it fails."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(self.pod.spec.get("terminationGracePeriodSeconds", 30))
        return time.monotonic() - begun


@contextmanager
def run(pod: Pod, image: Image, hosts: Mapping[str, str], folder: Path) -> Iterator[Running]:
    """Runs the pod while the block does. `hosts` are addresses by name; `folder` is for files of this one run."""
    folder.mkdir()
    root = folder / "root"
    root.mkdir()
    (folder / "hosts").write_text("".join(f"{ip} {name}\n" for name, ip in hosts.items()), encoding="utf-8")
    output = folder / "log"
    groups = _control_groups(pod, f"airis-{folder.name}-{os.getpid()}")
    join = [f"echo $$ > {shlex.quote(str(group / 'cgroup.procs'))}" for group in groups]
    script = "\n".join(
        [*join, *_mounts(pod, image, root, folder / "hosts"), f"exec {shlex.join(_command(pod, image, root))}"]
    )
    with output.open("wb") as log:
        process = subprocess.Popen(
            ["unshare", "--mount", "sh", "-euc", script],
            env={"PATH": PATH, **image.env, **pod.env},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield Running(pod, process, output, limited=bool(groups))
    finally:
        process.kill()
        process.wait()
        for group in groups:
            group.rmdir()


def _mounts(pod: Pod, image: Image, root: Path, hosts: Path) -> Iterator[str]:
    """Shell commands that build the container's root filesystem, in a mount namespace of its own."""

    def mount(*arguments: object) -> str:
        return shlex.join(["mount", *map(str, arguments)])

    def folder(target: str) -> str:
        return shlex.join(["mkdir", "-p", f"{root}{target}"])

    def bind(source: Path, target: str, *, read_only: bool = True) -> Iterator[str]:
        yield mount("--bind", source, f"{root}{target}")
        if read_only:
            yield mount("-o", "remount,bind,ro", f"{root}{target}")

    yield mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", root)
    own = {Path(each): each for each in SYSTEM_FOLDERS if Path(each).is_dir()}
    for source, target in {**own, Path(sys.base_prefix): sys.base_prefix, **image.files}.items():
        yield folder(target)
        yield from bind(source, target)
    yield from bind(hosts, "/etc/hosts")
    yield mount("-t", "tmpfs", "-o", "size=64m,mode=1777", "tmpfs", f"{root}/dev/shm")
    yield folder(image.workdir)
    for each in sorted(pod.container["volumeMounts"], key=lambda mounted: str(mounted["mountPath"])):
        yield folder(each["mountPath"])
        yield from bind(pod.volumes[each["name"]], each["mountPath"], read_only=each.get("readOnly", False))
    if pod.container["securityContext"]["readOnlyRootFilesystem"]:
        yield mount("-o", "remount,ro", root)


def _command(pod: Pod, image: Image, root: Path) -> list[str]:
    whole, own = pod.spec["securityContext"], pod.container["securityContext"]
    assert own["capabilities"] == {"drop": ["ALL"]}
    return [
        *("chroot", str(root), "setpriv"),
        *(f"--reuid={whole['runAsUser']}", f"--regid={whole['runAsGroup']}", f"--groups={pod.fs_group}"),
        *("--bounding-set=-all", "--inh-caps=-all"),
        *([] if own["allowPrivilegeEscalation"] else ["--no-new-privs"]),
        *("env", f"--chdir={image.workdir}", *image.command),
    ]


def _control_groups(pod: Pod, name: str) -> list[Path]:
    """Control groups with the rendered limits, in either version; none where this machine lets nobody make any."""
    memory, cpu = pod.memory_limit, cpu_millicores(pod.container["resources"]["limits"]["cpu"]) * 100
    if (CGROUPS / "cgroup.controllers").exists():
        limits = {CGROUPS / name: {"memory.max": memory, "cpu.max": f"{cpu} 100000"}}
    else:
        limits = {
            CGROUPS / "memory" / name: {"memory.limit_in_bytes": memory},
            CGROUPS / "cpu" / name: {"cpu.cfs_period_us": 100000, "cpu.cfs_quota_us": cpu},
        }
    made: list[Path] = []
    try:
        for group, values in limits.items():
            group.mkdir()
            made.append(group)
            for file, value in values.items():
                (group / file).write_text(str(value))
    except OSError:
        for group in made:
            group.rmdir()
        return []
    return made
