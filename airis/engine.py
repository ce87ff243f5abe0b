"""Pulumi, through its Automation API: found or installed, its versions checked, its state in a place of its own."""

import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as installed_version
from itertools import takewhile
from pathlib import Path
from typing import IO, Any

from pulumi import automation
from pulumi.automation import CommandResult, PulumiCommand
from pulumi.automation.errors import create_command_error
from semver import VersionInfo

from airis.engine_output import Quiet
from airis.errors import AirisError, EnvironmentProblem, ExitCode
from airis.progress import step
from airis.stacks import UPSERT_VARIABLE, StackFile

STATE_FOLDER = ".state"
"""Where the state lives when no other backend is chosen: beside the stack files. Back it up."""

MINIMUM_CLI = VersionInfo.parse("3.260.0")
"""The oldest CLI that the tests have run on."""

_HOW_TO_INSTALL = "install it as https://www.pulumi.com/docs/install/ says, put `pulumi` on PATH, and run this again"
_SIGNAL_SECONDS = 0.5
_HISTORY = 20
"""How many runs are looked at for those that failed."""

_CONFLICT = "somebody else has changed these fields since: `--force-conflicts` takes them back"
_LOCKED_BY = re.compile(r"created by (?P<user>\S+)@(?P<host>\S+) \(pid (?P<pid>\d+)\) at (?P<time>\S+)")

FORCE_CONFLICTS = {"PULUMI_K8S_ENABLE_PATCH_FORCE": "true"}
"""Has the provider take over what somebody else has changed. Source: pulumi/pulumi-kubernetes, provider/pkg/gen/schema.go."""

Output = Callable[[str], object]
Changes = Mapping[str, int]
"""How many resources an operation concerns, by what it does to them: `{"create": 2, "same": 17}`."""


class EngineFailed(AirisError):
    """Pulumi ended with an error, and has told it in its own words."""

    exit_code = ExitCode.NOT_READY


class EngineKilled(EngineFailed):
    """Pulumi did not come to its end: what it had under way is not known to the state."""


class Locked(EngineFailed):
    """Another update holds the stack, or one was killed and never gave it back."""

    def __init__(self, message: str, *, dead: bool) -> None:
        super().__init__(
            message,
            "`pulumi cancel` gives it back; do that only if you know that no update runs any more",
        )
        self.dead = dead
        """Whether whoever holds it ran on this machine, and is gone."""


class Command(PulumiCommand):
    """The CLI as a process that Ctrl-C reaches once, by its own id: it ends what is under way, and keeps the state.

    The Automation API's own way leaves its process behind when this one is interrupted. Ctrl-C on a terminal would also
    reach the program and the provider, which then fail instead of ending well.
    """

    interrupted = False
    """Whether Ctrl-C, or a signal to end, came during the last run."""
    last = CommandResult("", "", 0)
    """What the last run wrote, and its exit code."""
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
        if Path(self.command).is_absolute():  # its own language hosts lie beside it
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
            # What Pulumi leaves behind may hold its pipes for ever: when it is gone, so is what it had to say
            while process.poll() is None:
                # A signal may reach another thread: Python sees to it when this one comes back from its wait
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_SIGNAL_SECONDS)
            texts = [out.text(), err.text()]
        self.last = CommandResult(stdout=texts[0], stderr=texts[1], code=process.returncode)
        if process.returncode:
            raise create_command_error(self.last)
        return self.last

    def stop(self) -> None:
        """Does what Ctrl-C does, to a run in another thread."""
        if self._process is not None and self._process.poll() is None:
            self.interrupted = True
            self._process.send_signal(signal.SIGINT)

    @contextmanager
    def _ending_well(self, process: "subprocess.Popen[str]") -> Iterator[None]:
        """Hands on the signals that mean the end; Pulumi ends well at the first, and at once at the second."""
        self.interrupted = False

        def hand_on(number: int, frame: object) -> None:
            first, self.interrupted = not self.interrupted, True
            text = "Stopping: Pulumi ends what is under way. Once more stops at once, and leaves that unknown."
            print(f"\n{text}" if first else "\nStopping at once.", file=sys.stderr, flush=True)
            process.send_signal(signal.SIGINT)

        caught = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if threading.current_thread() is not threading.main_thread():  # only the main thread may
            yield
            return
        before = {each: signal.signal(each, hand_on) for each in caught}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


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
        """What was read when the writer had ended."""
        self._thread.join(5)
        return "\n".join(self._lines)


