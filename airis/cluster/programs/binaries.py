"""The programs of the sandbox: downloaded if the network allows, otherwise built from pinned Go modules, and cached.

go.mod pins them and their versions, go.sum their checksums.
"""

import hashlib
import json
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zlib
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import requests

from airis.cluster.programs import toolchain
from airis.cluster.programs.cache import cache_root
from airis.cluster.programs.locking import held, lock_at
from airis.terminal.errors import EnvironmentProblem
from airis.terminal.progress import Advance, step

MODULE = Path(__file__).parent
"""The folder with the sandbox's go.mod and go.sum."""

MIN_FREE_BYTES = 6 * 10**9
"""The maximum disk space of a cold build: Go's build cache, and the programs."""

_PROBE_SECONDS = 3.0
_DOWNLOAD_SECONDS = 60.0


@dataclass(frozen=True)
class Program:
    """One program: the Go package that it is built from, and where its releases are published."""

    name: str
    package: str
    release: str = ""
    """URL of the released program, or of the archive with it, with the placeholders {version}, {os} and {arch}."""
    checksums: str = ""
    """URL of the published SHA-256, alone or in a list; empty if none is published."""
    pins: Path = MODULE
    """The folder with the go.mod and go.sum that pin it."""
    source: str = ""
    """The module in go.mod that determines the version; empty for the package's module."""
    tags: str = ""
    """Go build tags, separated by commas."""
    cgo: bool = False
    """Whether it is built with C libraries of this machine."""
    version_variable: str = ""
    """The Go variable to set to the version without its `v`; empty if the program has its version built in."""

    @property
    def module(self) -> str:
        """The module in go.mod that determines the version."""
        return self.source or max((each for each in versions(self.pins) if self.package.startswith(each)), key=len)

    @property
    def version(self) -> str:
        """The version, such as `v1.36.3`."""
        return versions(self.pins)[self.module]


_KUBERNETES = "https://dl.k8s.io/release/{version}/bin/{os}/{arch}/"
_KWOK = "https://github.com/kubernetes-sigs/kwok/releases/download/{version}/"
_ETCD = "https://github.com/etcd-io/etcd/releases/download/{version}/"
_ETCD_ARCHIVE = _ETCD + "etcd-{version}-{os}-{arch}.tar.gz"

PROGRAMS = (
    *(
        Program(name, f"k8s.io/kubernetes/cmd/{name}", f"{_KUBERNETES}{name}", f"{_KUBERNETES}{name}.sha256")
        for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
    ),
    Program("etcd", "go.etcd.io/etcd/server/v3", _ETCD_ARCHIVE, f"{_ETCD}SHA256SUMS"),
    Program("etcdctl", "go.etcd.io/etcd/etcdctl/v3", _ETCD_ARCHIVE, f"{_ETCD}SHA256SUMS"),
    *(Program(name, f"sigs.k8s.io/kwok/cmd/{name}", _KWOK + name + "-{os}-{arch}") for name in ("kwok", "kwokctl")),
)


@cache
def versions(pins: Path = MODULE) -> dict[str, str]:
    """The version of each module that the go.mod in `pins` requires."""
    text = (pins / "go.mod").read_text(encoding="utf-8")
    return dict(re.findall(r"^(?:\t|require )([\w./-]+) (v\S+?)(?: // indirect)?$", text, re.MULTILINE))


@cache
def go_version(pins: Path = MODULE) -> str:
    """The minimum Go version of the go.mod in `pins`, such as `1.26.0`."""
    match = re.search(r"^go (\S+)$", (pins / "go.mod").read_text(encoding="utf-8"), re.MULTILINE)
    assert match is not None, "go.mod has no go line"  # noqa: S101  (a file of this package)
    return match[1]


