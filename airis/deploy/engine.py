"""Pulumi for one stack, through the Automation API: its operations, and its failures as readable errors."""

import json
import os
import re
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any

from pulumi import automation

from airis.deploy.engine_output import Quiet
from airis.deploy.pulumi_cli import Command, Output, ensure_provider, find_or_install
from airis.deploy.state_backend import backend
from airis.stack_file.stacks import UPSERT_VARIABLE, StackFile
from airis.terminal.errors import AirisError, EnvironmentProblem, ExitCode
from components.warn import TOLD_VARIABLE

_HISTORY = 20
"""How many of the latest runs are searched for failed ones."""

_CONFLICT = "another field manager has changed these fields: `--force-conflicts` overwrites them"
_LOCKED_BY = re.compile(r"created by (?P<user>\S+)@(?P<host>\S+) \(pid (?P<pid>\d+)\) at (?P<time>\S+)")

FORCE_CONFLICTS = {"PULUMI_K8S_ENABLE_PATCH_FORCE": "true"}
"""Makes the provider take over fields of other managers. Source: pulumi/pulumi-kubernetes, provider/pkg/gen/schema.go."""

Changes = Mapping[str, int]
"""The number of resources by operation: `{"create": 2, "same": 17}`."""


class EngineFailed(AirisError):
    """Pulumi ended with an error, which it has printed."""

    exit_code = ExitCode.NOT_READY


class EngineKilled(EngineFailed):
    """Pulumi was killed: the state does not record the outcome of the operations in progress."""


class Locked(EngineFailed):
    """Another update has locked the stack, or one was killed and left its lock."""

    def __init__(self, message: str, *, dead: bool) -> None:
        super().__init__(
            message,
            "`pulumi cancel` releases the lock; run it only if no update is running",
        )
        self.dead = dead
        """Whether the process that holds the lock ran on this machine, and no longer runs."""


@dataclass
class Engine:
    """Pulumi for one stack. Every operation streams Pulumi's output, and raises AirisError if it fails.

    EngineFailed: Pulumi has printed the reason. EngineKilled: it was killed. Locked: another update has locked the stack.
    KeyboardInterrupt: it was interrupted, and has stopped.
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
        """The engine for a stack of this project. Creates the stack in the backend if it is new.

        `environment` replaces the backend that the user has chosen. The keys of `config` are paths. `force_conflicts`
        overwrites fields that other managers own. The caller has already printed the program's warnings. Raises
        EnvironmentProblem if something is missing.
        """
        folder = stack.path.parent
        variables = {"PULUMI_SKIP_UPDATE_CHECK": "true", TOLD_VARIABLE: "true"}
        variables |= backend(folder) if environment is None else environment
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
        """Previews `up`."""
        with self._explained("preview"):
            return _changes(self.stack.preview(diff=diff, **self._options()).change_summary)

    def up(self) -> None:
        """Brings the cluster to the state that the program describes."""
        with self._explained("up"):
            self.stack.up(show_secrets=False, **self._options())

    def preview_refresh(self) -> Changes:
        """Compares the state with the cluster: returns the drift."""
        with self._explained("refresh"):
            return _changes(self.stack.preview_refresh(**self._options()).change_summary)

    def refresh(self) -> None:
        """Writes what is in the cluster to the state."""
        with self._explained("refresh"):
            self.stack.refresh(show_secrets=False, **self._options())

    def preview_destroy(self) -> Changes:
        """Previews `destroy`."""
        with self._explained("destroy"):
            return _changes(self.stack.preview_destroy(exclude_protected=True, **self._options()).change_summary)

    def destroy(self) -> None:
        """Deletes what is not protected. Keeps the claims, their namespace and the session key."""
        with self._explained("destroy"):
            self.stack.destroy(exclude_protected=True, show_secrets=False, **self._options())

    def failing_since(self) -> datetime | None:
        """The start time of the first failed or interrupted run since the last successful one; None if none has failed.

        Counts only runs that change the cluster. A killed run has no history entry.
        """
        with self._explained("stack history"):
            found = self.stack.history(page_size=_HISTORY, page=1, show_secrets=False)
        runs = [each for each in found if each.kind in ("update", "destroy")]  # the newest first
        failed = list(takewhile(lambda each: each.result != "succeeded", runs))
        return failed[-1].start_time.replace(tzinfo=UTC) if failed else None

    @property
    def takes_existing(self) -> bool:
        """Whether `allow_existing` was called."""
        return UPSERT_VARIABLE in self.stack.workspace.env_vars

    def allow_existing(self) -> None:
        """Makes later operations update existing objects. By default, Pulumi refuses to create an object that exists."""
        workspace = self.stack.workspace
        workspace.env_vars = {**workspace.env_vars, UPSERT_VARIABLE: "true"}

    def cancel(self) -> None:
        """Releases the lock of a killed update."""
        with self._explained("cancel"):
            self.stack.cancel()

    def export_state(self) -> dict[str, Any]:
        """The state, with its secrets encrypted."""
        with self._explained("stack export"):
            # Not Stack.export_stack, which exports plain-text secrets
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
                    f"Pulumi was killed by {name}",
                    "run the same command again: it recovers the operations in progress",
                ) from None
            remedy = _CONFLICT if "field conflict" in result.stdout else ""
            raise EngineFailed(f"pulumi {what} failed; see Pulumi's output above", remedy) from None
        if self.command.interrupted:  # the signal came after it had ended
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
            "the secrets were encrypted with another passphrase: restore .state, or set PULUMI_CONFIG_PASSPHRASE_FILE"
        )
    return ""


def _locked(words: str) -> Locked:
    found = _LOCKED_BY.search(words)
    if found is None:
        return Locked("the stack is locked by another update", dead=False)
    holder = f"{found['user']}@{found['host']} (process {found['pid']}) since {found['time']}"
    dead = found["host"] == socket.gethostname() and not _lives(int(found["pid"]))
    state = "that process was killed and left its lock" if dead else "it may still be running"
    return Locked(f"the stack is locked by {holder}; {state}", dead=dead)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
