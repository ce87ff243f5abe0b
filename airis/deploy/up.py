"""`airis up`, `preview` and `refresh`: they change the cluster only through Pulumi."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from airis.cluster.connection import Cluster
from airis.cluster.kubectl import KubectlError, KubeObject
from airis.cluster.ollama_log import computing_on_cpu
from airis.cluster.readiness import Live
from airis.deploy import first_steps, guard
from airis.deploy.database_preparation import Preparing
from airis.deploy.engine import Changes, Engine, EngineFailed, EngineKilled, Locked
from airis.deploy.existing_objects import refuse_existing
from airis.deploy.recovery import recover, tell_unfinished, unlocked
from airis.deploy.watch import Watch, watching
from airis.render.objects import manifests
from airis.stack_file.stacks import StackFile, read_stack, settings_of
from airis.terminal.errors import AirisError, ExitCode

_WORKLOADS = ("Deployment", "StatefulSet")
_POLL_SECONDS = 1.0
_YES = ("y", "yes")
_CHANGING_NOTHING = ("same", "read")


def deploy(stack: StackFile, *, yes: bool, force_conflicts: bool = False) -> int:
    """Deploys the stack to the configured cluster. Returns the exit code.

    `force_conflicts` overwrites fields that other managers own.

    Raises AirisError for an invalid stack before anything is changed, and EnvironmentProblem if a tool or a cluster is missing.
    """
    # an invalid stack is refused here, with every reason, before the engine starts
    wanted = manifests(stack)
    workloads = [each for each in wanted if each["kind"] in _WORKLOADS]
    settings = settings_of(stack)
    ask = Asking(yes=yes)
    target = guard.target_of(stack)
    guard.announce(target, stack, "Deploying")
    engine = Engine.open(stack, force_conflicts=force_conflicts)
    with guard.kubectl(stack, target.namespace) as cluster:
        recover(engine, cluster, ask, wanted)
        refuse_existing(engine, cluster, wanted, stack)
        if _any(engine.preview()) and not ask(f"Deploy to {target}?"):
            print("Nothing was changed.", file=sys.stderr)
            return ExitCode.OK
        was = first_steps.before(cluster, wanted, settings)
        preparing, seconds = Preparing(_tell), settings.cluster.ready_seconds
        with watching(cluster, _tell, preparing.look) as watch, _summed_up(watch):
            _deploy(engine, ask, preparing, seconds)
            if cluster is not None:
                _await_ready(cluster, workloads, preparing, seconds)
                if settings.ollama.enabled and settings.ollama.gpu is not None:
                    for each in computing_on_cpu(cluster, workloads):
                        _tell(each)
    if was is not None and not was.deployed:
        print(first_steps.first_steps(stack, settings, was), flush=True)
    return ExitCode.OK


def preview(name: str, *, expect_no_changes: bool = False, diff: bool = False, force_conflicts: bool = False) -> int:
    """Shows what `up` would do; changes nothing. Returns 3 if there are changes and `expect_no_changes` is set."""
    stack = read_stack(name)
    wanted = manifests(stack)
    target = guard.target_of(stack)
    guard.announce(target, stack, "Previewing")
    engine = Engine.open(stack, force_conflicts=force_conflicts)
    with guard.kubectl(stack, target.namespace) as cluster:
        if not tell_unfinished(engine, cluster, wanted):
            refuse_existing(engine, cluster, wanted, stack)
    if _any(engine.preview(diff=diff)) and expect_no_changes:
        print(f"Stack {name} differs from the cluster.", file=sys.stderr)
        return ExitCode.NOT_READY
    return ExitCode.OK


def refresh(name: str, *, yes: bool) -> int:
    """Writes the cluster's objects to the state; changes nothing in the cluster. The next `up` then reverts the drift."""
    stack = read_stack(name)
    ask = Asking(yes=yes)
    target = guard.target_of(stack)
    guard.announce(target, stack, "Refreshing")
    engine = Engine.open(stack)
    with guard.kubectl(stack, target.namespace) as cluster:
        recover(engine, cluster, ask)
    if _any(engine.preview_refresh()) and not ask("Write this to the state?"):
        print("Nothing was changed.", file=sys.stderr)
        return ExitCode.OK
    unlocked(engine, engine.refresh, ask)
    return ExitCode.OK


class Asking:
    """Asks for confirmation on the terminal; with `yes`, the answer is yes. Raises AirisError if there is no terminal."""

    def __init__(self, *, yes: bool) -> None:
        if not yes and not sys.stdin.isatty():
            raise AirisError("cannot ask for confirmation: stdin is not a terminal", "--yes continues without asking")
        self._yes = yes

    def __call__(self, question: str) -> bool:
        """Whether the answer is yes; an empty one is no."""
        if self._yes:
            return True
        print(f"\n{question} [y/N] ", end="", file=sys.stderr, flush=True)
        return sys.stdin.readline().strip().lower() in _YES


def _deploy(engine: Engine, ask: Asking, preparing: Preparing, seconds: float) -> None:
    """Runs `pulumi up`, and again if it timed out while a database was being prepared."""
    while True:
        started = time.monotonic()
        try:
            unlocked(engine, engine.up, ask)
        except (EngineKilled, Locked):
            raise
        except EngineFailed:
            if not preparing.under_way or time.monotonic() - started < seconds:
                raise
            _tell("The database is still being prepared: waiting.")
        else:
            return


def _await_ready(cluster: Cluster, wanted: Sequence[KubeObject], preparing: Preparing, seconds: float) -> None:
    """Waits until every pod of the current template is ready. Raises EngineFailed on a timeout; migration time does not count.

    Pulumi waits only for objects that it changes, not for the pods of an unchanged workload.
    """
    deadline = time.monotonic() + seconds
    waiting = ["the cluster does not answer"]
    while time.monotonic() < deadline:
        if preparing.under_way:
            deadline = time.monotonic() + seconds
        with suppress(KubectlError):  # retried at the next poll
            findings = Live(cluster.get("deployments,statefulsets,pods")).findings(wanted)
            waiting = [f"{each.kind}/{each.name}" for each in findings if each.kind in _WORKLOADS and not each.ok]
            if not waiting:
                return
        time.sleep(_POLL_SECONDS)
    raise EngineFailed(f"deployed, but not ready within {seconds:g} s: {', '.join(waiting)}")


def _any(changes: Changes) -> bool:
    return any(count for operation, count in changes.items() if operation not in _CHANGING_NOTHING)


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextmanager
def _summed_up(watch: Watch) -> Iterator[None]:
    """After a failure, lists the pods that did not start: their errors are far above by then."""
    try:
        yield
    except (AirisError, KeyboardInterrupt):
        if watch.lasting:
            _tell(f"{', '.join(watch.lasting)} failed to start; see the errors above.")
        raise
