"""The Pulumi CLI: finds or installs it, checks versions, and runs it so that Ctrl-C stops it cleanly."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import IO

from pulumi import automation
from pulumi.automation import CommandResult, PulumiCommand
from pulumi.automation.errors import create_command_error
from semver import VersionInfo

from airis.deploy.state_backend import pulumi_home
from airis.terminal.errors import EnvironmentProblem
from airis.terminal.progress import step
from airis.terminal.signals import handled

MINIMUM_CLI = VersionInfo.parse("3.260.0")
"""The oldest CLI that the tests have run with."""

_HOW_TO_INSTALL = "install it (https://www.pulumi.com/docs/install/), put `pulumi` on PATH, and run this again"
_SIGNAL_SECONDS = 0.5

Output = Callable[[str], object]


class Command(PulumiCommand):
    """The CLI as a process that gets one SIGINT on Ctrl-C: it finishes the operations in progress, and saves the state.

    The Automation API's own implementation leaves its process behind on an interrupt. Ctrl-C on a terminal would also reach
    the program and the provider, which then fail instead of stopping cleanly.
    """

    interrupted = False
    """Whether Ctrl-C or a termination signal came during the last run."""
    last = CommandResult("", "", 0)
    """The output of the last run, and its exit code."""
    _process: "subprocess.Popen[str] | None" = None

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: Output | None = None,
        on_error: Output | None = None,
    ) -> CommandResult:
        """Runs one command, as the base class does."""
        environment = {**os.environ, **additional_env, "PULUMI_AUTOMATION_API": "true"}
        if Path(self.command).is_absolute():  # its language hosts are in the same folder
            environment["PATH"] = os.pathsep.join([str(Path(self.command).parent), environment.get("PATH", "")])
        with (
            subprocess.Popen(
                [self.command, "--non-interactive", *(each for each in args if each != "--non-interactive")],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=cwd,
                env=environment,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
            ) as process,
            self._ending_well(process),
        ):
            self._process = process
            out, err = _Reader(process.stdout, on_output), _Reader(process.stderr, on_error)
            # Processes that Pulumi leaves behind may keep its pipes open forever: wait for Pulumi itself, not for EOF
            while process.poll() is None:
                # A signal may reach another thread: Python handles it when this one returns from its wait
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_SIGNAL_SECONDS)
            texts = [out.text(), err.text()]
        self.last = CommandResult(stdout=texts[0], stderr=texts[1], code=process.returncode)
        if process.returncode:
            raise create_command_error(self.last)
        return self.last

    def stop(self) -> None:
        """Has the effect of Ctrl-C on a run in another thread."""
        if self._process is not None and self._process.poll() is None:
            self.interrupted = True
            self._process.send_signal(signal.SIGINT)

    @contextmanager
    def _ending_well(self, process: "subprocess.Popen[str]") -> Iterator[None]:
        """Forwards termination signals. Pulumi stops cleanly at the first one, and immediately at the second."""
        self.interrupted = False

        def hand_on(number: int, frame: object) -> None:
            first, self.interrupted = not self.interrupted, True
            text = "Stopping: Pulumi finishes the operations in progress. Press Ctrl-C again to stop without recording them."
            print(f"\n{text}" if first else "\nStopping immediately.", file=sys.stderr, flush=True)
            process.send_signal(signal.SIGINT)

        with handled(hand_on, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)):
            yield


class _Reader:
    """Reads a pipe in a thread, line by line."""

    def __init__(self, pipe: IO[str] | None, tell: Output | None) -> None:
        self._lines: list[str] = []
        self._pipe = pipe
        self._tell = tell
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        for line in self._pipe or ():
            text = line.rstrip()
            if self._tell is not None:
                self._tell(text)
            self._lines.append(text)

    def text(self) -> str:
        """Everything that was read, once the writer has ended."""
        self._thread.join(5)
        return "\n".join(self._lines)


def find_or_install() -> Command:
    """A Pulumi CLI that is compatible with the SDK. Installs one if necessary.

    Raises EnvironmentProblem with the manual steps if it cannot be downloaded.
    """
    try:
        return Command(version=MINIMUM_CLI)
    except FileNotFoundError:
        reason = "not found on PATH"
    except Exception as found:  # the Automation API raises bare exceptions: too old, or cannot be started
        reason = str(found) or type(found).__name__
    try:
        with step(f"Installing the Pulumi CLI ({reason})"):
            return Command(root=str(Path(Command.install().command).parents[1]))
    except Exception as error:
        raise EnvironmentProblem(
            f"the Pulumi CLI is missing ({reason}) and could not be installed: {error}",
            f"{_HOW_TO_INSTALL}; {MINIMUM_CLI} or newer",
        ) from None


def ensure_provider(command: PulumiCommand, environment: Mapping[str, str]) -> str:
    """Installs the Kubernetes provider of the pinned package's version, if it is missing; returns its version.

    Raises EnvironmentProblem with the manual steps if it cannot be downloaded.
    """
    version = installed_version("pulumi-kubernetes")
    if provider_is_there(environment):
        return version
    try:
        with step(f"Installing Pulumi's Kubernetes provider {version}"):
            command.run(["plugin", "install", "resource", "kubernetes", f"v{version}"], str(Path.cwd()), environment)
    except automation.CommandError:
        words = command.last.stderr.strip().splitlines() if isinstance(command, Command) else []
        raise EnvironmentProblem(
            f"Pulumi's Kubernetes provider {version} is missing and could not be installed: {''.join(words[-1:])}",
            f"download pulumi-resource-kubernetes-v{version} for this machine from https://get.pulumi.com/releases/plugins, "
            f"then `pulumi plugin install resource kubernetes v{version} --file FILE`",
        ) from None
    return version


def provider_is_there(environment: Mapping[str, str]) -> bool:
    """Whether the Kubernetes provider of the pinned package's version is installed where Pulumi looks for it."""
    plugin = pulumi_home(environment) / "plugins" / f"resource-kubernetes-v{installed_version('pulumi-kubernetes')}"
    return plugin.is_dir() or shutil.which("pulumi-resource-kubernetes") is not None
