"""The WebUI's pod of the cpu stack: its privileges, its writes, its termination."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import requests

from airis.cluster.kubectl import KubeObject
from settings.types.quantity import as_bytes
from tests.cluster.person import Person
from tests.cluster.stacks import Applied, new_stack
from tests.cluster.target import Target

DATA = "/app/backend/data"
UNWRITABLE = ("read-only file system", "permission denied", "readonly database", "unable to open database file")


@dataclass
class Life:
    """A deployed stack, and its administrator."""

    stack: Applied
    ada: Person
    role: str

    @property
    def pod(self) -> KubeObject:
        (found,) = self.stack.cluster.get("pods", "--selector=app=airis")
        return found

    def inside(self, *command: str) -> str:
        """The output of a command in the container."""
        return self.stack.cluster.run("exec", str(self.pod["metadata"]["name"]), "--container=airis", "--", *command)


@pytest.fixture(scope="module")
def life(cluster: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    with new_stack(Applied, cluster, tmp_path_factory.mktemp("stack")) as stack:
        assert isinstance(stack, Applied)
        stack.up()
        ada = Person(stack.url("airis-service"))
        ada.wait()
        yield Life(stack, ada, ada.sign_up())


def test_it_runs_as_the_rendered_user_without_any_privilege(life: Life) -> None:
    status = dict(line.split(":\t", 1) for line in life.inside("cat", "/proc/1/status").splitlines())
    context = life.pod["spec"]["securityContext"]
    assert context["runAsUser"] != 0
    assert status["Uid"].split() == [str(context["runAsUser"])] * 4
    assert status["Gid"].split() == [str(context["runAsGroup"])] * 4
    assert set(status["Groups"].split()) == {str(context["runAsGroup"]), str(context["fsGroup"])}
    assert {status[each] for each in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"  # a filter


def test_it_can_write_to_its_volumes_only(life: Life) -> None:
    assert life.inside("python3", "-c", "import os; print(os.statvfs('/').f_flag & os.ST_RDONLY)") == "1\n"
    spec = life.pod["spec"]
    files = {each["name"] for each in spec["volumes"] if "configMap" in each}
    for each in spec["containers"][0]["volumeMounts"]:
        allowed = life.inside("python3", "-c", f"import os; print(os.access({each['mountPath']!r}, os.W_OK))")
        assert allowed == f"{each['name'] not in files}\n", each


def test_the_first_user_is_administrator_and_can_sign_in(life: Life) -> None:
    assert life.role == "admin"
    assert life.ada.role() == "admin"
    assert Person(life.ada.url).sign_in() == "admin"
    for token in ("", f"{life.ada.token[:-6]}forged"):
        stranger = Person(life.ada.url)
        stranger.session.headers["Authorization"] = f"Bearer {token}"
        with pytest.raises(requests.HTTPError, match=r"40[13]"):
            stranger.role()


def test_it_can_reach_ollama_and_is_the_pinned_release(life: Life) -> None:
    images = {
        each["name"]: each["image"] for pod in life.stack.cluster.get("pods") for each in pod["spec"]["containers"]
    }
    assert life.ada.ask("GET", "/ollama/api/version").json()["version"] == images["ollama"].rpartition(":")[2]
    assert f"v{life.ada.ask('GET', '/api/version').json()['version']}" == images["airis"].rpartition(":")[2]
    assert life.ada.models() == []


def test_it_stays_below_its_memory_limit(life: Life) -> None:
    status = dict(line.split(":\t", 1) for line in life.inside("cat", "/proc/1/status").splitlines())
    (container,) = life.pod["spec"]["containers"]
    assert int(status["RssAnon"].split()[0]) * 1024 < as_bytes(container["resources"]["limits"]["memory"])
    (state,) = life.pod["status"]["containerStatuses"]
    assert state["restartCount"] == 0


def test_its_data_is_on_the_volume_and_no_write_failed(life: Life) -> None:
    assert {"webui.db", "vector_db", "uploads", "cache"} <= set(life.inside("ls", DATA).split())
    log = life.stack.cluster.run("logs", str(life.pod["metadata"]["name"]), "--all-containers").lower()
    assert log
    assert [line for line in log.splitlines() if any(sign in line for sign in UNWRITABLE)] == []


def test_it_terminates_gracefully_and_the_next_pod_has_all_data(life: Life) -> None:
    before = str(life.pod["metadata"]["name"])
    grace = life.pod["spec"]["terminationGracePeriodSeconds"]
    begun = time.monotonic()
    life.stack.cluster.run("delete", "pod", before, timeout=grace + 30)
    assert time.monotonic() - begun < grace
    life.stack.up()
    assert life.pod["metadata"]["name"] != before
    life.ada.wait()
    assert life.ada.role() == "admin"


def test_a_new_session_key_ends_all_sessions_and_keeps_all_data(life: Life) -> None:
    life.stack._generated = "another-key-of-the-sessions"
    life.stack.up()
    life.ada.wait()
    with pytest.raises(requests.HTTPError, match="401"):
        life.ada.role()
    assert Person(life.ada.url).sign_in() == "admin"
