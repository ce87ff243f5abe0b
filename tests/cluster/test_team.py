"""A team's stack: two WebUI pods that share a database, Redis, object storage and a vector database."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests

from airis.cluster.readiness import pod_finding
from airis.doctor.checks import State
from tests.cluster import models, servers
from tests.cluster.person import Person
from tests.cluster.probed import probed, problems
from tests.cluster.stacks import Applied, Stack
from tests.cluster.target import Target
from tests.cluster.test_node import eventually

HOST = "chat.example.com"
DOCUMENT = "The invoice number of the year 2026 is 4711.\n"


@dataclass
class Visitors:
    """Users who repeatedly request pages and their account."""

    answers: int = 0
    failures: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def visit(self, ada: Person) -> None:
        """Sends requests until the end, each on a new connection, like new browsers."""
        headers = dict(ada.session.headers)
        while not self._stop.is_set():
            for path in ("/", "/api/v1/auths/"):
                try:
                    answer = requests.get(ada.url + path, headers=headers, timeout=30)
                    self.answers += 1
                    if not answer.ok:
                        self.failures.append(f"{time.strftime('%T')} {path}: {answer.status_code} {answer.text[:100]}")
                except requests.RequestException as error:
                    self.failures.append(f"{time.strftime('%T')} {path}: {error}")
            time.sleep(0.05)


@contextmanager
def visitors(ada: Person, number: int) -> Iterator[Visitors]:
    """Simulates this number of users while the block runs."""
    seen = Visitors()
    with ThreadPoolExecutor(number) as pool:
        done = [pool.submit(seen.visit, ada) for _ in range(number)]
        try:
            yield seen
        finally:
            seen._stop.set()
            for each in done:
                each.result(60)


def webui_pods(stack: Stack, number: int = 2, seconds: float = 180) -> list[str]:
    """The URLs of the WebUI's pods, as soon as this number is ready; the autoscaler may have added more."""
    deadline = time.monotonic() + seconds
    while True:
        pods = stack.cluster.get("pods", "--selector=app=airis")
        ready = [each for each in pods if "deletionTimestamp" not in each["metadata"] and pod_finding(each).ok]
        if len(ready) >= number:
            return [f"http://{each['status']['podIP']}:8080" for each in ready]
        assert time.monotonic() < deadline, f"{len(ready)} of {number} pods are ready after {seconds:g} s"
        time.sleep(0.5)


def test_two_pods_are_one_webui(cluster: Target, stack: Stack) -> None:
    address = cluster.ingress()
    cluster.metrics()
    with servers.team(cluster) as shared, servers.running(cluster, servers.chroma()) as hosts:
        webui: dict[str, Any] = {
            **shared["webui"],
            "vectorStore": "chroma",
            "chroma": {"url": f"http://{hosts['chroma']}:8000"},
            "connections": {"embeddings": {"engine": "ollama", "model": models.EMBEDDER}},
            "replicas": 1,
            "autoscaling": {"minReplicas": 2, "maxReplicas": 3, "cpuPercent": 40},
            "rollingUpdates": True,
        }
        settings = {"ingress": {"host": HOST}, "secrets": shared["secrets"]}
        stack.up(webui=webui, **settings)
        if isinstance(stack, Applied):  # once is enough
            assert_the_probe_tells(cluster, stack, {"webui": webui, **settings})
        models.give(cluster, stack.url("ollama-service"))
        models.give(cluster, stack.url("ollama-service"), models.EMBEDDER, models.EMBEDDINGS)
        one, other = webui_pods(stack)[:2]

        # a session of one pod works at the other
        here = Person(one)
        assert here.sign_up() == "admin"
        there = here.elsewhere(other)
        assert there.role() == "admin"

        # the other pod has the uploaded file, and its passages
        file = here.upload("invoice.txt", DOCUMENT.encode())
        assert there.content(file) == DOCUMENT.encode()
        said, passages = there.chat_about(file, models.NAME, "Which number has the invoice?")
        assert (said, passages) == (models.ANSWER, [DOCUMENT.strip()])

        # the answer to a chat at one pod arrives through a websocket at the other
        with there.connected(origin=f"http://{HOST}") as socket:
            chat, answer = here.live_chat(socket, models.NAME, "Hello")
        assert answer == models.ANSWER
        assert answer in there.messages(chat).values()

        # a rolling update causes no errors for users
        ada = here.elsewhere(f"http://{address}", HOST)
        ada.wait()
        with visitors(ada, 2) as seen:
            stack.up(webui={**webui, "logging": {"level": "WARNING"}}, **settings)
        assert seen.failures == []
        assert seen.answers > 10
        assert not {one, other} & set(webui_pods(stack))

        # the autoscaler adds pods under load
        with visitors(ada, 8):
            assert eventually(lambda: scaled(stack) == 3, 180)