def system() -> tuple[str, str]:
    """Operating system and processor architecture, as Go names them."""
    machine = platform.machine().lower()
    return platform.system().lower(), {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


@dataclass(frozen=True)
class Binaries:
    """The programs in one folder of the cache, with their checksums."""

    folder: Path
    programs: tuple[Program, ...] = PROGRAMS

    def path(self, name: str) -> Path:
        """The path of the program."""
        return self.folder / name

    def damaged(self) -> list[Program]:
        """The programs that are missing or have changed. Reads every byte: 0.3 s for 400 MB."""
        recorded = self._recorded()
        with ThreadPoolExecutor() as pool:
            digests = pool.map(_sha256, (self.path(each.name) for each in self.programs))
            return [
                each
                for each, digest in zip(self.programs, digests, strict=True)
                if digest is None or digest != recorded.get(each.name)
            ]

    def put(self, program: Program, file: Path) -> None:
        """Moves a complete program into the cache, and records its checksum. Atomic: an interruption leaves nothing behind."""
        file.chmod(0o755)
        digest = _sha256(file)
        file.replace(self.path(program.name))
        record = file.with_name(self._manifest.name)
        record.write_text(json.dumps({**self._recorded(), program.name: digest}, indent=2), encoding="utf-8")
        record.replace(self._manifest)

    @property
    def _manifest(self) -> Path:
        return self.folder / "manifest.json"

    def _recorded(self) -> dict[str, str]:
        try:
            recorded = json.loads(self._manifest.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return recorded if isinstance(recorded, dict) else {}


Fetch = Callable[[Program, Path, Advance], None]
"""Fetches a program to a path, reporting its progress (0 to 1); raises EnvironmentProblem or OSError."""


@dataclass(frozen=True)
class Source:
    """A way to get programs, and the verb for messages."""

    verb: str
    fetch: Fetch
    available: Callable[[], bool] = field(default=lambda: True)


def ensure(
    sources: Iterable[Source] | None = None, root: Path | None = None, programs: tuple[Program, ...] = PROGRAMS
) -> Binaries:
    """The verified programs, after fetching missing and damaged ones.

    `programs` share one go.mod, and are by default the sandbox's. Releases are downloaded if the network allows, otherwise
    built: once, the sandbox's take about six minutes on two cores. `root` is the cache. Raises EnvironmentProblem if no source
    works.
    """
    root = root or cache_root()
    binaries = cached(root, programs)
    folder = binaries.folder
    if not binaries.damaged():  # complete: no need to wait for a process that fetches others
        return binaries
    with held(lock_at(root / "programs.lock"), f"it fetches {_owner(programs)}"):
        folder.mkdir(parents=True, exist_ok=True)
        missing = binaries.damaged()
        if not missing:
            return binaries
        for left in folder.glob(".part-*"):  # from an interrupted run
            shutil.rmtree(left, ignore_errors=True)
        broken = [each.name for each in missing if binaries.path(each.name).exists()]
        if broken:
            print(f"The cached {', '.join(broken)} is damaged, fetching it again.", file=sys.stderr, flush=True)
        for source in sources or (Source("Downloading", download, _reachable), building(root)):
            missing = _fetch_all(source, missing, binaries)
            if not missing:
                return binaries
    raise EnvironmentProblem(f"could not fetch {', '.join(each.name for each in missing)}", "see above for the reason")


def cached(root: Path | None = None, programs: tuple[Program, ...] = PROGRAMS) -> Binaries:
    """The programs in the cache, without verification."""
    return Binaries((root or cache_root()) / "programs" / _key(programs), programs)


@cache
def _key(programs: tuple[Program, ...] = PROGRAMS) -> str:
    """The folder's name, which depends on the pins, the build tags and the platform."""
    first = programs[0]
    files = [first.pins / "go.mod", first.pins / "go.sum", *sorted(first.pins.glob("*.go"))]
    pins = b"".join(each.read_bytes() for each in files)
    digest = hashlib.sha256(pins + (repr(system()) + first.tags).encode()).hexdigest()[:12]
    name = re.sub(r"/v\d+$", "", first.module).rpartition("/")[2]
    return f"{name}-{first.version}-{digest}"


def _owner(programs: tuple[Program, ...]) -> str:
    return "the programs of the sandbox" if programs is PROGRAMS else ", ".join(each.name for each in programs)


def _fetch_all(source: Source, programs: list[Program], binaries: Binaries) -> list[Program]:
    """Fetches the programs; returns those that this source could not provide."""
    if not source.available():
        return programs
    left = list(programs)
    for number, program in enumerate(programs, 1):
        with tempfile.TemporaryDirectory(prefix=".part-", dir=binaries.folder) as temporary:
            target = Path(temporary) / program.name
            try:
                with step(
                    f"{source.verb} {program.name} {program.version} ({number} of {len(programs)})", 1
                ) as advance:
                    source.fetch(program, target, advance)
            except (OSError, Refused) as error:
                print(f"{source.verb} {program.name}: {error}", file=sys.stderr, flush=True)
                return left
            binaries.put(program, target)
            left.remove(program)
    return left


class Refused(Exception):
    """A download does not match its checksum."""


def _reachable() -> bool:
    """Whether released programs can be downloaded, according to one quick request."""
    try:
        return requests.head(_KUBERNETES.partition("release/")[0], timeout=_PROBE_SECONDS).status_code < 500  # noqa: PLR2004
    except requests.RequestException:
        return False


def download(program: Program, target: Path, advance: Advance) -> None:
    """Downloads a released program over HTTPS, and compares it with the published checksum, if there is one.

    Raises Refused if they differ, and OSError (the base of requests' errors) if the network fails.
    """
    os_name, arch = system()
    url = program.release.format(version=program.version, os=os_name, arch=arch)
    file = target.with_name(url.rpartition("/")[2] + ".download")
    with requests.get(url, stream=True, timeout=_DOWNLOAD_SECONDS) as answer:
        answer.raise_for_status()
        size, done = int(answer.headers.get("Content-Length", 0)), 0
        with file.open("wb") as out:
            for chunk in answer.iter_content(1 << 20):
                done += out.write(chunk)
                advance(done / size if size else 0)
    if program.checksums:
        published = requests.get(program.checksums.format(version=program.version, os=os_name, arch=arch), timeout=30)
        published.raise_for_status()
        _compare(file, published.text, url)
    if url.endswith(".tar.gz"):
        try:
            _extract(file, target)
        except (tarfile.TarError, EOFError, zlib.error) as error:
            raise Refused(f"{url} is not an archive that contains {program.name}: {error}") from None
    else:
        file.replace(target)


def _extract(archive: Path, target: Path) -> None:
    """Extracts the file with the name of `target` from the archive, from whatever folder."""
    with tarfile.open(archive) as opened:
        for member in opened:
            if member.isfile() and Path(member.name).name == target.name:
                content = opened.extractfile(member)
                assert content is not None  # noqa: S101  (it is a file)
                with content, target.open("wb") as out:
                    shutil.copyfileobj(content, out)
                return
    raise tarfile.TarError("there is no such file")


def _compare(file: Path, published: str, url: str) -> None:
    """Raises Refused if the checksum differs. `published` is a checksum, or lines of checksum and file name."""
    name = url.rpartition("/")[2]
    lines = [line.split() for line in published.splitlines() if line.strip()]
    expected = next((line[0] for line in lines if len(line) == 1 or line[-1].lstrip("*") == name), None)
    if expected != _sha256(file):
        raise Refused(f"{url} does not have the published checksum")


def building(root: Path) -> Source:
    """Builds programs with Go, which is located when the first one is built."""

    @cache
    def go(pins: Path) -> str:
        free = shutil.disk_usage(root).free
        if free < MIN_FREE_BYTES:
            raise EnvironmentProblem(
                f"building programs needs {MIN_FREE_BYTES / 1e9:.0f} GB of disk, but {root} has {free / 1e9:.1f} GB left",
                "free disk space, or set another folder with AIRIS_CACHE",
            )
        return str(toolchain.find_go(go_version(pins), root))

    def build(program: Program, target: Path, advance: Advance) -> None:
        own = {"CGO_ENABLED": str(int(program.cgo)), "GOFLAGS": "-mod=readonly"}
        environment = {**toolchain.environment(), **own}
        tags = [f"-tags={program.tags}"] if program.tags else []
        packages = subprocess.run(
            [go(program.pins), "list", "-deps", *tags, program.package],
            cwd=program.pins, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        total = len(packages.stdout.splitlines()) or 1
        flags = ["-v", "-trimpath", *tags, "-ldflags", _linker_flags(program), "-o", str(target)]
        command = [go(program.pins), "build", *flags, program.package]
        last: deque[str] = deque(maxlen=15)
        with subprocess.Popen(command, cwd=program.pins, env=environment, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None  # noqa: S101  (it is a pipe)
            try:
                for done, line in enumerate(process.stderr, 1):
                    last.append(line.rstrip())
                    advance(min(done / total, 1), line.strip())
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            raise EnvironmentProblem(
                f"go build {program.package} failed:\n" + "\n".join(last),
                "the first build needs access to the Go module proxy; try again, the build continues where it stopped",
            )

    return Source("Building", build)


def _linker_flags(program: Program) -> str:
    """Strips symbols and sets the version, without which clients cannot parse the server's version."""
    flags = "-s -w"
    if program.module == "k8s.io/kubernetes":
        major, minor, _ = program.version.removeprefix("v").split(".")
        values = {"gitVersion": program.version, "gitMajor": major, "gitMinor": minor}
        flags += "".join(f" -X k8s.io/component-base/version.{name}={value}" for name, value in values.items())
    if program.version_variable:
        flags += f" -X {program.version_variable}={program.version.removeprefix('v')}"
    return flags


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
