"""The real Pulumi in tests: whether it is there, a project of its own for it, and commands that run beside a test."""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from airis.cluster.kubectl import Kubectl
from airis.deploy.pulumi_cli import MINIMUM_CLI, Command
from tests.unit.drawing import ROOT


@cache
def missing() -> str | None:
    """What of the engine this machine lacks."""
    if shutil.which("pulumi") is None:
        return "the Pulumi CLI is not on PATH"
    try:
        Command(version=MINIMUM_CLI)
    except Exception as error:
        return f"the Pulumi CLI does not fit: {error}"
    provider = f"resource-kubernetes-v{version('pulumi-kubernetes')}"
    home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    return None if (home / "plugins" / provider).is_dir() else f"Pulumi's Kubernetes provider is missing: {provider}"


@dataclass
class Run:
    """A command that runs beside the test."""

    process: "subprocess.Popen[str]"
    lines: list[tuple[float, str]] = field(default_factory=list)
    """What it has written on stdout and stderr, and how many seconds after its start."""

    def __post_init__(self) -> None:
        self.start = time.monotonic()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.lines.append((time.monotonic() - self.start, line.rstrip()))

    @property
    def text(self) -> str:
        return "\n".join(line for _, line in self.lines)

    def when(self, words: str, seconds: float = 120) -> float:
        """Waits until it has written these words; returns how many seconds after its start."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for at, line in list(self.lines):
                if words in line:
                    return at
            assert self.process.poll() is None or self._reader.is_alive(), f"it ended without {words!r}:\n{self.text}"
            time.sleep(0.05)
        raise AssertionError(f"it did not write {words!r} within {seconds:g} s:\n{self.text}")

    def end(self, seconds: float = 170) -> int:
        """Waits for its end; returns its exit code."""
        code = self.process.wait(seconds)
        self._reader.join(5)
        return code

    def pulumi(self) -> int:
        """The process id of the Pulumi that it has started."""
        children = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        ids = [int(each) for file in children for each in file.read_text().split()]
        (found,) = [each for each in ids if Path(f"/proc/{each}/comm").read_text().strip() == "pulumi"]
        return found


@dataclass
class Project:
    """A copy of the project with stacks and a state of its own, and the cluster that it deploys to."""

    folder: Path
    kubectl: Kubectl
    environment: dict[str, str]

    def write(self, stack: str, config: Mapping[str, Any]) -> None:
        """Writes a stack file, and keeps what Pulumi has put into it."""
        path = self.folder / f"Pulumi.{stack}.yaml"
        before = yaml.safe_load(path.read_text()) if path.exists() else {}
        kept = {key: value for key, value in before.items() if key != "config"}
        path.write_text(yaml.safe_dump({**kept, "config": dict(config)}))

    def start(self, *command: str, environment: Mapping[str, str] | None = None) -> Run:
        """Starts a command in the project's folder."""
        return Run(
            subprocess.Popen(
                command,
                cwd=self.folder,
                env={**self.environment, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )

    def airis(self, *args: str) -> Run:
        """Starts the airis command."""
        return self.start(sys.executable, "-m", "airis.cli.main", *args)

    def run(self, *command: str, seconds: float = 170) -> tuple[int, str]:
        """Runs a command to its end; returns exit code, and stdout and stderr together."""
        started = self.start(*command)
        code = started.end(seconds)
        return code, started.text

    def done(self, *args: str) -> str:
        """Runs the airis command, which must succeed; returns what it wrote."""
        run = self.airis(*args)
        assert run.end() == 0, run.text
        return run.text

    def get(self, *args: str, namespace: str = "airis") -> list[dict[str, Any]]:
        return self.kubectl.get(*args, f"--namespace={namespace}")

    def uids(self, kind: str, namespace: str = "airis") -> dict[str, str]:
        return {each["metadata"]["name"]: each["metadata"]["uid"] for each in self.get(kind, namespace=namespace)}

    def state_files(self) -> list[Path]:
        return [each for each in (self.folder / "backend").rglob("*") if each.is_file()]


def prepared(folder: Path, kubeconfig: Path) -> dict[str, str]:
    """Puts the program into `folder`, by links; stack files are copies, because Pulumi writes into them.

    Returns the environment for commands there: a state in the folder, and the cluster of `kubeconfig`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("__main__.py", "Pulumi.yaml", "settings", "components", "policy"):
        (folder / name).symlink_to(ROOT / name)
    (folder / ".venv").symlink_to(sys.prefix)
    for stack in ("cpu", "gpu"):
        shutil.copy(ROOT / f"Pulumi.{stack}.yaml", folder)
    (folder / "backend").mkdir()
    passphrase = folder / "passphrase"
    passphrase.write_text("marker-of-the-passphrase")
    foreign = ("PULUMI_CONFIG", "PULUMI_BACKEND", "PULUMI_ACCESS")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return environment | {
        "PYTHONPATH": str(ROOT),
        "PULUMI_BACKEND_URL": (folder / "backend").as_uri(),
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(passphrase),
        "KUBECONFIG": str(kubeconfig),
        "NO_COLOR": "1",
    }
