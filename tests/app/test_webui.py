"""Open WebUI, run as the cpu stack's rendered pod says.

In the order of an installation's life: the first pod starts on an empty volume and has its first user; then it ends, and later
pods start on copies of the volume that it left.
"""

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from airis import program
from airis.program import Rendering
from airis.stacks import read_stack
from settings.quantity import as_bytes
from tests.app import environment
from tests.app.conftest import ANSWERS, FIGURES, StandIn, Start
from tests.app.pod import Pod, Running, own_by_group, read_pod
from tests.app.webui import Browser
from tests.unit import drawing

pytestmark = pytest.mark.timeout(600)  # the first one may have to install the application

DATA = "/app/backend/data"
MIB = 2**20


@dataclass(frozen=True)
class Life:
    """A started pod, and the first user's session in it."""

    running: Running
    browser: Browser
    role: str
    token: str

    @property
    def pod(self) -> Pod:
        return self.running.pod


@dataclass(frozen=True)
class Left:
    """What a pod that has ended leaves behind."""

    data: Path
    token: str
    stop_seconds: float
    log: str


def webui_pod(rendering: Rendering, volumes: Path) -> Pod:
    return read_pod(rendering, "Deployment", "airis-deployment", volumes)


@pytest.fixture(scope="module")
def first(rendering: Rendering, start: Start, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    """The first pod, on an empty volume."""
    pod = webui_pod(rendering, tmp_path_factory.mktemp("first") / "volumes")
    with start(pod) as running:
        running.wait_until_started()
        browser = Browser(pod.port)
        account = browser.sign_up()
        yield Life(running, browser, account["role"], account["token"])


@pytest.fixture(scope="module")
def left(first: Life) -> Left:
    """What the first pod leaves: from here on it does not run any more."""
    return Left(first.pod.mounted(DATA), first.token, first.running.stop(), first.running.log)


def test_it_starts_within_its_budget_and_answers_the_probes(first: Life) -> None:
    seconds = {}
    for kind in ("startup", "readiness", "liveness"):
        begun = time.monotonic()
        assert first.pod.probe(kind).passes(), f"{kind} probe"
        seconds[kind] = time.monotonic() - begun
    FIGURES.append(
        f"Open WebUI {environment.version()}: first start {first.running.start_seconds:.0f} s "
        f"of {first.pod.probe('startup').budget:.0f} s; slowest probe {max(seconds.values()) * 1000:.0f} ms"
    )


def test_it_is_the_pinned_release(first: Life) -> None:
    assert first.browser.get("/api/version").json()["version"] == environment.version()


def test_it_runs_as_the_rendered_user_without_any_privilege(first: Life) -> None:
    status = dict(line.split(":\t", 1) for line in first.running.status.splitlines())
    context = first.pod.spec["securityContext"]
    assert context["runAsUser"] != 0
    assert status["Uid"].split() == [str(context["runAsUser"])] * 4
    assert status["Gid"].split() == [str(context["runAsGroup"])] * 4
    assert status["Groups"].split() == [str(context["fsGroup"])]
    assert {status[each] for each in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert status["NoNewPrivs"] == "1"


def test_it_can_write_to_its_volumes_only(first: Life) -> None:
    mounts = [line.split() for line in first.running.mounts.splitlines()]
    writable = {target for _, target, _, options, *_ in mounts if "rw" in options.split(",")}
    assert writable == {*(each["mountPath"] for each in first.pod.container["volumeMounts"]), "/dev/shm"}


def test_the_first_user_is_administrator_and_can_sign_in(first: Life) -> None:
    assert first.role == "admin"
    assert first.browser.is_signed_in(first.token)
    assert first.browser.is_signed_in(first.browser.sign_in()["token"])
    assert not first.browser.is_signed_in("")
    assert not first.browser.is_signed_in(f"{first.token[:-6]}forged")


def test_it_reaches_ollama_at_the_rendered_url(first: Life, ollama: StandIn) -> None:
    ollama.asked.clear()
    assert first.browser.get("/ollama/api/version", first.token).json() == ANSWERS["/api/version"]
    models = first.browser.get("/ollama/api/tags", first.token).json()["models"]
    assert [each["model"] for each in models] == ["stand-in:1b"]
    assert {"/api/version", "/api/tags"} <= {*ollama.asked}


def test_it_stays_below_its_memory_limit(first: Life) -> None:
    own, files = first.running.memory("RssAnon"), first.running.memory("RssFile")
    FIGURES.append(
        f"Open WebUI {environment.version()}: {own / MIB:.0f} MiB of {first.pod.memory_limit / MIB:.0f} MiB after start, "
        f"without an embedding model; and {files / MIB:.0f} MiB of mapped files, which the kernel can drop"
    )
    assert own < first.pod.memory_limit
    if not first.running.limited:
        pytest.skip("the limit itself was not enforced: this machine lets nobody make control groups")


def test_its_data_is_on_the_volume_and_fits(first: Life, left: Left) -> None:
    assert {"webui.db", "vector_db", "uploads", "cache"} <= {each.name for each in left.data.iterdir()}
    for volume in first.pod.spec["volumes"]:
        if "emptyDir" in volume:
            limit = as_bytes(volume["emptyDir"]["sizeLimit"])
            used = sum(each.lstat().st_size for each in first.pod.volumes[volume["name"]].rglob("*"))
            assert used < limit, volume["name"]


def test_it_never_lacked_a_folder_to_write_to(left: Left) -> None:
    assert unwritable(left.log) == []


def test_it_ends_when_asked_to(first: Life, left: Left) -> None:
    FIGURES.append(f"Open WebUI {environment.version()}: ended {left.stop_seconds:.1f} s after SIGTERM")
    assert first.running.process.returncode in (0, -15)


def test_what_the_old_root_container_wrote_is_taken_over_and_sessions_live_on(
    left: Left, rendering: Rendering, start: Start, tmp_path: Path
) -> None:
    pod = webui_pod(rendering, tmp_path / "volumes")
    copy_as_root_wrote_it(left.data, pod.mounted(DATA))
    own_by_group(pod.mounted(DATA), pod.fs_group)
    with start(pod) as running:
        running.wait_until_started()
        browser = Browser(pod.port)
        assert browser.is_signed_in(left.token)
        assert browser.is_signed_in(browser.sign_in()["token"])  # writes: the time of the last sign-in
        running.stop()
        FIGURES.append(
            f"Open WebUI {environment.version()}: restart on a volume that root wrote {running.start_seconds:.0f} s"
        )
        assert unwritable(running.log) == []


def test_a_volume_that_no_kubelet_handed_over_is_unusable(
    left: Left, rendering: Rendering, start: Start, tmp_path: Path
) -> None:
    pod = webui_pod(rendering, tmp_path / "volumes")
    copy_as_root_wrote_it(left.data, pod.mounted(DATA))
    with start(pod) as running:
        assert running.process.wait(pod.probe("startup").budget) != 0
        assert unwritable(running.log)


def test_another_session_key_ends_every_session(left: Left, start: Start, tmp_path: Path) -> None:
    another = program.run(read_stack("cpu", drawing.ROOT), generate_secrets=True)
    pod = webui_pod(another, tmp_path / "volumes")
    shutil.copytree(left.data, pod.mounted(DATA), dirs_exist_ok=True)
    own_by_group(pod.mounted(DATA), pod.fs_group)
    with start(pod) as running:
        running.wait_until_started()
        browser = Browser(pod.port)
        assert not browser.is_signed_in(left.token)
        assert browser.is_signed_in(browser.sign_in()["token"])  # nothing else is lost


def copy_as_root_wrote_it(data: Path, volume: Path) -> None:
    """Fills the volume with a copy of the data, as a container that runs as root would have left it."""
    shutil.copytree(data, volume, dirs_exist_ok=True)
    for path in (volume, *volume.rglob("*")):
        os.chown(path, 0, 0)
        path.chmod(0o755 if path.is_dir() else 0o644)


def unwritable(log: str) -> list[str]:
    """The log's lines about paths that cannot be written."""
    signs = ("read-only file system", "permission denied", "readonly database", "unable to open database file")
    return [line for line in log.splitlines() if any(sign in line.lower() for sign in signs)]
