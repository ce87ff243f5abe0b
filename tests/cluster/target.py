"""The cluster of the stories: a node that the tests start, or the cluster of $AIRIS_TEST_KUBECONFIG."""

import os
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest

from airis.cluster.connection import Cluster, kubectl_binary
from airis.cluster.kubectl import Kubectl
from airis.terminal.errors import EnvironmentProblem
from airis.terminal.progress import step
from tests.cluster import images
from tests.cluster.images import recipes
from tests.cluster.node import images as on_node
from tests.cluster.node import node as real
from tests.cluster.node import services
from tests.cluster.node.node import Node
from tests.cluster.ready import wait_ready

KUBECONFIG = "AIRIS_TEST_KUBECONFIG"
"""The variable with the kubeconfig of a cluster to use, by its current context."""

IMPORT = "AIRIS_TEST_IMPORT"
"""The variable with a command that imports an OCI archive from its stdin into that cluster; if unset, the cluster pulls."""

_IMPORT_SECONDS = 600


@dataclass(frozen=True)
class Images:
    """The images on the cluster."""

    node: Node | None

    def load(self, *references: str) -> None:
        """Loads images of tests/cluster/images that are missing on the cluster.

        Raises KeyError for a reference without a recipe, EnvironmentProblem if one cannot be built.
        """
        if self.node is not None:
            on_node.load(self.node, references)
        elif command := os.environ.get(IMPORT):
            for each in references:
                with step(f"Importing {each}"), images.archive(each).open("rb") as file:
                    subprocess.run(shlex.split(command), stdin=file, check=True, timeout=_IMPORT_SECONDS)


@dataclass(frozen=True)
class Target:
    """The cluster, with operations for tests."""

    kubectl: Kubectl
    """kubectl for all namespaces."""
    images: Images
    node: Node | None = None
    """The node that the tests started; None on another cluster."""

    @property
    def own_node(self) -> Node:
        """The node that the tests started, with its status, control groups and files. Skips the test on another cluster."""
        if self.node is None:
            pytest.skip(f"NOT ON THIS CLUSTER: it takes the tests' own node, and ${KUBECONFIG} is set")
        return self.node

    def outside(self) -> AbstractContextManager[None]:
        """Moves this thread to the machine's network, where registries are reachable, while the block runs."""
        return self.node.outside() if self.node else nullcontext()

    def within(self, namespace: str) -> Cluster:
        """kubectl for one namespace."""
        cache = self.kubectl.kubeconfig.parent / "kubectl-cache"
        options = (f"--kubeconfig={self.kubectl.kubeconfig}", f"--cache-dir={cache}")
        return Cluster(self.kubectl.binary, namespace, options)

    def ingress(self) -> str:
        """The address of a real ingress controller at ports 80 and 443: Traefik, of the default class `traefik`.

        It is started at the first call. It serves every host: `requests.get(f"http://{address}", headers={"Host": host})`.
        """
        self._start("ingress", recipes.TRAEFIK)
        (node, *_) = self.kubectl.get("nodes")
        return next(str(each["address"]) for each in node["status"]["addresses"] if each["type"] == "InternalIP")

    def metrics(self) -> None:
        """Installs metrics-server on the cluster at the first call, for `kubectl top` and autoscalers."""
        self._start("metrics", recipes.METRICS)

    def _start(self, name: str, image: str) -> None:
        self.images.load(image)
        self.kubectl.apply(objects := services.manifests(name))
        wait_ready(self.kubectl, objects)


@contextmanager
def target() -> Iterator[Target]:
    """The cluster, with DNS and a default StorageClass. Raises EnvironmentProblem if it does not start."""
    if named := os.environ.get(KUBECONFIG):
        if not (path := Path(named).resolve()).is_file():
            raise EnvironmentProblem(f"${KUBECONFIG}: there is no file {path}", "unset it to start a node")
        yield Target(Kubectl(kubectl_binary(), path), Images(None))
        return
    with real.running() as node:
        on_node.load(node, services.BASE)
        node.kubectl.apply(objects := services.manifests("base"))
        wait_ready(node.kubectl, objects)
        yield Target(node.kubectl, Images(node), node)


def obstacle() -> str | None:
    """The reason why there is no cluster, if there is none."""
    return None if os.environ.get(KUBECONFIG) else real.obstacle()
