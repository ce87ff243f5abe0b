"""A small typed interface to kubectl."""

import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airis.terminal.errors import AirisError, ExitCode

KubeObject = Mapping[str, Any]
"""A Kubernetes object as plain JSON values."""


class KubectlError(AirisError):
    """kubectl failed or timed out. `message` ends with kubectl's stderr."""

    exit_code = ExitCode.NOT_READY


_GONE_POLL_SECONDS = 0.2

LISTED = ("--output=json", "--ignore-not-found")
"""Options of `kubectl get` for output that `listed` parses."""


def environment() -> dict[str, str]:
    """The user's environment, without kubectl preferences (kuberc), which could change the meaning of commands."""
    return {**os.environ, "KUBERC": "off"}


def call(
    command: Sequence[str], what: str, *, stdin: str | None = None, timeout: float = 60.0, own_session: bool = False
) -> str:
    """Runs one kubectl command and returns its stdout; errors call it `what`.

    `stdin` is its input, `timeout` is in seconds; with `own_session`, it does not receive Ctrl-C. Raises KubectlError if it
    fails, cannot be started, or times out.
    """
    try:
        result = subprocess.run(
            command,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env=environment(),
            start_new_session=own_session,
        )
    except subprocess.TimeoutExpired:
        raise KubectlError(f"{what}: no answer within {timeout:g} s") from None
    except OSError as error:
        raise KubectlError(f"{what}: {error.strerror or error}: {command[0]}") from None
    if result.returncode:
        raise KubectlError(f"{what}: {result.stderr.strip() or f'exit code {result.returncode}'}")
    return result.stdout


def listed(text: str) -> list[dict[str, Any]]:
    """The objects in the output of `kubectl get`; none if it is empty."""
    if not text.strip():
        return []
    found: dict[str, Any] = json.loads(text)
    return list(found["items"]) if found.get("kind", "").endswith("List") else [found]


@dataclass(frozen=True)
class Kubectl:
    """Runs kubectl against one cluster.

    `binary` is the program and `kubeconfig` the file for the cluster. $KUBECONFIG and the user's preferences (kuberc) are
    ignored, and the discovery cache is next to `kubeconfig` instead of in ~/.kube.
    """

    binary: Path
    kubeconfig: Path

    def run(self, *args: str, stdin: str | None = None, timeout: float = 60.0) -> str:
        """Runs one kubectl command and returns its stdout.

        `stdin` is its input, `timeout` is in seconds. Raises KubectlError if it fails, cannot be started, or times out.
        """
        command = [
            str(self.binary),
            f"--kubeconfig={self.kubeconfig}",
            f"--cache-dir={self.kubeconfig.parent / 'kubectl-cache'}",
            *args,
        ]
        return call(command, f"kubectl {' '.join(args)}", stdin=stdin, timeout=timeout)

    def get(self, *args: str, timeout: float = 60.0) -> list[dict[str, Any]]:
        """Returns the objects that `kubectl get <args>` finds; an empty list if there are none.

        Raises KubectlError for an unknown kind, or if the server does not answer.
        """
        return listed(self.run("get", *args, *LISTED, timeout=timeout))

    def apply(
        self,
        objects: Sequence[KubeObject],
        *,
        field_manager: str = "airis",
        dry_run: bool = False,
        force_conflicts: bool = False,
        timeout: float = 60.0,
    ) -> None:
        """Applies `objects` server-side, in their order.

        With `dry_run`, the server only validates and admits them; with `force_conflicts`, fields of other managers are taken
        over. Raises KubectlError with every rejection; the other objects are applied.
        """
        if not objects:
            return
        options = ["--server-side", f"--field-manager={field_manager}", "--filename=-"]
        if dry_run:
            options.append("--dry-run=server")
        if force_conflicts:
            options.append("--force-conflicts")
        self.run("apply", *options, stdin=_as_list(objects), timeout=timeout)

    def delete(self, objects: Sequence[KubeObject], *, wait: bool = True, timeout: float = 60.0) -> None:
        """Deletes `objects` (apiVersion, kind and metadata are enough), and ignores those that do not exist.

        With `wait`, returns when they are deleted, including finalizers. Raises KubectlError after `timeout` seconds.
        """
        if not objects:
            return
        deadline = time.monotonic() + timeout
        options = ["--ignore-not-found", "--wait=false", "--filename=-"]
        self.run("delete", *options, stdin=_as_list(objects), timeout=timeout)
        # kubectl's --wait waits for one object after the other: for 1,000 nodes that took ten times as long
        while wait and (left := self.present(objects)):
            if time.monotonic() > deadline:
                raise KubectlError(f"kubectl delete: {len(left)} objects still exist after {timeout:g} s")
            time.sleep(_GONE_POLL_SECONDS)

    def present(self, objects: Sequence[KubeObject]) -> list[dict[str, Any]]:
        """The live versions of those of `objects` that exist."""
        return listed(self.run("get", *LISTED, "--filename=-", stdin=_as_list(objects)))


def _as_list(objects: Sequence[KubeObject]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
