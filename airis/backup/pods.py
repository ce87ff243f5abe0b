"""The pods with access to the data: Open WebUI's, and a helper pod that mounts the claim while Open WebUI is stopped."""

import json
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from airis.backup.target import Target
from airis.cluster.connection import Cluster
from airis.cluster.kubectl import KubectlError, KubeObject
from airis.terminal.errors import AirisError, ExitCode
from airis.terminal.signals import handled

_WAIT = "import signal,sys;signal.signal(signal.SIGTERM,lambda *_:sys.exit(0));signal.pause()"
_HELPER_LIFETIME_SECONDS = 12 * 3600
"""The time after which Kubernetes ends the helper pod, in case airis cannot delete it."""

_REPLICAS = "airis.dev/replicas"
_POLL_SECONDS = 1.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Pause:
    """Open WebUI while it is stopped."""

    whole = True
    """Whether the data is consistent: not while it is being replaced. Open WebUI is not started on inconsistent data."""


@dataclass(frozen=True)
class Site:
    """A deployed Open WebUI. `live` is its Deployment; `timeout_seconds` is for a pod to start or to terminate."""

    cluster: Cluster
    target: Target
    live: KubeObject
    timeout_seconds: float

    @property
    def image(self) -> str:
        """The image of Open WebUI."""
        return str(_container(self.target, self.live)["image"])

    def running_pod(self) -> str | None:
        """A pod of Open WebUI whose container is running, ready or not."""
        selector = ",".join(f"{key}={value}" for key, value in self.target.labels.items())
        for pod in self.cluster.get("pods", f"--selector={selector}"):
            if "deletionTimestamp" in pod["metadata"]:
                continue
            for each in pod.get("status", {}).get("containerStatuses", []):
                if each["name"] == self.target.container and "running" in each.get("state", {}):
                    return str(pod["metadata"]["name"])
        return None

    @contextmanager
    def paused(self) -> Iterator[Pause]:
        """Scales Open WebUI to 0 while the block runs, and back afterwards, whatever happens in the block.

        The exception is inconsistent data: then Open WebUI stays stopped, and the reason is printed.
        """
        pause = Pause()
        name = _helper_name(self.target)
        if self.cluster.get("pod", name):
            raise self._occupied(name)
        try:
            if self._replicas:
                print(
                    f"Stopping Open WebUI. If this command is killed, start it again with `{self._back}`.",
                    file=sys.stderr,
                    flush=True,
                )
                self.cluster.run("scale", f"deployment/{self.target.deployment}", "--replicas=0")
            self._await_free_claim()
            yield pause
        except Occupied:
            raise  # another run at the same moment: the first one starts Open WebUI again
        except BaseException:
            try:
                self._resume(pause)
            except AirisError as error:  # the first error is raised
                print(f"error: {error}", file=sys.stderr)
            raise
        self._resume(pause)

    @contextmanager
    def helper(self) -> Iterator[str]:
        """A pod that mounts the claim and waits while the block runs. Deleting it ends all of its processes.

        Its name is fixed, so that there is never more than one: a second run fails.
        """
        body = helper_pod(self.target, self.live)
        name = str(body["metadata"]["name"])
        try:
            self._start(name, body)
            yield name
        except Occupied:
            raise
        except BaseException:
            self._delete(name)
            raise
        self._delete(name)

    @property
    def _replicas(self) -> int:
        return int(self.live["spec"]["replicas"])

    @property
    def _back(self) -> str:
        """The command that starts Open WebUI again."""
        place = f"--namespace={self.target.namespace}"
        return f"kubectl {place} scale deployment/{self.target.deployment} --replicas={self._replicas}"

    def _resume(self, pause: Pause) -> None:
        with undisturbed():
            if not pause.whole:
                message = "Open WebUI stays stopped, because its data is inconsistent"
                print(f"{message}: run `airis restore` again, then `{self._back}`.", file=sys.stderr)
            elif self._replicas:
                self._scale_back()

    def _scale_back(self) -> None:
        name = f"deployment/{self.target.deployment}"
        try:
            self.cluster.run("scale", name, f"--replicas={self._replicas}")
        except AirisError as error:
            raise KubectlError(
                f"Open WebUI is stopped and could not be started again: {error.message}",
                f"start it with `{self._back}`",
            ) from None
        print("Open WebUI starts again.", file=sys.stderr, flush=True)
        # kubectl now owns the field `replicas`, and the next `pulumi up` that changes it would fail with a conflict
        managers = [
            each for each in self.live["metadata"].get("managedFields", []) if each.get("subresource") != "status"
        ]
        if managers:
            patch = json.dumps({"metadata": {"managedFields": managers}})
            try:
                self.cluster.run("patch", name, "--type=merge", f"--patch={patch}")
            except KubectlError as error:
                print(f"warning: kubectl now owns spec.replicas: {error.message}", file=sys.stderr)

    def _await_free_claim(self) -> None:
        deadline = time.monotonic() + self.timeout_seconds
        while users := self._users():
            if time.monotonic() > deadline:
                raise KubectlError(
                    f"{', '.join(users)} still uses the claim {self.target.claim} after {self.timeout_seconds:.0f} s",
                    "delete the pod, or wait longer with --timeout",
                )
            time.sleep(_POLL_SECONDS)

    def _users(self) -> list[str]:
        return [
            each["metadata"]["name"]
            for each in self.cluster.get("pods")
            if self.target.claim in _claims(each["spec"])
            and each["metadata"]["name"] != _helper_name(self.target)  # reported by its name, with a better reason
            and each.get("status", {}).get("phase") not in ("Succeeded", "Failed")
        ]

    def _start(self, name: str, body: KubeObject) -> None:
        try:
            self.cluster.run("create", "--filename=-", stdin=json.dumps(body))
        except KubectlError as error:
            if "AlreadyExists" in error.message:
                raise self._occupied(name) from None
            raise
        seconds = self.timeout_seconds
        try:
            self.cluster.run(
                "wait", f"pod/{name}", "--for=condition=Ready", f"--timeout={seconds:.0f}s", timeout=seconds + 30
            )
        except KubectlError as error:
            reason = _why(self.cluster.get("pod", name)) or error.message
            raise KubectlError(f"the helper pod does not start: {reason}", "wait longer with --timeout") from None

    def _occupied(self, name: str) -> "Occupied":
        found = self.cluster.get("pod", name)
        replicas = found[0]["metadata"].get("annotations", {}).get(_REPLICAS, "1") if found else "1"
        option = f"--namespace={self.target.namespace}"
        return Occupied(
            f"the helper pod {name} already exists: another backup or restore is running, or one was killed",
            f"if none is running: `kubectl {option} delete pod {name}`, `kubectl {option} scale deployment/"
            f"{self.target.deployment} --replicas={replicas}`, and try again",
        )

    def _delete(self, name: str) -> None:
        with undisturbed():
            try:
                self.cluster.run(
                    "delete", "pod", name, "--ignore-not-found", "--wait=true", "--timeout=90s", timeout=120
                )
            except KubectlError as error:
                print(f"warning: the helper pod {name} could not be deleted: {error.message}", file=sys.stderr)


