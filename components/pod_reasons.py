"""Says why pods are not ready, where Pulumi's provider only says that its time is over.

With a condition of the stack's own (`components.metadata.WAIT_FOR_PODS`) the provider does not look at the pods
(pulumi/pulumi-kubernetes, provider/pkg/await/internal/awaiter.go), and no function of it lists them. kubectl does, where it is
on PATH.
"""

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pulumi

_TIMEOUT_SECONDS = 15.0
_NOT_LIVE = "failed to fully initialize or become live"
"""The provider's words for an object that is there and not ready. Source: provider/pkg/provider/provider.go."""

_CONTAINER = (
    "{.state.waiting.reason} {.state.waiting.message} {.state.terminated.reason} {.lastState.terminated.reason} "
    "{.lastState.terminated.exitCode} "
)
_POD = (
    '{.metadata.name}: {.status.conditions[?(@.type=="PodScheduled")].message} '
    f"{{range .status.initContainerStatuses[*]}}{_CONTAINER}{{end}}{{range .status.containerStatuses[*]}}{_CONTAINER}{{end}}"
)
_REASONS = f"jsonpath={{range .items[*]}}{_POD}{{'\\n'}}{{end}}"
"""A line for each pod, with what scheduler and kubelet say about it. No last words of a container: they may hold secrets."""


def saying_why(name: str, parent: pulumi.Resource) -> pulumi.ResourceHookBinding:
    """Has a Deployment that fails say what its pods wait for. `name` names the hook, `parent` is the Deployment's parent."""
    # Only the provider that Pulumi makes from the stack's configuration goes where that configuration says
    known = parent.get_provider("kubernetes:apps/v1:Deployment") is None
    return pulumi.ResourceHookBinding(on_error=[pulumi.ErrorHook(f"{name}-pods", partial(_say_why, known=known))])


async def _say_why(args: pulumi.ErrorHookArgs, *, known: bool) -> bool:
    """Logs it, and asks for no second try. `known` says whether the cluster is that of the stack's configuration."""
    if args.new_inputs is None or _NOT_LIVE not in args.errors[0]:
        return False
    namespace = args.new_inputs["metadata"]["namespace"]
    labels = args.new_inputs["spec"]["selector"]["matchLabels"]
    chosen = f"--namespace={namespace}", f"--selector={','.join(f'{key}={labels[key]}' for key in labels)}"
    reasons = await asyncio.to_thread(_asked, ["get", "pods", *chosen, f"--output={_REASONS}"]) if known else ""
    pods = reasons or f"`kubectl describe pods {' '.join(chosen)}` says why."
    pulumi.log.error(f"Not all pods of {args.name} are ready. {pods}")
    return False


def _asked(command: Sequence[str]) -> str:
    """What kubectl says on the cluster of the stack's configuration; nothing where it cannot be asked."""
    binary = shutil.which("kubectl")
    if binary is None:
        return ""
    with _options() as options:
        try:
            return subprocess.run(
                [binary, *options, *command],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_TIMEOUT_SECONDS,
                check=True,
            ).stdout.strip()
        except (OSError, subprocess.SubprocessError):
            return ""


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
