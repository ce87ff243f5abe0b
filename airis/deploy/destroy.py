"""`airis destroy`: deletes the stack, keeps its data, and lists what remains."""

import sys

from airis.deploy import guard
from airis.deploy.engine import Engine
from airis.deploy.recovery import recover, unlocked
from airis.deploy.up import Asking
from airis.render import program
from airis.render.manifest import in_order
from airis.stack_file.stacks import StackFile, read_stack
from airis.terminal.errors import ExitCode


def destroy(name: str, *, yes: bool) -> int:
    """Destroys the stack in its cluster, except for what holds data. Returns the exit code.

    Raises EnvironmentProblem if no cluster is configured, and AirisError if the stack is pinned to another cluster.
    """
    stack = read_stack(name)
    ask = Asking(yes=yes)
    target = guard.target_of(stack)
    remaining = what_remains(stack)
    guard.announce(target, stack, "Destroying")
    engine = Engine.open(stack)
    with guard.kubectl(stack, target.namespace) as cluster:
        recover(engine, cluster, ask)
    engine.preview_destroy()
    if not ask(f"Destroy it in {target}?"):
        print("Nothing was changed.", file=sys.stderr)
        return ExitCode.OK
    unlocked(engine, engine.destroy, ask)
    print(remaining)
    return ExitCode.OK


def what_remains(stack: StackFile) -> str:
    """The text that lists what `destroy` keeps, and how to delete it."""
    kept = [each for each in in_order(program.run(stack).objects) if each.retain]
    namespace = next(each.name for each in kept if each.kind == "Namespace")
    listed = "\n".join(f"  {each}" for each in kept)
    return f"""
These objects remain, with all data. The session key remains in the stack's state. The next `up` reuses them:
{listed}
To delete them permanently:
  pulumi state unprotect --all --yes --stack {stack.name}
  pulumi destroy --stack {stack.name}
  kubectl delete namespace {namespace}"""
