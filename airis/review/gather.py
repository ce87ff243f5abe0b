"""Collects the review of each changed stack: the diff, the rehearsal, and the policy check."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

from airis.diff import diff_stacks
from airis.diff.model import Diff
from airis.rehearse.rehearsal import rehearse_stack
from airis.rehearse.sandbox import borrowed_sandbox
from airis.rehearse.verdict import Verdict
from airis.render.check import Report, check_stack
from airis.stack_file.stacks import read_stack, stack_names
from airis.terminal.errors import AirisError, ExitCode

NODES = Path("examples", "nodes")
"""The default folder of node descriptions for rehearsals: `<stack>.yaml` is for the stack with that name."""

CLUSTERS = Path("clusters")
"""The default folder of snapshots, likewise. A stack with a snapshot gets its nodes from it."""

Found = TypeVar("Found")
Given = ParamSpec("Given")


@dataclass(frozen=True)
class Failed:
    """A rehearsal or policy check that could not run."""

    words: str
    """The error message."""
    exit_code: ExitCode


@dataclass(frozen=True)
class StackReview:
    """The review of one stack."""

    diff: Diff
    rehearsal: Verdict | Failed | None = None
    """None if it was not requested, or there is nothing to rehearse."""
    policy: Report | Failed | None = None

    @property
    def name(self) -> str:
        """The stack's name."""
        return self.diff.stack

    @property
    def invalid(self) -> bool:
        """Whether the changed stack cannot be rendered."""
        return _invalid(self.diff)

    @property
    def exit_code(self) -> ExitCode:
        """The exit code for this stack alone; affected data takes precedence."""
        return worst(
            (
                ExitCode.DATA if self.diff.touches_data else ExitCode.OK,
                ExitCode.BAD_INPUT if self.invalid else ExitCode.OK,
                _code_of(self.rehearsal),
                _code_of(self.policy),
            )
        )


WORST = (ExitCode.OK, ExitCode.ENVIRONMENT, ExitCode.NOT_READY, ExitCode.BAD_INPUT, ExitCode.DATA)
"""Exit codes, the worst last."""


def gather(
    base: str,
    names: Sequence[str],
    root: Path,
    *,
    rehearse: bool,
    nodes: Path | None = None,
    cluster: Path | None = None,
    timeout_seconds: float = 60.0,
) -> list[StackReview]:
    """Reviews the named stacks, or all that differ between `base` and the working tree.

    `nodes` is a file for all stacks, or a folder like NODES; `cluster` is a snapshot, or a folder like CLUSTERS. Raises
    AirisError without a repository or such a revision. Errors of one stack are part of its review.
    """
    files = {name: places_of(name, nodes, cluster, root) for name in stack_names(root)}
    diffs = diff_stacks(names, base, root)
    concerned = [each for each in diffs if names or each.changes or each.settings or each.problems]
    there = [each.stack for each in concerned if each.stack in files and not _invalid(each)]
    policies = {name: _attempt(_checked, name, root) for name in there}
    verdicts = _rehearsals({name: files[name] for name in there}, timeout_seconds) if rehearse else {}
    return [StackReview(each, verdicts.get(each.stack), policies.get(each.stack)) for each in concerned]


@dataclass(frozen=True)
class Places:
    """The files for a stack's rehearsal."""

    nodes: Path | None = None
    """None for the nodes of the snapshot, or otherwise the default ones."""
    cluster: Path | None = None
    """The snapshot of its cluster, if there is one."""


def places_of(name: str, nodes: Path | None, cluster: Path | None, root: Path) -> Places:
    """The files for a stack's rehearsal. For a stack with a snapshot, nodes in the default folder are not used.

    Raises AirisError if a given path does not exist.
    """
    snapshot = _file_of(name, "--cluster", cluster, root / CLUSTERS)
    described = None if nodes is None and snapshot is not None else _file_of(name, "--nodes", nodes, root / NODES)
    return Places(described, snapshot)


def _file_of(name: str, option: str, given: Path | None, default: Path) -> Path | None:
    """The given file, or the stack's file in the given folder or the default one."""
    if given is not None and not given.exists():
        raise AirisError(f"{option} {given}: there is no such file or folder")
    if given is not None and given.is_file():
        return given
    file = (default if given is None else given) / f"{name}.yaml"
    return file if file.is_file() else None


def worst(codes: Iterable[ExitCode]) -> ExitCode:
    """The exit code of the command."""
    return max(codes, key=WORST.index, default=ExitCode.OK)


def _rehearsals(places: Mapping[str, Places], timeout_seconds: float) -> dict[str, Verdict | Failed]:
    """Rehearses the stacks one after the other in one sandbox."""
    done: dict[str, Verdict | Failed] = {}
    if not places:
        return done
    try:
        with borrowed_sandbox() as sandbox:
            for name, place in places.items():
                done[name] = _attempt(
                    rehearse_stack,
                    name,
                    place.nodes,
                    cluster=place.cluster,
                    timeout_seconds=timeout_seconds,
                    sandbox=sandbox,
                )
    except AirisError as error:  # the sandbox itself
        return {name: done.get(name, _failed(error)) for name in places}
    return done


def _checked(name: str, root: Path) -> Report:
    return check_stack(read_stack(name, root))


def _attempt(find_out: Callable[Given, Found], *args: Given.args, **options: Given.kwargs) -> Found | Failed:
    try:
        return find_out(*args, **options)
    except AirisError as error:
        return _failed(error)


def _failed(error: AirisError) -> Failed:
    lacking = error.exit_code is ExitCode.ENVIRONMENT
    return Failed(str(error), ExitCode.ENVIRONMENT if lacking else ExitCode.NOT_READY)


def _invalid(diff: Diff) -> bool:
    return any(each.side == "after" for each in diff.problems)


def _code_of(outcome: Verdict | Report | Failed | None) -> ExitCode:
    if isinstance(outcome, Failed):
        return outcome.exit_code
    if isinstance(outcome, Report):
        return ExitCode.NOT_READY if outcome.exit_code else ExitCode.OK
    return ExitCode.OK if outcome is None or outcome.ok else ExitCode.NOT_READY
