"""`airis up`, with a rehearsal instead if no cluster is configured and the user allows it."""

from airis.cluster.connection import NOT_CONFIGURED, TO_CONFIGURE, configured_cluster
from airis.deploy.up import deploy
from airis.rehearse.rehearsal import rehearse_stack
from airis.rehearse.verdict import exit_code, print_verdict
from airis.stack_file.stacks import StackFile, read_stack, settings_of
from airis.terminal.errors import EnvironmentProblem


def deploy_or_rehearse(
    name: str,
    *,
    yes: bool,
    force_conflicts: bool = False,
    rehearse_without_cluster: bool = False,
    timeout_seconds: float = 60.0,
) -> int:
    """Deploys the stack. Returns the exit code.

    With `force_conflicts`, overwrites fields that other managers have changed. With `rehearse_without_cluster`, a stack that is
    neither for production nor pinned to a cluster is rehearsed if no cluster is configured, after a message.

    Raises AirisError for an invalid stack before anything is changed, and EnvironmentProblem if a tool or cluster is missing.
    """
    stack = read_stack(name)
    if configured_cluster(stack) is not None:
        return deploy(stack, yes=yes, force_conflicts=force_conflicts)
    _refuse_rehearsal(stack, asked_for=rehearse_without_cluster)
    print(
        f"Rehearsing stack {name} on a local control plane, because {NOT_CONFIGURED}. Nothing is deployed.",
        flush=True,
    )
    verdict = rehearse_stack(name, None, timeout_seconds=timeout_seconds)
    print_verdict(verdict)
    return exit_code(verdict)


def _refuse_rehearsal(stack: StackFile, *, asked_for: bool) -> None:
    """Raises EnvironmentProblem if the stack must not be rehearsed instead of an `up` without a cluster.

    A rehearsal must be requested, and it must not replace the deployment of a stack for production or with a pinned cluster:
    its success could be mistaken for a deployment. Raises AirisError for an invalid stack.
    """
    settings = settings_of(stack)
    ties = {"uid": settings.cluster.uid, "context": settings.cluster.context, "server": settings.cluster.server}
    tied = next((f"airis:cluster.{key}" for key, value in ties.items() if value is not None), None)
    because = "airis:production" if settings.production else tied
    if because is not None:
        raise EnvironmentProblem(
            f"{NOT_CONFIGURED}, and {stack.path.name} needs one ({because}). Nothing was deployed.",
            f"{TO_CONFIGURE}. To try the stack without a cluster: `airis rehearse --stack {stack.name}`",
        )
    if not asked_for:
        raise EnvironmentProblem(
            f"{NOT_CONFIGURED}. Nothing was deployed.",
            f"{TO_CONFIGURE}. To try the stack without a cluster: `airis rehearse --stack {stack.name}`, or `airis up` with "
            "--rehearse-without-cluster",
        )
