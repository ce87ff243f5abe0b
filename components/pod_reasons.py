"""Says why pods are not ready, where Pulumi's provider only says that its time is over.

With a condition of the stack's own (`components.metadata.WAIT_FOR_PODS`) the provider does not look at the pods
(pulumi/pulumi-kubernetes, provider/pkg/await/internal/awaiter.go), and no function of it lists them. kubectl does, where it is
on PATH.
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
"""The provider's words for an object that is there and not ready. Source: provider/pkg/provider/provider.go."""

_TIMED_OUT = "timed out"
"""Its words when it was not interrupted before. Source: provider/pkg/await/internal/awaiter.go."""

Pod = Mapping[str, Any]


def saying_why(name: str, parent: pulumi.Resource) -> pulumi.ResourceHookBinding:
    """Has a Deployment that fails say what its pods wait for, and wait on for a database that is being prepared.

    `name` names the hook, `parent` is the Deployment's parent.
    """
    # Only the provider that Pulumi makes from the stack's configuration goes where that configuration says
    known = parent.get_provider("kubernetes:apps/v1:Deployment") is None
    return pulumi.ResourceHookBinding(on_error=[pulumi.ErrorHook(f"{name}-pods", partial(_say_why, known=known))])


async def _say_why(args: pulumi.ErrorHookArgs, *, known: bool) -> bool:
    """Logs it. `known` says whether the cluster is that of the stack's configuration.

    Returns whether the engine tries again, which waits once more. Only for updates: an object that is there already cannot be
    created.
    """
    if args.new_inputs is None or _NOT_LIVE not in args.errors[0]:
        return False
    namespace = args.new_inputs["metadata"]["namespace"]
    labels = args.new_inputs["spec"]["selector"]["matchLabels"]
    chosen = f"--namespace={namespace}", f"--selector={','.join(f'{key}={labels[key]}' for key in labels)}"
    pods = await asyncio.to_thread(_pods, ["get", "pods", *chosen, "--output=json"]) if known else []
    preparing = _TIMED_OUT in args.errors[0] and any(map(is_preparing, pods))
    if preparing and args.failed_operation == "update":
        pulumi.log.info(f"The database of {args.name} is still being prepared: waiting on.")
        return True
    why = "\n".join(map(_reason, pods)) or f"`kubectl describe pods {' '.join(chosen)}` says why."
    if preparing:
        why += "\nThe database is still being prepared, which goes on: the next `up` waits for it."
    pulumi.log.error(f"Not all pods of {args.name} are ready. {why}")
    return False


def _reason(pod: Pod) -> str:
    """What scheduler and kubelet say about a pod, and what `prepare` said when it failed.

    No last words of other containers: they may hold secrets.
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
    """The pods that kubectl finds on the cluster of the stack's configuration; none where it cannot be asked."""
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
    """The options of kubectl for where the provider goes: `kubernetes:kubeconfig`, a path or the file itself, and `context`.

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
        with tempfile.NamedTemporaryFile("w", suffix=".kubeconfig") as file:  # readable by its owner alone
            file.write(kubeconfig)
            file.flush()
            yield [*options, f"--kubeconfig={file.name}"]
