"""What people have made outlives an upgrade, a mistake, and the stack itself."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from airis.deploy.database_preparation import Preparing
from airis.deploy.watch import watching
from components.exposure import LOCAL_ORIGIN
from tests.cluster import migrations, servers
from tests.cluster.images.recipes import WEBUI, WEBUI_BEFORE
from tests.cluster.person import PASSWORD, Person
from tests.cluster.projects import project_of
from tests.cluster.stacks import NAME, WAYS, Stack, new_stack
from tests.cluster.target import Target
from tests.cluster.test_node import eventually
from tests.cluster.used import Used, new_chat, use


@dataclass
class Life:
    """A stack whose WebUI was used since it started with the release before the newest."""

    stack: Stack
    settings: Mapping[str, Any]
    used: Used
    image: str = WEBUI_BEFORE

    def up(self, image: str, **webui: Any) -> None:
        """Deploys that release. `webui` are further settings, for this time."""
        self.image = image
        up(self.stack, {**self.settings, "webui": {**self.settings.get("webui", {}), **webui}}, image)

    def assert_kept(self) -> None:
        """Asserts that everything is there, for a session of the first day, and that no pod has crashed."""
        self.used.assert_kept(self.stack.url("airis-service"))
        assert_no_crash(self.stack)


def first_start(cluster: Target, stack: Stack, settings: Mapping[str, Any]) -> Life:
    up(stack, settings, WEBUI_BEFORE)
    assert sum("Running upgrade" in log for log in prepared(stack)) == 1  # one pod migrates
    life = Life(stack, settings, use(cluster, stack.url("airis-service"), stack.url("ollama-service"), LOCAL_ORIGIN))
    assert_no_crash(stack)
    return life


def up(stack: Stack, settings: Mapping[str, Any], image: str) -> None:
    stack.up(**{**settings, "webui": {**settings.get("webui", {}), "image": image}})
    assert {each["image"] for pod in pods(stack) for each in pod["spec"]["containers"]} == {image}
    assert_no_crash(stack)


def pods(stack: Stack) -> list[dict[str, Any]]:
    return stack.cluster.get("pods", "--selector=app=airis")


def assert_no_crash(stack: Stack) -> None:
    for status in (pod["status"] for pod in pods(stack)):
        containers = [*status["initContainerStatuses"], *status["containerStatuses"]]
        assert [each["restartCount"] for each in containers] == [0, 0]


def prepared(stack: Stack) -> list[str]:
    """What the container that prepares the database said, for each pod."""
    return [stack.cluster.run("logs", each["metadata"]["name"], "--container=prepare") for each in pods(stack)]


@contextmanager
def told(stack: Stack) -> Iterator[list[str]]:
    """What `airis up` would tell of the stack's pods while the block runs."""
    said: list[str] = []
    with watching(stack.cluster, said.append, Preparing(said.append).look):
        yield said


def assert_long_migration(stack: Stack, said: list[str]) -> None:
    """Asserts that one pod's was longer than its probe allows, and that log and `airis up` have said how far it is."""
    assert all(pod["spec"]["containers"][0]["startupProbe"].items() >= migrations.BUDGET.items() for pod in pods(stack))
    longest = max(migrations.seconds(pod["status"]["initContainerStatuses"][0]) for pod in pods(stack))
    assert longest > migrations.BUDGET_SECONDS
    (log,) = [each for each in prepared(stack) if "Running upgrade" in each]
    assert "airis: revisions to run: 1\n" in log
    progress = f"preparing the database for 30 s, 1 of 1: {migrations.UPGRADE}"
    assert f"airis: {progress}\n" in log
    assert [each for each in said if each.endswith(progress)]


@pytest.fixture(scope="module", params=WAYS)
def life(request: pytest.FixtureRequest, cluster: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    with new_stack(request.param, cluster, tmp_path_factory.mktemp("stack")) as stack:
        yield first_start(cluster, stack, {})


def test_an_upgrade_on_sqlite_loses_nothing(life: Life) -> None:
    migrations.takes_long_on_sqlite(life.stack)
    with told(life.stack) as said:
        life.up(WEBUI, probes={"startup": migrations.BUDGET})

    assert_long_migration(life.stack, said)
    assert (
        life.used.ada.elsewhere(life.stack.url("airis-service")).ask("GET", "/api/version").json()["version"] in WEBUI
    )
    life.assert_kept()


def test_a_restore_brings_back_what_was_there_at_the_backup(life: Life) -> None:
    stack, used = life.stack, life.used
    ada, project = used.ada.elsewhere(stack.url("airis-service")), project_of(stack)
    project.write(NAME, {"airis:namespace": stack.namespace, "airis:webui": {"image": life.image}})
    archive = str(project.folder / "monday.tar.gz")
    project.done("backup", "--stack", NAME, "--output", archive)

    ada.ask("DELETE", f"/api/v1/chats/{used.chat}")
    ada.ask("DELETE", f"/api/v1/files/{used.file}")
    later, _ = new_chat(ada, LOCAL_ORIGIN)
    bob = {"name": "bob", "email": "bob@example.com", "password": PASSWORD, "role": "user"}
    ada.ask("POST", "/api/v1/auths/add", json=bob)
    assert Person(ada.url).sign_in("bob") == "user"
    refused = project.airis("restore", "--stack", NAME, archive)
    assert refused.end() == 1
    assert "--overwrite" in refused.text
    assert ada.chats() == [later]
    project.done("restore", "--stack", NAME, archive, "--overwrite")
    stack.cluster.run("rollout", "status", "deployment/airis-deployment", "--timeout=180s", timeout=190)

    life.assert_kept()
    assert ada.chats() == [used.chat]
    with pytest.raises(requests.HTTPError, match="400"):
        Person(ada.url).sign_in("bob")


def test_destroy_and_up_lose_nothing(life: Life) -> None:
    stack = life.stack

    def claims() -> dict[str, str]:
        return {each["metadata"]["name"]: each["metadata"]["uid"] for each in stack.cluster.get("pvc")}

    before = claims()
    stack.destroy()
    assert eventually(lambda: stack.cluster.get("pods,services,secrets") == [], 60)
    assert claims() == before
    life.up(life.image)

    assert claims() == before
    life.assert_kept()


def test_an_upgrade_of_two_pods_on_postgresql_loses_nothing(cluster: Target, stack: Stack) -> None:
    with servers.team(cluster) as settings:
        life = first_start(cluster, stack, settings)
        assert len(pods(stack)) == 2
        migration = migrations.OnPostgres(cluster, settings["webui"]["database"]["host"])
        migration.fails()

        with told(stack) as said, ThreadPoolExecutor(1) as threads:
            upgrade = threads.submit(life.up, WEBUI, probes={"startup": migrations.BUDGET})
            failed = eventually(lambda: any(migrations.FAILED in each for each in said), 120)
            migration.takes_long()
            stack.cluster.run("delete", "pods", "--selector=app=airis", "--wait=false")
            upgrade.result()

        assert failed, said
        assert_long_migration(stack, said)
        (waited,) = [log for log in prepared(stack) if "Running upgrade" not in log]
        assert "airis: another pod is preparing the database: waiting for 30 s\n" in waited
        assert "the database is up to date" in waited  # one pod writes what is new
        life.assert_kept()
