"""A typed, narrow door to kubectl: one cluster, named by its kubeconfig, and never the one of the user's environment."""

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
    """kubectl failed, or did not answer in time. `message` ends with what kubectl itself wrote to stderr."""

    exit_code = ExitCode.NOT_READY


_GONE_POLL_SECONDS = 0.2

LISTED = ("--output=json", "--ignore-not-found")
"""Options of `kubectl get` whose answer `listed` reads."""


def environment() -> dict[str, str]:
    """The user's environment, but for the preferences (kuberc), which could change what a command means."""
    return {**os.environ, "KUBERC": "off"}


def call(
    command: Sequence[str], what: str, *, stdin: str | None = None, timeout: float = 60.0, own_session: bool = False
) -> str:
    """Runs one kubectl command and returns its stdout; errors call it `what`.

    `stdin` is the text that it reads; `timeout` counts in seconds; in a session of its own it does not hear Ctrl-C. Raises
    KubectlError when it fails, cannot be started or takes longer.
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
    """The objects in the answer of `kubectl get`; an empty answer holds none."""
    if not text.strip():
        return []
    found: dict[str, Any] = json.loads(text)
    return list(found["items"]) if found.get("kind", "").endswith("List") else [found]


@dataclass(frozen=True)
class Kubectl:
    """Runs kubectl against one cluster.

    `binary` is the program and `kubeconfig` the file that names the cluster. Neither $KUBECONFIG nor the user's
    preferences (kuberc) count, and the discovery cache lies beside `kubeconfig` instead of in ~/.kube.
    """

    binary: Path
    kubeconfig: Path

    def run(self, *args: str, stdin: str | None = None, timeout: float = 60.0) -> str:
        """Runs one kubectl command and returns its stdout.

        `stdin` is the text that it reads; `timeout` counts in seconds. Raises KubectlError when it fails, cannot be
        started or takes longer.
        """
        command = [
            str(self.binary),
            f"--kubeconfig={self.kubeconfig}",
            f"--cache-dir={self.kubeconfig.parent / 'kubectl-cache'}",
            *args,
        ]
        return call(command, f"kubectl {' '.join(args)}", stdin=stdin, timeout=timeout)

    def get(self, *args: str, timeout: float = 60.0) -> list[dict[str, Any]]:
        """Returns the objects that `kubectl get <args>` finds; none found is an empty list, never an error.

        A kind that the server does not know, or a server that does not answer, raises KubectlError.
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

        `dry_run` has the server admit and validate them without keeping them; `force_conflicts` takes over fields
        that another manager owns. Raises KubectlError with every refusal of the server; the other objects are applied.
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
        """Deletes `objects` (apiVersion, kind and metadata are enough); those that do not exist are passed over.

        With `wait` it returns when they are gone, finalizers included. Raises KubectlError when that takes longer
        than `timeout` seconds.
        """
        if not objects:
            return
        deadline = time.monotonic() + timeout
        options = ["--ignore-not-found", "--wait=false", "--filename=-"]
        self.run("delete", *options, stdin=_as_list(objects), timeout=timeout)
        # kubectl's own --wait waits for one after the other: for 1,000 nodes that took ten times as long
        while wait and (left := self.present(objects)):
            if time.monotonic() > deadline:
                raise KubectlError(f"kubectl delete: {len(left)} objects are still there after {timeout:g} s")
            time.sleep(_GONE_POLL_SECONDS)

    def present(self, objects: Sequence[KubeObject]) -> list[dict[str, Any]]:
        """Those of `objects` that are there, as they are now."""
        return listed(self.run("get", *LISTED, "--filename=-", stdin=_as_list(objects)))


def _as_list(objects: Sequence[KubeObject]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
