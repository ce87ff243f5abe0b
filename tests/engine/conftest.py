"""The real Pulumi engine on the sandbox: fixtures, and a line at the end that reports whether these tests ran.

They need the Pulumi CLI on PATH and its Kubernetes provider, which are in no package registry. Without these, the tests
are skipped.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from airis.rehearse.sandbox import Sandbox, load_nodes
from airis.terminal.errors import AirisError
from tests import pulumi_project
from tests.pulumi_project import missing
from tests.rehearsal.conftest import remove, remove_abandoned

FOLDER = Path(__file__).parent
AIRIS = (sys.executable, "-m", "airis.cli.main")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if reason := missing():
        for item in items:
            if FOLDER in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=reason))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    def here(outcome: str) -> int:
        reports = terminalreporter.getreports(outcome)
        return sum(each.nodeid.startswith("tests/engine/") and each.when in ("call", "setup") for each in reports)

    ran, skipped = here("passed") + here("failed") + here("error"), here("skipped")
    if ran:
        terminalreporter.write_line(f"ENGINE TESTS: {ran} ran with the real Pulumi engine, {skipped} were skipped.")
    elif skipped:
        terminalreporter.write_line(f"ENGINE TESTS: NONE RAN, {skipped} were skipped: {missing()}", red=True, bold=True)


@dataclass
class Project(pulumi_project.Project):
    """A project on the sandbox."""

    sandbox: Sandbox


def new_project(folder: Path, sandbox: Sandbox) -> Project:
    """A separate project that deploys to the sandbox."""
    return Project(folder, sandbox.kubectl, pulumi_project.prepared(folder, sandbox.kubeconfig), sandbox)


@pytest.fixture(scope="session")
def engine_sandbox() -> Iterator[Sandbox]:
    """A running sandbox that only these tests use, because they stop its API server."""
    remove_abandoned()
    sandbox = Sandbox(f"airis-engine-{os.getpid()}")
    try:
        sandbox.up()
        sandbox.set_nodes(load_nodes())
        yield sandbox
    finally:
        remove(sandbox)


@pytest.fixture(scope="module")
def project(engine_sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One project and one state for all tests of a module, which build on each other in their order."""
    return new_project(tmp_path_factory.mktemp("project") / "airis", engine_sandbox)


@pytest.fixture
def api_server(engine_sandbox: Sandbox) -> Iterator[Callable[[], Callable[[], None]]]:
    """Kills the API server; the returned function restarts it. After the test, it is running again in any case."""
    restarts: list[Callable[[], None]] = []

    def stop() -> Callable[[], None]:
        processes = engine_sandbox.status().processes
        commands = {name: (arguments(pid), Path(f"/proc/{pid}/cwd").resolve()) for name, pid in processes.items()}
        os.kill(processes["kube-apiserver"], signal.SIGKILL)

        def restart() -> None:
            if restart not in restarts:
                return
            restarts.remove(restart)
            start(commands["kube-apiserver"], engine_sandbox)
            deadline = time.monotonic() + 60
            while not engine_sandbox.status().running:
                assert time.monotonic() < deadline, "the API server does not become ready again"
                with suppress(AirisError):
                    if engine_sandbox.kubectl.run("get", "--raw", "/readyz", timeout=5) == "ok":
                        # controllers that lost their lease have ended, as intended; in a cluster, the kubelet
                        # restarts them
                        for name in commands.keys() - engine_sandbox.status().processes.keys():
                            start(commands[name], engine_sandbox)
                time.sleep(0.5)

        restarts.append(restart)
        return restart

    yield stop
    for each in list(restarts):
        each()


def arguments(pid: int) -> list[str]:
    """The command line of a process."""
    return [part for part in Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0") if part]


def start(command: tuple[list[str], Path], sandbox: Sandbox) -> None:
    """Restarts a component of the sandbox; it ends with the sandbox."""
    with (sandbox.kubeconfig.parent / "clusters" / sandbox.name / "logs" / "restarted.log").open("a") as log:
        process = subprocess.Popen(command[0], cwd=command[1], stdout=log, stderr=log, start_new_session=True)
    # A new process has no command line yet for a moment, and a sandbox that lacks a component is recreated
    while process.poll() is None and not arguments(process.pid):
        time.sleep(0.01)
