"""Reports why pods are not ready, where Pulumi's provider reports only a timeout.

With a custom condition (`components.metadata.WAIT_FOR_PODS`), the provider does not observe the pods (pulumi/pulumi-kubernetes,
provider/pkg/await/internal/awaiter.go), and it has no function to list them. kubectl does, if it is on PATH.
"""

import asyncio
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pulumi

from components.start import PREPARE, is_preparing

_TIMEOUT_SECONDS = 15.0
_NOT_LIVE = "failed to fully initialize or become live"
"""The provider's wording for an object that exists but is not ready. Source: provider/pkg/provider/provider.go."""

_TIMED_OUT = "timed out"
"""Its wording for a timeout without an interruption. Source: provider/pkg/await/internal/awaiter.go."""

Pod = Mapping[str, Any]


def saying_why(name: str, parent: pulumi.Resource) -> pulumi.ResourceHookBinding:
    """Reports why the pods of a failed Deployment are not ready, and continues to wait while a database is being prepared.

    `name` names the hook, `parent` is the Deployment's parent.
    """
    # Only Pulumi's default provider uses the cluster of the stack's configuration
    known = parent.get_provider("kubernetes:apps/v1:Deployment") is None
    return pulumi.ResourceHookBinding(on_error=[pulumi.ErrorHook(f"{name}-pods", partial(_say_why, known=known))])


async def _say_why(args: pulumi.ErrorHookArgs, *, known: bool) -> bool:
    """Logs the reason. `known`: whether the cluster is that of the stack's configuration.

    Returns whether the engine retries, which waits again. Only for updates: an existing object cannot be created.
    """
    if args.new_inputs is None or _NOT_LIVE not in args.errors[0]:
        return False
    namespace = args.new_inputs["metadata"]["namespace"]
    labels = args.new_inputs["spec"]["selector"]["matchLabels"]
    chosen = f"--namespace={namespace}", f"--selector={','.join(f'{key}={labels[key]}' for key in labels)}"
    pods = await asyncio.to_thread(_pods, ["get", "pods", *chosen, "--output=json"]) if known else []
    preparing = _TIMED_OUT in args.errors[0] and any(map(is_preparing, pods))
    if preparing and args.failed_operation == "update":
        pulumi.log.info(f"The database of {args.name} is still being prepared: waiting.")
        return True
    why = "\n".join(map(_reason, pods)) or f"`kubectl describe pods {' '.join(chosen)}` shows the reason."
    if preparing:
        why += "\nThe database is still being prepared. This continues, and the next `up` waits for it."
    pulumi.log.error(f"Not all pods of {args.name} are ready. {why}")
    return False


def _reason(pod: Pod) -> str:
    """The messages of scheduler and kubelet about a pod, and the last message of a failed `prepare`.

    Messages of other containers are excluded, because they may contain secrets.
    """
    status = pod.get("status", {})
    conditions = {each["type"]: each for each in status.get("conditions", [])}
    words = [conditions.get("PodScheduled", {}).get("message")]
    for each in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
        state, last = each.get("state", {}), each.get("lastState", {}).get("terminated", {})
        waiting, ended = state.get("waiting", {}), state.get("terminated", {})
        words += [
            waiting.get("reason"),
            waiting.get("message"),
            ended.get("reason"),
            last.get("reason"),
            last.get("exitCode"),
        ]
        if each["name"] == PREPARE:
            said = str((ended or last).get("message", "")).strip().rpartition("\n")[2]
            words.append(said if said.startswith("airis: ") else None)
    return " ".join([f"{pod['metadata']['name']}:", *(str(each) for each in words if each not in (None, ""))])


def _pods(command: Sequence[str]) -> list[Pod]:
    """The pods in the cluster of the stack's configuration, by kubectl; none if it fails."""
    binary = shutil.which("kubectl")
    if binary is None:
        return []
    with _options() as options:
        try:
            answer = subprocess.run(
                [binary, *options, *command],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_TIMEOUT_SECONDS,
                check=True,
            ).stdout
            found: list[Pod] = json.loads(answer)["items"]
        except (OSError, subprocess.SubprocessError, ValueError):
            return []
        return found


@contextmanager
def _options() -> Iterator[list[str]]:
    """Options of kubectl for the provider's cluster: `kubernetes:kubeconfig`, a path or the content, and `context`.

    Source: pulumi/pulumi-kubernetes, provider/pkg/provider/util.go, parseKubeconfigString.
    """
    config = pulumi.Config("kubernetes")
    options = [f"--{key}={value}" for key in ("context", "cluster") if (value := config.get(key))]
    kubeconfig = config.get("kubeconfig")
    if not kubeconfig:
        yield options
    elif "\n" not in kubeconfig and (path := Path(kubeconfig).expanduser()).is_file():
        yield [*options, f"--kubeconfig={path}"]
    else:
        with tempfile.NamedTemporaryFile("w", suffix=".kubeconfig") as file:  # readable only by its owner
            file.write(kubeconfig)
            file.flush()
            yield [*options, f"--kubeconfig={file.name}"]
