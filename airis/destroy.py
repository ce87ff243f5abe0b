"""`airis destroy`: takes the stack away, leaves its data, and says what remains."""

from airis import engine, program
from airis.cluster import configured_cluster
from airis.errors import EnvironmentProblem
from airis.manifest import in_order
from airis.stacks import StackFile, read_stack


def destroy(name: str, *, yes: bool) -> int:
    """Destroys the stack in its cluster, all but what holds data. Returns Pulumi's exit code.

    Raises EnvironmentProblem where no cluster is configured.
    """
    stack = read_stack(name)
    cluster = configured_cluster(stack)
    if cluster is None:
        raise EnvironmentProblem("no cluster is configured (no $KUBECONFIG, no ~/.kube/config): nothing to destroy")
    remaining = what_remains(stack)
    print(f"Destroying stack {name} in {cluster}.", flush=True)
    code = engine.destroy(stack, yes=yes)
    if code == 0:
        print(remaining)
    return code


def what_remains(stack: StackFile) -> str:
    """What `destroy` leaves, and how to delete it on purpose."""
    kept = [each for each in in_order(program.run(stack).objects) if each.retain]
    namespace = next(each.name for each in kept if each.kind == "Namespace")
    listed = "\n".join(f"  {each}" for each in kept)
    return f"""
These remain, with all data, and the session key in the stack's state; the next `up` finds them again:
{listed}
To delete them on purpose, for ever:
  pulumi state unprotect --all --yes --stack {stack.name}
  pulumi destroy --stack {stack.name}
  kubectl delete namespace {namespace}"""