def find_or_install() -> Command:
    """The Pulumi CLI that fits the SDK.

    Raises EnvironmentProblem with the manual steps where there is none and it cannot be downloaded.
    """
    try:
        return Command(version=MINIMUM_CLI)
    except FileNotFoundError:
        reason = "there is none on PATH"
    except Exception as found:  # the Automation API raises bare exceptions: too old, not to be started
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
    """Sees that the Kubernetes provider is there which belongs to the pinned package; returns its version.

    Raises EnvironmentProblem with the manual steps where it cannot be downloaded.
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
    """Whether the Kubernetes provider that belongs to the pinned package is where Pulumi looks for it."""
    plugin = _home(environment) / "plugins" / f"resource-kubernetes-v{installed_version('pulumi-kubernetes')}"
    return plugin.is_dir() or shutil.which("pulumi-resource-kubernetes") is not None


@dataclass
class Engine:
    """Pulumi for one stack. Every operation streams Pulumi's own words, and raises AirisError when it fails.

    EngineFailed: Pulumi has told why. EngineKilled: it did not come to its end. Locked: somebody else holds the stack.
    KeyboardInterrupt: it was told to stop, and has.
    """

    stack: automation.Stack
    command: Command
    tell: Output = print
    colour: bool = False

    @classmethod
    def open(
        cls,
        stack: StackFile,
        *,
        environment: Mapping[str, str] | None = None,
        force_conflicts: bool = False,
        config: automation.ConfigMap | None = None,
        tell: Output | None = None,
    ) -> "Engine":
        """The engine for a stack of this project, which is made in the backend if it is new.

        `environment` replaces the backend that the user has chosen; `config` is set by its paths; with `force_conflicts`,
        fields that somebody else has changed are taken over. Raises EnvironmentProblem where something is missing.
        """
        folder = stack.path.parent
        variables = {"PULUMI_SKIP_UPDATE_CHECK": "true", **(backend(folder) if environment is None else environment)}
        variables |= FORCE_CONFLICTS if force_conflicts else {}
        command = find_or_install()
        ensure_provider(command, variables)
        try:
            opened = automation.create_or_select_stack(
                stack_name=stack.name,
                work_dir=str(folder),
                opts=automation.LocalWorkspaceOptions(pulumi_command=command, env_vars=variables),
            )
            if config is not None:
                opened.set_all_config(config, path=True)
        except automation.CommandError:
            if command.interrupted:
                raise KeyboardInterrupt from None
            words = command.last.stderr.strip()
            raise EnvironmentProblem(f"pulumi stack select {stack.name}: {words}", _on_secrets(words)) from None
        colour = tell is None and sys.stdout.isatty() and "NO_COLOR" not in os.environ
        return cls(opened, command, tell or _print, colour)

    def preview(self, *, diff: bool = False) -> Changes:
        """What `up` would do."""
        with self._explained("preview"):
            return _changes(self.stack.preview(diff=diff, **self._options()).change_summary)

    def up(self) -> None:
        """Makes the cluster what the program says."""
        with self._explained("up"):
            self.stack.up(show_secrets=False, **self._options())

    def preview_refresh(self) -> Changes:
        """What of the state is not so in the cluster."""
        with self._explained("refresh"):
            return _changes(self.stack.preview_refresh(**self._options()).change_summary)

    def refresh(self) -> None:
        """Makes the state what the cluster is."""
        with self._explained("refresh"):
            self.stack.refresh(show_secrets=False, **self._options())

    def preview_destroy(self) -> Changes:
        """What `destroy` would delete."""
        with self._explained("destroy"):
            return _changes(self.stack.preview_destroy(exclude_protected=True, **self._options()).change_summary)

    def destroy(self) -> None:
        """Deletes what is not protected: the claims, their namespace and the session key stay."""
        with self._explained("destroy"):
            self.stack.destroy(exclude_protected=True, show_secrets=False, **self._options())

    def failing_since(self) -> datetime | None:
        """When the first of the runs began that have failed, or were interrupted, since one succeeded; None if none has.

        Only runs that change the cluster count. One that was killed has no entry at all.
        """
        with self._explained("stack history"):
            found = self.stack.history(page_size=_HISTORY, page=1, show_secrets=False)
        runs = [each for each in found if each.kind in ("update", "destroy")]  # the newest first
        failed = list(takewhile(lambda each: each.result != "succeeded", runs))
        return failed[-1].start_time.replace(tzinfo=UTC) if failed else None

    def allow_existing(self) -> None:
        """Has what follows update objects that exist, where Pulumi would refuse to make them."""
        workspace = self.stack.workspace
        workspace.env_vars = {**workspace.env_vars, UPSERT_VARIABLE: "true"}

    def cancel(self) -> None:
        """Gives back the stack that a killed update holds."""
        with self._explained("cancel"):
            self.stack.cancel()

    def export_state(self) -> dict[str, Any]:
        """The state, its secrets encrypted."""
        with self._explained("stack export"):
            # Not Stack.export_stack, which asks for plain secrets
            self.command.run(
                ["stack", "export", "--stack", self.stack.name],
                self.stack.workspace.work_dir,
                self.stack.workspace.env_vars,
            )
        exported: dict[str, Any] = json.loads(self.command.last.stdout)
        return exported

    def import_state(self, state: Mapping[str, Any]) -> None:
        """Replaces the state."""
        with self._explained("stack import"):
            self.stack.import_stack(automation.Deployment(version=state["version"], deployment=state["deployment"]))

    def __post_init__(self) -> None:
        self._quiet = Quiet(self.tell)

    def _options(self) -> dict[str, Any]:
        return {
            "on_output": self._quiet,
            "on_error": _complain,
            "color": "always" if self.colour else "never",
            "suppress_progress": True,
        }

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        self._quiet = Quiet(self.tell)
        try:
            try:
                yield
            finally:
                self._quiet.close()
        except automation.CommandError as error:
            if self.command.interrupted:
                raise KeyboardInterrupt from None
            result = self.command.last
            if isinstance(error, automation.ConcurrentUpdateError):
                raise _locked(result.stderr) from None
            if result.code < 0:
                name = signal.Signals(-result.code).name
                raise EngineKilled(
                    f"Pulumi was ended by {name}", "run the same command again: it finds out what was under way"
                ) from None
            remedy = _CONFLICT if "field conflict" in result.stdout else ""
            raise EngineFailed(f"pulumi {what} failed; Pulumi's own words stand above", remedy) from None
        if self.command.interrupted:  # it had ended already when the signal came
            raise KeyboardInterrupt


def _changes(summary: Mapping[Any, int]) -> Changes:
    return {str(getattr(operation, "value", operation)): count for operation, count in summary.items()}


def _print(line: str) -> None:
    with suppress(BrokenPipeError):
        print(line, flush=True)


def _complain(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _on_secrets(words: str) -> str:
    if "passphrase" in words:
        return (
            "its secrets were encrypted with another passphrase: restore .state, or set PULUMI_CONFIG_PASSPHRASE_FILE"
        )
    return ""


def _locked(words: str) -> Locked:
    found = _LOCKED_BY.search(words)
    if found is None:
        return Locked("another update holds the stack", dead=False)
    holder = f"{found['user']}@{found['host']} (process {found['pid']}) since {found['time']}"
    dead = found["host"] == socket.gethostname() and not _lives(int(found["pid"]))
    state = "that process is gone: it was killed, and never gave the stack back" if dead else "it may still run"
    return Locked(f"the stack is held by {holder}; {state}", dead=dead)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def backend(folder: Path) -> dict[str, str]:
    """The variables that choose a backend: the user's own choice, else a folder beside the stack files.

    The passphrase for that folder's secrets is made up on first use, in a file that only its owner can read.
    """
    if "PULUMI_BACKEND_URL" in os.environ or logged_in():
        return {}
    state = folder / STATE_FOLDER
    state.mkdir(exist_ok=True, mode=0o700)
    variables = {"PULUMI_BACKEND_URL": state.as_uri()}
    if not {"PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"} & os.environ.keys():
        passphrase = state / "passphrase"
        if not passphrase.exists():
            descriptor = os.open(passphrase, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(32))
        variables["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(passphrase)
    return variables


def logged_in() -> bool:
    """Whether `pulumi login` has chosen a backend; after `pulumi logout` the file is there and names none."""
    try:
        credentials = json.loads((_home(os.environ) / "credentials.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(isinstance(credentials, dict) and credentials.get("current"))


def _home(environment: Mapping[str, str]) -> Path:
    """Pulumi's own folder, with its plugins and its credentials."""
    return Path(environment.get("PULUMI_HOME") or os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
