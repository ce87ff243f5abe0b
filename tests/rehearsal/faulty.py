"""A sandbox that can be hurt: nodes that fall silent, images that no registry has, an API server that goes away.

Scheduler, controllers and the disruption API are the real ones. What no machine here does is simulated: that a kubelet is
gone (KWOK plays nothing for its node and pods, and the node's Ready becomes Unknown, as the node controller sets it when
heartbeats are missing for 40 seconds), and that an image cannot be pulled.
"""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airis.cluster.kubectl import Kubectl, KubeObject
from airis.rehearse.sandbox import Sandbox
from airis.terminal.errors import AirisError
from tests.engine.conftest import arguments, start

STAGES = Path(__file__).with_name("stages.yaml")
MISSING = "registry.example.com/missing:1"
"""The image that cannot be pulled."""

SECONDS = 90.0
"""By when something must have happened that takes seconds: pod garbage collection takes the longest, 40 to 60."""

_SILENT = "tests.airis.dev/silent"

_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "kwok-controller": (),  # it reads the stages when it starts
    # Taints for nodes that are gone come within a second, and not within 25
    "kube-controller-manager": ("--node-monitor-period=1s",),
}
"""What is started anew, and with which further options."""


def until(holds: Callable[[], Any], what: str, seconds: float = SECONDS) -> Any:
    """Waits until `holds` returns something true, and returns it."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.3)
    return found


@dataclass(frozen=True)
class Faulty:
    """The sandbox, and what can be done to it."""

    sandbox: Sandbox

    @property
    def kubectl(self) -> Kubectl:
        return self.sandbox.kubectl

    def prepare(self, anew: Mapping[str, tuple[str, ...]] = _OPTIONS) -> None:
        """Starts KWOK anew with the stages, and the controllers with other options; or only these components."""
        config = self.sandbox.kubeconfig.parent / "clusters" / self.sandbox.name / "kwok.yaml"
        with config.open("a", encoding="utf-8") as file:
            file.write(f"\n---\n{STAGES.read_text(encoding='utf-8')}")
        for component, options in anew.items():
            self._ended(component, options)()

    def _ended(self, component: str, options: tuple[str, ...] = ()) -> Callable[[], None]:
        """Kills a component; what it returns starts it again, with these options more."""
        pid = self.sandbox.status().processes[component]
        command = [*arguments(pid), *options], Path(f"/proc/{pid}/cwd").resolve()
        os.kill(pid, signal.SIGKILL)
        until(lambda: component not in self.sandbox.status().processes, f"{component} ends")

        def again() -> None:
            start(command, self.sandbox)

        return again

    def stop_api_server(self) -> Callable[[], None]:
        """Kills the API server, as a crash of its machine would; what it returns brings it back, with all that etcd keeps."""
        again = self._ended("kube-apiserver")

        def restart() -> None:
            again()
            until(lambda: self.sandbox.status().running, "the API server answers")

        return restart

    def all(self, kind: str, namespace: str = "airis") -> list[dict[str, Any]]:
        return self.kubectl.get(kind, f"--namespace={namespace}")

    def pod(self, name: str) -> dict[str, Any] | None:
        """The pod of that name, or whose name begins so."""
        return next((each for each in self.all("pods") if each["metadata"]["name"].startswith(name)), None)

    def identities(self) -> dict[str, str]:
        """The UIDs of claims and volumes: as long as they are the same, nothing is lost."""
        claims = self.all("persistentvolumeclaims")
        theirs = {each["metadata"]["uid"] for each in claims}
        volumes = self.kubectl.get("persistentvolumes")  # those of the test before may still be going
        mine = [each for each in volumes if each["spec"].get("claimRef", {}).get("uid") in theirs]
        return {f"{each['kind']}/{each['metadata']['name']}": each["metadata"]["uid"] for each in [*claims, *mine]}

    def answering(self, service: str) -> list[str]:
        """The pods that visitors of a Service reach: its ready endpoints. Without one, they get 503 or no connection."""
        slices = self.kubectl.get(
            "endpointslices", "--namespace=airis", f"--selector=kubernetes.io/service-name={service}"
        )
        return [
            each["targetRef"]["name"]
            for one in slices
            for each in one.get("endpoints") or []
            if each["conditions"].get("ready")
        ]

    def silence(self, node: str) -> None:
        """The machine is gone: nobody speaks for the node and its pods any more."""
        for pod in self.kubectl.get("pods", "--all-namespaces", f"--field-selector=spec.nodeName={node}"):
            name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
            self.kubectl.run("annotate", "pod", name, f"--namespace={namespace}", f"{_SILENT}=yes")
        self.kubectl.run("annotate", "node", node, f"{_SILENT}=yes")
        unknown = {"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown", "message": "no heartbeat"}
        patch = f"--patch={json.dumps({'status': {'conditions': [unknown]}})}"

        def is_unknown() -> bool:  # a heartbeat that was under way already may come after it
            self.kubectl.run("patch", "node", node, "--subresource=status", "--type=strategic", patch)
            return "unreachable" in self.taints(node)

        until(is_unknown, "the node controller taints the node")
        # The node controller does this as well, where it was itself that found the heartbeats missing
        unready = f"--patch={json.dumps({'status': {'conditions': [{'type': 'Ready', 'status': 'False'}]}})}"
        for pod in self.kubectl.get("pods", "--all-namespaces", f"--field-selector=spec.nodeName={node}"):
            name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
            self.kubectl.run(
                "patch", "pod", name, f"--namespace={namespace}", "--subresource=status", "--type=strategic", unready
            )

    def revive(self, node: str) -> None:
        """The machine is back."""
        self.kubectl.run("annotate", "node", node, f"{_SILENT}-")
        for pod in self.kubectl.get("pods", "--all-namespaces", f"--field-selector=spec.nodeName={node}"):
            name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
            with suppress(AirisError):  # it may be gone by now
                self.kubectl.run("annotate", "pod", name, f"--namespace={namespace}", f"{_SILENT}-")

    def taints(self, node: str) -> str:
        """The keys and effects of its taints."""
        (found,) = self.kubectl.get("nodes", node)
        return " ".join(f"{each['key']}:{each['effect']}" for each in found["spec"].get("taints", []))


@contextmanager
def cut_off(faulty: Faulty, when: Callable[[], bool]) -> Iterator[Callable[[], None]]:
    """Takes the API server away once `when` holds; it is back after the block in any case."""
    until(when, "the moment to take the API server away")
    restart = faulty.stop_api_server()
    try:
        yield restart
    finally:
        if not faulty.sandbox.status().running:
            restart()


def configmaps(count: int) -> list[Mapping[str, Any]]:
    """So many objects that their apply takes a while."""
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": f"more-{number}", "namespace": "airis"},
            "data": {"key": "value"},
        }
        for number in range(count)
    ]


def storage_class(name: str, provisioner: str, **fields: Any) -> KubeObject:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
        "provisioner": provisioner,
        **fields,
    }
