"""The real server of Open WebUI, on a loopback port, with the rendered environment and command of a stack."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from components.start import FOLDER, MIGRATIONS, SERVER
from components.webui import DATA_PATH
from tests.app.environment import Environment
from tests.app.rendered import rendered
from tests.app.webui import IMAGE_ENV, OFFLINE_ENV, PACKAGE_ENV
from tests.unit.drawing import ROOT

START_SECONDS = 240
"""A start takes 15 to 30 s on two cores."""


@dataclass
class Server:
    """A running server."""

    url: str
    log: Path
    token: str = ""
    """The token of the user who has signed in."""

    def ask(self, path: str, **given: Any) -> Any:
        """The response to a GET; with `json`, to a POST. Raises HTTPError for an error."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        answer = requests.request(
            "POST" if "json" in given else "GET", f"{self.url}{path}", headers=headers, timeout=60, **given
        )
        answer.raise_for_status()
        return answer.json()

    def sign_in(self, email: str, password: str) -> None:
        """Signs in with a password; `ask` continues as this user."""
        self.token = self.ask("/api/v1/auths/signin", json={"email": email, "password": password})["token"]


def free_port() -> int:
    """A free loopback port."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


@contextmanager
def running(
    installed: Environment,
    folder: Path,
    *,
    port: int | None = None,
    packages: Path | None = None,
    held: Mapping[str, str] | None = None,
    **settings: object,
) -> Iterator[Server]:
    """The server of a stack with these settings, while the block runs.

    It listens on `port`, or on any. `packages` is a folder whose Python packages come before those of the environment; `held`
    contains the values of other Secrets than the stack's own, by their names. Fails with the end of its log if it cannot start.
    """
    pod, port = rendered(**settings), port or free_port()
    data = folder / "data"
    data.mkdir(parents=True)
    # There is no init container that has prepared the database
    places = {"DATA_DIR": str(data), "STATIC_DIR": str(folder / "static"), "HOME": str(folder), MIGRATIONS: "True"}
    around = {"PATH": f"{installed.python.parent}:{os.environ['PATH']}", "TMPDIR": str(folder)}
    serve = [str(installed.python), "-m", "uvicorn", "open_webui.main:app", "--host", "127.0.0.1", "--port", str(port)]
    log = folder / "server.log"
    with (
        log.open("w") as out,
        subprocess.Popen(
            [*_before(pod.command or SERVER, data), *serve],
            env={
                **around,
                **IMAGE_ENV,
                **PACKAGE_ENV,
                **OFFLINE_ENV,
                **pod.environment(held),
                **places,
                **({"PYTHONPATH": str(packages)} if packages else {}),
            },
            cwd=folder,
            stdout=out,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            server = Server(f"http://127.0.0.1:{port}", log)
            _wait(server, process)
            yield server
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def _before(command: Sequence[str], data: Path) -> list[str]:
    """The scripts that the pod's command runs before that of the image, with their paths on this machine."""
    assert tuple(command[-len(SERVER) :]) == SERVER
    return [
        each.replace(FOLDER, str(ROOT / "components")).replace(DATA_PATH, str(data)) for each in command[: -len(SERVER)]
    ]


def _wait(server: Server, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if requests.get(f"{server.url}/health", timeout=5).ok:
                return
        except requests.RequestException:
            time.sleep(0.3)
    raise AssertionError(f"the server does not start: {server.log.read_text()[-3000:]}")
