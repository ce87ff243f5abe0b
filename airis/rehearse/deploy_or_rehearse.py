"""`airis up` where there may be no cluster: a rehearsal takes its place if somebody asks for it."""

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

    With `force_conflicts`, fields that somebody else has changed are taken back. With `rehearse_without_cluster`, a stack that
    is neither for production nor pinned to a cluster is rehearsed where none is configured, which is said first.

    Raises AirisError for a bad stack before anything is touched, and EnvironmentProblem where a tool or a cluster is missing.
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
    """Raises EnvironmentProblem where the stack must not be rehearsed in place of an `up` that has no cluster to go to.

    That is where nobody asked for it, and where the stack is deployed to a cluster for certain: a success that deployed
    nothing would then be taken for one that did. Raises AirisError for a stack that does not hold.
    """
    settings = settings_of(stack)
    ties = {"uid": settings.cluster.uid, "context": settings.cluster.context, "server": settings.cluster.server}
    tied = next((f"airis:cluster.{key}" for key, value in ties.items() if value is not None), None)
    because = "airis:production" if settings.production else tied
    if because is not None:
        raise EnvironmentProblem(
            f"{NOT_CONFIGURED}, and {stack.path.name} needs one ({because}). Nothing was deployed.",
            f"{TO_CONFIGURE}. `airis rehearse --stack {stack.name}` tries the stack out without a cluster",
        )
    if not asked_for:
        raise EnvironmentProblem(
            f"{NOT_CONFIGURED}. Nothing was deployed.",
            f"{TO_CONFIGURE}. `airis rehearse --stack {stack.name}` tries the stack out without a cluster, and so does `airis "
            "up` with --rehearse-without-cluster",
        )
