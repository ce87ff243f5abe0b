"""What a change does, before it is deployed."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from airis.cli.options import ClusterSnapshot, Format, Nodes, OutputFormat, Stack, Stacks, Timeout, complete_stack

app = typer.Typer()


class DiffFormat(StrEnum):
    """How a diff is printed."""

    TABLE = "table"
    MARKDOWN = "markdown"
    JSON = "json"


@app.command(
    epilog="Examples:  `airis diff -s gpu`  ·  `airis diff -s gpu --base origin/main --format markdown`  ·  "
    "`airis diff -s gpu --against cluster`  ·  `airis diff -s gpu --against rendered.yaml`  ·  "
    "`airis diff -s gpu --cluster cluster.yaml`"
)
def diff(
    stack: Stack,
    *,
    base: Annotated[
        str | None,
        typer.Option("--base", help="A git revision to compare with; HEAD, if neither this nor --against is given."),
    ] = None,
    against: Annotated[
        str | None, typer.Option("--against", help="`cluster`, or a file of manifests, to compare with instead.")
    ] = None,
    cluster: Annotated[
        Path | None,
        typer.Option(
            "--cluster", help="A snapshot of the cluster (`airis snapshot`): also say what the stack lacks there."
        ),
    ] = None,
    output: Annotated[
        DiffFormat, typer.Option("--format", help="For the terminal, for a comment on GitHub, or for other programs.")
    ] = DiffFormat.TABLE,
    expect_no_changes: Annotated[
        bool, typer.Option("--expect-no-changes", help="End with 3 if there is any difference.")
    ] = False,
) -> None:
    """Show what a change does to pods, data and resources.

    Field by field, with the reason for each: what restarts, what is downtime, which claim is touched. The other revision is
    rendered by its own code; neither cluster nor engine is needed. Ends with 0 whether or not anything changes; with 5 if a
    claim with data is touched (one that only grows is said, and is none); with 3 if the other side cannot be rendered.
    """
    from airis.diff.command import run

    raise typer.Exit(run(stack, base, against, output.value, cluster=cluster, expect_no_changes=expect_no_changes))


@app.command(
    epilog="Examples:  `airis rehearse -s gpu`  ·  `airis rehearse -s gpu --nodes my-nodes.yaml`  ·  "
    "`kubectl get nodes -o yaml > my-nodes.yaml`  ·  `airis rehearse -s 'dept-*' --nodes my-nodes.yaml`  ·  "
    "`airis snapshot -s gpu > cluster.yaml`, then `airis rehearse -s gpu --cluster cluster.yaml`"
)
def rehearse(
    stack: Stacks,
    *,
    nodes: Nodes = None,
    cluster: ClusterSnapshot = None,
    timeout: Timeout = 60.0,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the objects and the sandbox for a look with kubectl.")
    ] = False,
    engine: Annotated[
        bool, typer.Option("--engine", help="Have Pulumi deploy it, if it is there, and not only apply its objects.")
    ] = False,
    output: Format = OutputFormat.TABLE,
) -> None:
    """Bring the stack up on a control plane of this machine.

    A real one, with simulated nodes. Several stacks come up side by side. With --cluster, it has the classes, quotas, claims,
    Secrets and policies of your cluster; without, what the stack refers to is assumed to be there, and listed. Ends with 0
    only if everything came up.
    """
    from airis.rehearse.rehearsal import rehearse_stacks
    from airis.rehearse.verdict import exit_code, print_verdicts

    verdicts = rehearse_stacks(stack, nodes, cluster=cluster, timeout_seconds=timeout, keep=keep, engine=engine)
    print_verdicts(verdicts, as_json=output is OutputFormat.JSON)
    raise typer.Exit(exit_code(*verdicts))


@app.command(
    epilog="Examples:  `airis review --base origin/main`  ·  `airis review --base origin/main --no-rehearsal -s gpu`  ·  "
    "`airis review --base $(git merge-base origin/main HEAD) --output comment.md --json review.json`"
)
def review(
    base: Annotated[str, typer.Option("--base", help="The revision to compare with: a branch, tag or commit.")],
    *,
    stack: Annotated[
        list[str] | None,
        typer.Option(
            "--stack", "-s", help="A stack to review; all that change if left out.", autocompletion=complete_stack
        ),
    ] = None,
    rehearsal: Annotated[bool, typer.Option(help="Rehearse the stacks on the sandbox: one for all of them.")] = True,
    nodes: Annotated[
        Path | None,
        typer.Option(
            "--nodes",
            help="Nodes for the rehearsals: a file for all stacks, or a folder with STACK.yaml for those that need other "
            "nodes than the default ones; examples/nodes if left out.",
        ),
    ] = None,
    cluster: Annotated[
        Path | None,
        typer.Option(
            "--cluster",
            help="Snapshots for the rehearsals: a file for all stacks, or a folder with STACK.yaml; clusters if left out.",
        ),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The comment; stdout if left out.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Where to write the same as JSON.")] = None,
    timeout: Timeout = 60.0,
) -> None:
    """Write the comment on a pull request: what it does.

    Diff, rehearsal and policy of each stack that changes. Ends with 5 if a claim with data is touched, 1 if a stack does not
    validate, 3 if a rehearsal or a mandatory rule fails; the comment is written all the same.
    """
    from airis.review import review as command

    code = command(
        base,
        stack or [],
        rehearse=rehearsal,
        nodes=nodes,
        cluster=cluster,
        output=output,
        json_file=json_file,
        timeout_seconds=timeout,
    )
    raise typer.Exit(code)
