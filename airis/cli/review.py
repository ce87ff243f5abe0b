"""Commands that review a change before it is deployed: `diff`, `rehearse` and `review`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from airis.cli.options import ClusterSnapshot, Format, Nodes, OutputFormat, Stack, Stacks, Timeout, complete_stack

app = typer.Typer()


class DiffFormat(StrEnum):
    """The output format of a diff."""

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
        typer.Option("--base", help="The git revision to compare with. Default: HEAD, unless --against is given."),
    ] = None,
    against: Annotated[
        str | None, typer.Option("--against", help="Compare with `cluster` or with a file of manifests instead.")
    ] = None,
    cluster: Annotated[
        Path | None,
        typer.Option(
            "--cluster", help="A snapshot of the cluster (`airis snapshot`): also report what is missing there."
        ),
    ] = None,
    output: Annotated[
        DiffFormat, typer.Option("--format", help="A table, Markdown for a GitHub comment, or JSON.")
    ] = DiffFormat.TABLE,
    expect_no_changes: Annotated[
        bool, typer.Option("--expect-no-changes", help="Exit with code 3 if there are differences.")
    ] = False,
) -> None:
    """Show what a change does to pods, data and resources.

    Shows each field with its effect: restarts, downtime, affected claims. Renders the other revision with that revision's
    code, and needs neither a cluster nor the Pulumi engine. Exit code 0: with or without changes. Exit code 5: a claim with
    data is affected (a claim that only grows is reported, but does not count). Exit code 3: the other side cannot be rendered.
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
        bool, typer.Option("--keep", help="Keep the objects and the sandbox, to inspect them with kubectl.")
    ] = False,
    engine: Annotated[
        bool,
        typer.Option("--engine", help="Deploy with the Pulumi engine, if installed, instead of applying the objects."),
    ] = False,
    output: Format = OutputFormat.TABLE,
) -> None:
    """Apply the stack to a local control plane, and report on each object.

    The control plane is real, the nodes are simulated. Several stacks run in parallel. With --cluster, it has the classes,
    quotas, claims, Secrets and policies of your cluster. Without it, whatever the stack refers to is assumed to exist, and is
    listed. Exit code 0 only if everything becomes ready.
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
            "--stack", "-s", help="A stack to review. Default: every stack that changes.", autocompletion=complete_stack
        ),
    ] = None,
    rehearsal: Annotated[bool, typer.Option(help="Rehearse the stacks in one shared sandbox.")] = True,
    nodes: Annotated[
        Path | None,
        typer.Option(
            "--nodes",
            help="Nodes for the rehearsals: one file for all stacks, or a folder with STACK.yaml for each stack that needs "
            "other nodes. Default: examples/nodes.",
        ),
    ] = None,
    cluster: Annotated[
        Path | None,
        typer.Option(
            "--cluster",
            help="Snapshots for the rehearsals: one file for all stacks, or a folder with STACK.yaml. Default: clusters.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file for the comment. Default: stdout.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write the review as JSON to this file.")
    ] = None,
    timeout: Timeout = 60.0,
) -> None:
    """Write the review comment for a pull request.

    Contains the diff, the rehearsal and the policy check of each stack that changes. Exit code 5: a claim with data is
    affected. Exit code 1: a stack is invalid. Exit code 3: a rehearsal or a mandatory rule fails. Always writes the comment.
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
