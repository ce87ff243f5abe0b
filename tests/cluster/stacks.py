"""Stacks on the cluster: deployed with the Pulumi engine, or rendered and applied as in docs/moving.md."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from secrets import token_urlsafe
from typing import Any
from unittest import mock

import pytest

from airis.cluster.connection import Cluster
from airis.cluster.kubectl import KubeObject
from airis.cluster.readiness import key_of
from airis.render import manifest, program
from tests.cluster.images import references
from tests.cluster.images.image import full
from tests.cluster.ready import wait_ready
from tests.cluster.rehearsed import Deployed, snapshot_of
from tests.cluster.target import Target
from tests.pulumi_project import Project, missing, prepared
from tests.unit.drawing import stack_of

NAME = "story"
"""The name of every stack; each has its own namespace."""

_KEPT = ("Namespace", "PersistentVolumeClaim")
"""The kinds that neither a change nor `destroy` deletes."""

_ENGINE_SECONDS = 420

DEPLOYED = Deployed()
"""Every stack that came up: after the last test, it must also come up in a rehearsal (conftest.py)."""


@dataclass
class Stack(ABC):
    """A stack in its own namespace."""

    target: Target
    namespace: str
    folder: Path
    _generated: str = field(default_factory=lambda: token_urlsafe(48), kw_only=True)
    """The values that the engine would generate once and keep."""

    @property
    def cluster(self) -> Cluster:
        """kubectl for its namespace."""
        return self.target.within(self.namespace)

    def up(self, **settings: object) -> str:
        """Deploys the stack, or changes it, and returns when it is ready: `up(ollama={"models": ["tiny"]})`.

        Returns the output of `airis up`; empty without the engine.

        `settings` are the keys below `config:` of a stack file, without the prefix `airis:`; `secrets` are encrypted on their
        way. Images of tests/cluster/images are loaded first. Raises AssertionError with the reasons if the stack does
        not come up.
        """
        settings = {"namespace": self.namespace, **settings}
        wanted = self._rendered(settings)
        self.target.images.load(*(known for each in _images(wanted) if (known := full(each)) in references()))
        before = snapshot_of(self.target, self.namespace)
        told = self._deploy(settings, wanted)
        # A claim waits for the first pod that uses it, and that pod is not ready before
        wait_ready(self.target.kubectl, [each for each in wanted if each["kind"] != "PersistentVolumeClaim"])
        DEPLOYED.stacks[self.namespace] = (before, [each for each in wanted if self._is_served(each)])
        return told

    def _is_served(self, body: KubeObject) -> bool:
        """Whether it can become ready: an Ingress needs a controller, which most stories do not have."""
        if body["kind"] != "Ingress":
            return True
        (live,) = self.cluster.get("ingress", body["metadata"]["name"])
        return bool(live.get("status", {}).get("loadBalancer", {}).get("ingress"))

    def fill(self, *objects: KubeObject) -> None:
        """Creates the namespace by a first `up` with both applications paused (docs/production.md), and the objects in it.

        `objects` are those that the stack's settings reference.
        """
        self.up(webui={"replicas": 0}, ollama={"replicas": 0})
        self.target.kubectl.apply(
            [{**each, "metadata": {**each["metadata"], "namespace": self.namespace}} for each in objects]
        )

    def url(self, service: str) -> str:
        """The URL of one of its Services, reachable from the node."""
        (found,) = self.cluster.get("service", service)
        return f"http://{found['spec']['clusterIP']}:{found['spec']['ports'][0]['port']}"

    @abstractmethod
    def destroy(self) -> None:
        """Deletes the deployed objects, except for the data."""

    @abstractmethod
    def _deploy(self, settings: Mapping[str, object], wanted: Sequence[KubeObject]) -> str:
        """Deploys a stack with these settings, whose objects are `wanted`; returns the output of the command."""

    def _rendered(self, settings: Mapping[str, object]) -> list[dict[str, Any]]:
        """The stack's objects, as from `airis render --show-secrets`, with the same generated values each time."""
        with mock.patch("components.generated.secrets", mock.Mock(**{"token_urlsafe.return_value": self._generated})):
            objects = program.run(stack_of(**settings), generate_secrets=True).objects
        return [manifest.manifest(each, show_secrets=True) for each in manifest.in_order(objects)]


