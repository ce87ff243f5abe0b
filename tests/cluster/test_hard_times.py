"""Pods on a node with problems: little CPU, a drain, a full disk, too much memory. No chat is lost."""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from airis.cluster.kubectl import KubeObject
from airis.cluster.readiness import pod_finding
from tests.cluster import models
from tests.cluster.models import Tiny
from tests.cluster.node.places import NAME as NODE
from tests.cluster.stacks import WAYS, Stack, new_stack
from tests.cluster.target import Target
from tests.cluster.test_node import eventually
from tests.cluster.used import Used, use

HEAVY = "heavy:latest"
"""A model with some load: eight concurrent answers take seconds of the remaining CPU."""
FILL = "import os; os.posix_fallocate(os.open('/tmp/full', os.O_CREAT | os.O_WRONLY), 0, 1100 << 20)"
"""Writes more than the 1Gi limit of a scratch folder."""
HOG = """
import os, time
for _ in range(40):
    if os.fork() == 0:
        kept = bytearray(os.urandom(1 << 20) * 40)
        time.sleep(30)
        os._exit(0)
time.sleep(30)
"""
"""Uses 40 MiB in each of many processes, so that the server is the largest process, which the kernel kills."""


@dataclass
class Lived:
    """A used stack."""

    stack: Stack
    used: Used

    def pods(self, app: str) -> Sequence[KubeObject]:
        """The pods of an application that are not terminating."""
        found = self.stack.cluster.get("pods", f"--selector=app={app}")
        return [each for each in found if "deletionTimestamp" not in each["metadata"]]

    def assert_kept(self) -> None:
        """Waits until both pods are ready; then asserts that all data is kept, and a chat is answered."""
        assert eventually(self._ready, 180)
        self.used.assert_kept()

    def _ready(self) -> bool:
        pods = [*self.pods("airis"), *self.pods("ollama")]
        return len(pods) == 2 and all(pod_finding(each).ok for each in pods)


@pytest.fixture(params=WAYS, scope="module")
def lived(request: pytest.FixtureRequest, cluster: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    """Before each test, all its pods are ready."""
    assert cluster.own_node.pid  # the tests must not disturb another cluster's node
    with new_stack(request.param, cluster, tmp_path_factory.mktemp("stack")) as stack:
        stack.up(ollama={"resources": {"requests": {"cpu": "500m"}, "limits": {"cpu": "1"}}})  # so one thread
        ollama = stack.url("ollama-service")
        models.give(cluster, ollama, HEAVY, Tiny(4, 512))
        yield Lived(stack, use(cluster, stack.url("airis-service"), ollama))


def restarts(pods: Sequence[KubeObject]) -> int:
    return sum(each["restartCount"] for pod in pods for each in pod["status"]["containerStatuses"])


def squeeze(lived: Lived, app: str, container: str, cpu: str) -> None:
    """Limits the CPU of a running pod."""
    (pod,) = lived.pods(app)
    resources = {"requests": {"cpu": "100m"}, "limits": {"cpu": cpu}}
    patch = json.dumps({"spec": {"containers": [{"name": container, "resources": resources}]}})
    lived.stack.cluster.run("patch", "pod", pod["metadata"]["name"], "--subresource=resize", f"--patch={patch}")

    def done() -> bool:
        (after,) = lived.pods(app)
        (status,) = after["status"]["containerStatuses"]
        return bool(status.get("resources", {}).get("limits", {}).get("cpu") == cpu)

    assert eventually(done, 60)


def test_eight_chats_at_once_on_little_cpu_are_all_answered(lived: Lived) -> None:
    for app, container in (("airis", "airis"), ("ollama", "ollama")):
        squeeze(lived, app, container, "300m")
    before, ada = [*lived.pods("airis"), *lived.pods("ollama")], lived.used.ada

    def ask(number: int) -> tuple[str, str]:
        here = ada.elsewhere(ada.url)
        with here.connected() as socket:
            return here.live_chat(socket, HEAVY, f"Question {number}", 240)

    with ThreadPoolExecutor(8) as pool:
        chats = list(pool.map(ask, range(8)))
    assert len({chat for chat, _ in chats}) == 8
    for chat, answer in chats:
        assert answer
        assert answer in ada.messages(chat).values()
    after = [*lived.pods("airis"), *lived.pods("ollama")]
    assert [each["metadata"]["uid"] for each in after] == [each["metadata"]["uid"] for each in before]
    assert restarts(after) == restarts(before)


def test_after_a_drain_the_pods_come_back(cluster: Target, lived: Lived) -> None:
    before = {each["metadata"]["uid"] for each in [*lived.pods("airis"), *lived.pods("ollama")]}
    mine = "--pod-selector=app in (airis,ollama)"
    cluster.kubectl.run("drain", NODE, mine, "--delete-emptydir-data", "--timeout=60s", timeout=70)
    try:
        waiting = [*lived.pods("airis"), *lived.pods("ollama")]
        assert not before & {each["metadata"]["uid"] for each in waiting}
        assert [each["spec"].get("nodeName") for each in waiting] == [None, None]
    finally:
        cluster.kubectl.run("uncordon", NODE)
    lived.assert_kept()


def test_a_pod_that_fills_its_scratch_folder_is_evicted_and_replaced(lived: Lived) -> None:
    (before,) = lived.pods("ollama")
    lived.stack.cluster.run("exec", "ollama-0", "--", "python3", "-c", FILL)
    assert eventually(
        lambda: before["metadata"]["uid"] not in {each["metadata"]["uid"] for each in lived.pods("ollama")}, 60
    )
    events = lived.stack.cluster.get("events", "--field-selector=reason=Evicted")
    assert [each["involvedObject"]["name"] for each in events] == ["ollama-0"]
    lived.assert_kept()


def test_an_oom_killed_server_is_restarted(lived: Lived) -> None:
    (before,) = lived.pods("airis")
    lived.stack.cluster.run(
        "exec", before["metadata"]["name"], "--", "sh", "-c", f"python3 -c '{HOG}' >/dev/null 2>&1 &"
    )
    assert eventually(lambda: restarts(lived.pods("airis")) > restarts([before]), 60)
    (after,) = lived.pods("airis")
    (status,) = after["status"]["containerStatuses"]
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert status["lastState"]["terminated"]["reason"] == "OOMKilled"
    lived.assert_kept()