def assert_the_probe_tells(cluster: Target, stack: Stack, settings: dict[str, Any]) -> None:
    """`airis doctor --probe` finds no problem in the stack, and the failing step for each of four faults."""
    found = probed(stack, settings)
    assert problems(found) == {}
    said = {name: each.what.rpartition(" (")[2] for name, each in found.items() if each.state is State.OK}
    assert said.pop("network-policies").startswith("NetworkPolicies are enforced: ollama-service.")
    assert said == {
        "airis:webui.database: PostgreSQL": "name, connection, sign-in, SELECT 1)",
        "airis:webui.redis: Redis": "name, connection, sign-in, PING)",
        "airis:webui.chroma: Chroma": "name, connection, answer)",
        "airis:webui.objectStorage: S3": "name, connection, answer, sign-in)",
        "airis:ollama: Ollama": "name, connection, answer)",
    }

    # a wrong password, a closed port, a policy that denies everything, and an unknown registry
    webui, secrets = settings["webui"], dict(settings["secrets"])
    del secrets["databasePassword"]
    wrong = {"name": "wrong", "namespace": stack.namespace}
    storage = urlsplit(webui["objectStorage"]["endpoint"]).hostname or ""
    shut = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "shut", "namespace": storage.split(".")[1]},
        "spec": {"podSelector": {"matchLabels": {"app": "s3"}}, "policyTypes": ["Ingress"]},
    }
    password = {"apiVersion": "v1", "kind": "Secret", "metadata": wrong, "stringData": {"password": "not-this-one"}}
    faulty = {
        **webui,
        "database": {**webui["database"], "passwordFrom": {"name": "wrong", "key": "password"}},
        "chroma": {"url": webui["chroma"]["url"].replace("8000", "8001")},
    }
    pulled = {"models": ["registry.invalid/library/tiny:1b"], "modelPullPolicy": "Always"}
    said = {}

    def faults() -> bool:
        nonlocal said
        said = problems(probed(stack, {**settings, "webui": faulty, "ollama": pulled, "secrets": secrets}))
        return len(said) >= 4  # the node applies policies with a short delay

    cluster.kubectl.apply([password, shut])
    try:
        eventually(faults, 60)
    finally:
        cluster.kubectl.delete([shut])
    assert "not-this-one" not in str(said)
    assert "sign-in fails: " in said.pop("airis:webui.database: PostgreSQL")
    assert ":8001: connection fails: " in said.pop("airis:webui.chroma: Chroma")
    assert ":7070: connection fails: " in said.pop("airis:webui.objectStorage: S3")
    assert " at registry.invalid:443: name fails: " in said.pop("airis:ollama.models: the model registry")
    assert said == {}


def scaled(stack: Stack) -> int:
    """The autoscaler's desired number of pods, from its metrics."""
    (autoscaler,) = stack.cluster.get("hpa", "airis")
    measured = [
        each.get("resource", {}).get("current", {}) for each in autoscaler["status"].get("currentMetrics") or []
    ]
    return int(autoscaler["status"]["desiredReplicas"]) if any("averageUtilization" in each for each in measured) else 0