@dataclass
class Applied(Stack):
    """Rendered, and applied server-side."""

    _applied: Sequence[KubeObject] = ()

    def _deploy(self, settings: Mapping[str, object], wanted: Sequence[KubeObject]) -> str:
        after = {key_of(each): each for each in wanted}
        gone = [each for each in self._applied if key_of(each) not in after]
        # The template of a Job is immutable: the engine also replaces such a Job
        jobs = [each for each in self._applied if each["kind"] == "Job" and each != after.get(key_of(each), each)]
        self._delete([*gone, *jobs])
        self.target.kubectl.apply(wanted)
        self._applied = wanted
        return ""

    def destroy(self) -> None:
        self._delete(self._applied)
        self._applied = ()

    def _delete(self, objects: Sequence[KubeObject]) -> None:
        self.target.kubectl.delete([each for each in objects if each["kind"] not in _KEPT], timeout=120)


@dataclass
class Engined(Stack):
    """Deployed with Pulumi, which must be on PATH: `airis up --yes`."""

    def __post_init__(self) -> None:
        folder, kubectl = self.folder / "project", self.target.kubectl
        self.project = Project(folder, kubectl, prepared(folder, kubectl.kubeconfig))
        self._pulumi("stack", "select", "--create", NAME)

    def _deploy(self, settings: Mapping[str, object], wanted: Sequence[KubeObject]) -> str:
        plain = {f"airis:{key}": value for key, value in settings.items() if key != "secrets"}
        self.project.write(NAME, plain)
        for path, value in _values("airis:secrets", settings.get("secrets", {})):
            self._pulumi("config", "set", "--secret", "--path", path, value, f"--stack={NAME}")
        return self._airis("up")

    def destroy(self) -> None:
        self._airis("destroy")

    def _airis(self, command: str) -> str:
        run = self.project.airis(command, "--yes", "--stack", NAME)
        assert run.end(_ENGINE_SECONDS) == 0, run.text
        return run.text

    def _pulumi(self, *command: str) -> None:
        code, text = self.project.run("pulumi", *command)
        assert code == 0, text


WAYS = (
    pytest.param(Applied, id="applied"),
    pytest.param(Engined, id="engine", marks=pytest.mark.skipif(missing() is not None, reason=f"{missing()}")),
)
"""The ways to deploy stacks, as parameters of a fixture."""

_numbers = count(1)


@contextmanager
def new_namespace(target: Target) -> Iterator[str]:
    """A unique name for a namespace; afterwards it is deleted, in the background of the next test."""
    # Processes that share a cluster (pytest-xdist) have separate counters
    name = f"story-{os.environ.get('PYTEST_XDIST_WORKER', 'gw0')}-{next(_numbers)}"
    gone = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}]
    target.kubectl.delete(gone)  # on a permanent cluster, an earlier run may have left it
    yield name
    target.kubectl.delete(gone, wait=False)


@contextmanager
def new_stack(way: type[Stack], target: Target, folder: Path) -> Iterator[Stack]:
    """A stack in its own namespace. `way` is one of `WAYS`, and `folder` is for the stack's files.

    If the tests of a module share a stack, wrap this in a module-scoped fixture.
    """
    with new_namespace(target) as namespace:
        yield way(target, namespace, folder)


def _images(objects: Sequence[KubeObject]) -> Iterator[str]:
    """The images of the objects' pods."""
    for each in objects:
        pod = each.get("spec", {}).get("template", {}).get("spec", {})
        for container in [*pod.get("initContainers", []), *pod.get("containers", [])]:
            yield container["image"]


def _values(path: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _values(f"{path}.{key}", inner)
    else:
        yield path, str(value)