def site_of(cluster: Cluster, target: Target, timeout_seconds: float) -> Site:
    """Finds the live Deployment. Raises AirisError if the stack is not deployed, or uses another claim."""
    found = cluster.get("deployment", target.deployment, "--show-managed-fields")
    if not found:
        raise AirisError(
            f"stack {target.stack} is not deployed: namespace {target.namespace} has no Deployment {target.deployment}",
            f"`airis up --stack {target.stack}` deploys it; check that this is the right cluster",
        )
    if target.claim not in _claims(found[0]["spec"]["template"]["spec"]):
        raise AirisError(
            f"Deployment {target.deployment} does not use the claim {target.claim} of stack {target.stack}",
            f"the stack file has changed since the deployment: run `airis up --stack {target.stack}` first",
        )
    return Site(cluster, target, found[0], timeout_seconds)


def _claims(spec: Mapping[str, Any]) -> list[str]:
    return [each.get("persistentVolumeClaim", {}).get("claimName", "") for each in spec.get("volumes", [])]


def _container(target: Target, live: KubeObject) -> Mapping[str, Any]:
    containers = live["spec"]["template"]["spec"]["containers"]
    return next(each for each in containers if each["name"] == target.container)


def _helper_name(target: Target) -> str:
    return f"{target.deployment}-data"


class Occupied(AirisError):
    """The helper pod of another run exists. This run must not delete it."""

    exit_code = ExitCode.NOT_READY


def _why(pods: Sequence[KubeObject]) -> str:
    """Why a pod does not start: the message of the scheduler or the kubelet."""
    for pod in pods:
        status = pod.get("status", {})
        for each in status.get("conditions", []):
            if each["type"] == "PodScheduled" and each["status"] == "False":
                return str(each.get("message", ""))
        for each in status.get("containerStatuses", []):
            if waiting := each.get("state", {}).get("waiting"):
                return str(waiting.get("message") or waiting.get("reason", ""))
    return ""


def helper_pod(target: Target, live: KubeObject) -> dict[str, Any]:
    """The helper pod: a copy of Open WebUI's pod with its image, user and node. It only waits, and has no credentials."""
    spec = live["spec"]["template"]["spec"]
    container = _container(target, live)
    # The claim and the scratch folder; no Secret and nothing else
    volumes = [each for each in spec["volumes"] if {"persistentVolumeClaim", "emptyDir"} & each.keys()]
    names = [each["name"] for each in volumes]
    mounts = [each for each in container["volumeMounts"] if each["name"] in names]
    kept = ("image", "imagePullPolicy", "name", "resources", "securityContext")
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": _helper_name(target),
            "namespace": target.namespace,
            # Not Open WebUI's label: its Service would route users here, and its ReplicaSet would count this pod
            "labels": {"app.kubernetes.io/name": "airis-data", "app.kubernetes.io/part-of": "airis"},
            "annotations": {_REPLICAS: str(live["spec"]["replicas"])},
        },
        "spec": {
            **{key: value for key, value in spec.items() if key not in ("initContainers", "containers")},
            "containers": [
                {
                    **{key: container[key] for key in kept if key in container},
                    "command": ["python3", "-I", "-B", "-c", _WAIT],
                    "volumeMounts": mounts,
                }
            ],
            "volumes": volumes,
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "activeDeadlineSeconds": _HELPER_LIFETIME_SECONDS,
            "terminationGracePeriodSeconds": 1,
        },
    }


@contextmanager
def undisturbed() -> Iterator[None]:
    """Ignores interrupts while the block runs: it restores the previous state, and takes seconds."""
    with handled(signal.SIG_IGN, _SIGNALS):
        yield
