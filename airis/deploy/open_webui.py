"""`airis open`: opens a stack's Open WebUI in the browser through `kubectl port-forward`, until Ctrl-C."""

import http.client
import os
import sys
import time
import webbrowser
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from airis.cluster.connection import Cluster, connected
from airis.cluster.kubectl import KubectlError
from airis.cluster.port_forward import PortForward, forwarded
from airis.cluster.readiness import pod_finding
from airis.deploy import guard
from airis.deploy.first_steps import webui_of
from airis.deploy.relay import Relay, relay
from airis.deploy.watch import troubles
from airis.render.objects import manifests
from airis.stack_file.stacks import read_stack
from airis.terminal.errors import AirisError, ExitCode
from airis.terminal.signals import interruptible

_USUAL_PORT = 8080
_HEALTH = "/health"
_POLL_SECONDS = 0.5
_LOOK_SECONDS = 3.0
_ANSWER_SECONDS = 10.0
_SILENT_SECONDS = 60.0
"""How long a connected server may take to answer. Generous, so that a busy server does not lose its chats."""

_REQUEST_TIMEOUT = "--request-timeout=10s"


@dataclass(frozen=True)
class Site:
    """A stack's Open WebUI in its cluster."""

    cluster: Cluster
    stack: str
    deployment: str
    labels: Mapping[str, str]
    """The selector of its pods."""
    service: str
    port: int

    def trouble(self) -> str:
        """Why no pod is ready; empty if one is. Raises AirisError if waiting does not help: not deployed, or no replicas."""
        deployments = self.cluster.get("deployment", self.deployment, _REQUEST_TIMEOUT)
        if not deployments:
            raise AirisError(
                f"stack {self.stack} is not deployed: namespace {self.cluster.namespace} has no Deployment {self.deployment}",
                f"`airis up --stack {self.stack}` deploys it; check that this is the right cluster",
            )
        selector = ",".join(f"{key}={value}" for key, value in self.labels.items())
        pods = self.cluster.get("pods", f"--selector={selector}", _REQUEST_TIMEOUT)
        if any(pod_finding(pod).ok and "deletionTimestamp" not in pod["metadata"] for pod in pods):
            return ""
        if deployments[0]["spec"].get("replicas") == 0:
            raise AirisError(
                f"Open WebUI of stack {self.stack} is scaled to zero: Deployment {self.deployment} has replicas: 0",
                f"set airis:webui.replicas: 1, and run `airis up --stack {self.stack}`",
            )
        found = next(troubles(pods), None)
        return str(found) if found else f"Deployment {self.deployment} has no ready pod yet"


def open_webui(
    name: str, *, kubeconfig: Path | None, port: int | None, browser: bool, timeout_seconds: float
) -> ExitCode:
    """Serves the stack's Open WebUI on a local port until Ctrl-C, and opens it in the browser.

    Reconnects when the pod is replaced. Raises AirisError if the stack is not deployed, KubectlError with the reason if no pod
    answers within the timeout, and EnvironmentProblem if there is no cluster, no kubectl, or the port is taken.
    """
    stack = read_stack(name)
    wanted = manifests(stack)
    deployment = webui_of(wanted)
    labels = deployment["spec"]["selector"]["matchLabels"]
    service = next(each for each in wanted if each["kind"] == "Service" and each["spec"].get("selector") == labels)
    if kubeconfig is None:
        guard.target_of(stack)
    with connected(stack, deployment["metadata"]["namespace"], kubeconfig) as cluster, interruptible():
        ports = service["spec"]["ports"]
        site = Site(
            cluster, name, deployment["metadata"]["name"], labels, service["metadata"]["name"], int(ports[0]["port"])
        )
        with relay(port, usual=_USUAL_PORT, origin=_origin(deployment)) as front:
            session = _Session(site, front, browser=browser)
            try:
                session.run(timeout_seconds)
            except KeyboardInterrupt:
                if not session.opened:
                    raise
                print("\nClosed. Open WebUI keeps running in the cluster.", file=sys.stderr)
    return ExitCode.OK


def _origin(deployment: Mapping[str, Any]) -> str | None:
    """An origin from which Open WebUI accepts websockets; None if it accepts all."""
    (container,) = [
        each
        for each in deployment["spec"]["template"]["spec"]["containers"]
        if each["name"] == deployment["metadata"]["labels"]["app"]
    ]
    listed = next((each.get("value") for each in container["env"] if each["name"] == "CORS_ALLOW_ORIGIN"), None)
    return None if not listed else str(listed).partition(";")[0]


class _Session:
    """One `airis open`."""

    def __init__(self, site: Site, front: Relay, *, browser: bool) -> None:
        self.opened = False
        self._site = site
        self._front = front
        self._browser = browser
        self._told = ""

    def run(self, timeout_seconds: float) -> None:
        """Connects, and reconnects whenever the connection ends. Never returns: only an exception ends it."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            try:
                words = self._site.trouble() or self._connect()
            except KubectlError as error:
                if not self.opened:
                    raise
                words = str(error)
            if not self.opened and time.monotonic() > deadline:
                raise KubectlError(f"Open WebUI does not answer within {timeout_seconds:g} s: {words}")
            self._tell(f"Waiting for Open WebUI: {words}")
            time.sleep(_POLL_SECONDS)

    def _connect(self) -> str:
        """Forwards as long as Open WebUI answers; returns why it stopped."""
        with forwarded(self._site.cluster, self._site.service, self._site.port) as way:
            upstream, since = way.port(), time.monotonic()
            while _answer(upstream) is not Answer.CAME:
                if way.ended or time.monotonic() - since > _SILENT_SECONDS:
                    return f"it does not answer yet. {way.words}".rstrip(". ")
                time.sleep(_POLL_SECONDS)
            self._front.upstream = upstream
            try:
                self._open()
                self._stay(way, upstream)
            finally:
                self._front.upstream = None
        return "the connection to its pod was closed"

    def _stay(self, way: PortForward, upstream: int) -> None:
        """Returns when the connection no longer works."""
        came = looked = time.monotonic()
        while not way.ended:
            time.sleep(_POLL_SECONDS)
            if time.monotonic() - looked < _LOOK_SECONDS:
                continue
            answer, looked = _answer(upstream), time.monotonic()
            if answer is Answer.CAME:
                came = looked
            elif answer is Answer.BROKEN or looked - came > _SILENT_SECONDS:
                return

    def _open(self) -> None:
        if self.opened:
            self._tell("Open WebUI answers again.")
            return
        self.opened = True
        print(f"Open WebUI of stack {self._site.stack}: {self._front.url}  (Ctrl-C to stop)", flush=True)
        if self._browser and _has_display():
            with suppress(webbrowser.Error):
                webbrowser.open(self._front.url)

    def _tell(self, words: str) -> None:
        if words != self._told:
            print(words, file=sys.stderr, flush=True)
        self._told = words


class Answer(Enum):
    """The outcome of one request."""

    CAME = "an answer, with any status"
    LATE = "a timeout"
    BROKEN = "no connection"


def _answer(port: int) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER_SECONDS)
    try:
        connection.request("GET", _HEALTH)
        connection.getresponse().read()
    except TimeoutError:
        return Answer.LATE
    except (OSError, http.client.HTTPException):
        return Answer.BROKEN
    finally:
        connection.close()
    return Answer.CAME


def _has_display() -> bool:
    """Whether a graphical browser can be shown; otherwise Python may start a text browser, which takes over the terminal."""
    return not sys.platform.startswith("linux") or any(
        os.environ.get(each) for each in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    )
