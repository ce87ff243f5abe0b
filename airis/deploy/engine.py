"""Pulumi for one stack, through its Automation API: its operations, and its failures in words for people."""

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
"""How many runs are looked at for those that failed."""

_CONFLICT = "somebody else has changed these fields since: `--force-conflicts` takes them back"
_LOCKED_BY = re.compile(r"created by (?P<user>\S+)@(?P<host>\S+) \(pid (?P<pid>\d+)\) at (?P<time>\S+)")

FORCE_CONFLICTS = {"PULUMI_K8S_ENABLE_PATCH_FORCE": "true"}
"""Has the provider take over what somebody else has changed. Source: pulumi/pulumi-kubernetes, provider/pkg/gen/schema.go."""

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
        fields that somebody else has changed are taken over. The caller has told the program's warnings. Raises
        EnvironmentProblem where something is missing.
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

    @property
    def takes_existing(self) -> bool:
        """Whether `allow_existing` was called."""
        return UPSERT_VARIABLE in self.stack.workspace.env_vars

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
