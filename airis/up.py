"""`airis up`: to a cluster by Pulumi and by nothing else; without a cluster, a rehearsal."""

import sys

from airis import engine, program
from airis.cluster import configured_cluster
from airis.rehearsal import rehearse_stack
from airis.stacks import read_stack
from airis.verdict import exit_code, print_verdict


def deploy_or_rehearse(name: str, *, yes: bool, timeout_seconds: float = 60.0) -> int:
    """Deploys the stack, or rehearses it where no cluster is configured, and says so first. Returns the exit code.

    Raises AirisError for a bad stack before anything is touched, and EnvironmentProblem where a tool is missing.
    """
    stack = read_stack(name)
    cluster = configured_cluster(stack)
    if cluster is None:
        print(
            f"No cluster is configured (no $KUBECONFIG, no ~/.kube/config): rehearsing stack {name} on a local control "
            "plane instead. Nothing is deployed.",
            flush=True,
        )
        verdict = rehearse_stack(name, None, timeout_seconds=timeout_seconds)
        print_verdict(verdict)
        return exit_code(verdict)

    program.run(stack)  # a stack that does not hold is refused here, with every reason, before the engine starts
    print(f"Deploying stack {name} to {cluster}.", file=sys.stderr, flush=True)
    return engine.up(stack, yes=yes)
