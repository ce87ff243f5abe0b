"""A cluster: what fails there, deploying by Pulumi, taking over what runs."""

import sys
from typing import Annotated

import typer

from airis.cli.options import ForceConflicts, Format, Kubeconfig, OutputFormat, PodTimeout, Stack, complete_stack

app = typer.Typer()


@app.command(
    epilog="Examples:  `airis doctor`  ·  `airis doctor -s gpu`  ·  `airis doctor -s gpu --probe`  ·  "
    "`airis doctor -s gpu --format json | jq .counts`"
)
def doctor(
    stack: Annotated[
        str | None,
        typer.Option(
            "--stack",
            "-s",
            help="Also what this stack needs; without it, machine and cluster alone.",
            autocompletion=complete_stack,
        ),
    ] = None,
    kubeconfig: Kubeconfig = None,
    probe: Annotated[
        bool,
        typer.Option(
            "--probe",
            help="With --stack: also make short pods that reach for all that the stack names, and try the NetworkPolicies.",
        ),
    ] = False,
    output: Format = OutputFormat.TABLE,
) -> None:
    """Find what makes deployments fail, before they do.

    Looks at this machine, the cluster, what a stack needs of it, and what runs. Changes nothing; only --probe makes pods, and
    deletes them. Ends with 3 if there is a problem, and with 4 if the cluster that was asked for does not answer.
    """
    from airis.doctor import examine
    from airis.doctor.report import print_examination

    found = examine(stack, kubeconfig, probing=probe)
    print_examination(found, as_json=output is OutputFormat.JSON)
    raise typer.Exit(found.exit_code)


@app.command(
    epilog="Examples:  `airis snapshot -s gpu > cluster.yaml`  ·  `airis snapshot --namespace chat > cluster.yaml`  ·  "
    "then `airis rehearse -s gpu --cluster cluster.yaml`"
)
def snapshot(
    stack: Annotated[
        list[str] | None,
        typer.Option(
            "--stack",
            "-s",
            help="A stack whose cluster and namespace to look at. Several, or a pattern: `-s 'dept-*'`.",
            autocompletion=complete_stack,
        ),
    ] = None,
    namespace: Annotated[
        str | None,
        typer.Option("--namespace", "-n", help="Without a stack: the namespace; that of the context if left out."),
    ] = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Print what a rehearsal needs to know of a cluster.

    Nodes, classes, definitions, quotas, claims, admission policies, names and keys of Secrets and ConfigMaps; never a value.
    Changes nothing. What may not be listed is left out and said.
    """
    from airis.rehearse.snapshot import written
    from airis.rehearse.snapshot.take import snapshot_of

    taken = snapshot_of(stack or [], namespace, kubeconfig)
    sys.stdout.write(written(taken))
    for what, why in taken.unknown.items():
        print(f"left out: {what}: {why}", file=sys.stderr)


@app.command(epilog="Examples:  `airis preview -s gpu --diff`  ·  `airis preview -s gpu --expect-no-changes`")
def preview(
    stack: Stack,
    diff: Annotated[bool, typer.Option("--diff", help="Show every field, and not only the objects.")] = False,
    expect_no_changes: Annotated[
        bool, typer.Option("--expect-no-changes", help="End with 3 if there is anything to change.")
    ] = False,
    force_conflicts: ForceConflicts = False,
) -> None:
    """Show what `up` would change in the cluster.

    Touches nothing.
    """
    from airis.deploy import up as commands

    raise typer.Exit(
        commands.preview(stack, expect_no_changes=expect_no_changes, diff=diff, force_conflicts=force_conflicts)
    )


@app.command(epilog="Examples:  `airis up -s gpu`  ·  `airis up -s gpu --yes`")
def up(
    stack: Stack,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Deploy without asking.")] = False,
    force_conflicts: ForceConflicts = False,
    rehearse_without_cluster: Annotated[
        bool,
        typer.Option(
            "--rehearse-without-cluster",
            help="Where no cluster is configured, rehearse the stack instead; not one for production or tied to a cluster.",
        ),
    ] = False,
) -> None:
    """Deploy the stack to the configured cluster.

    By Pulumi. Shows cluster and changes, and asks. Says within seconds why a pod does not start. A run that was cut off is
    put right first. Ends with 4 if no cluster is configured.
    """
    from airis.rehearse.deploy_or_rehearse import deploy_or_rehearse

    raise typer.Exit(
        deploy_or_rehearse(
            stack,
            yes=yes,
            force_conflicts=force_conflicts,
            rehearse_without_cluster=rehearse_without_cluster,
        )
    )


@app.command("open", epilog="Examples:  `airis open -s gpu`  ·  `airis open -s gpu --port 9000 --no-browser`")
def open_(
    stack: Stack,
    port: Annotated[
        int | None,
        typer.Option(
            "--port", "-p", help="The port of this machine; 8080 if left out, or a free one.", min=1, max=65535
        ),
    ] = None,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Whether to open the browser, or only print the URL.")
    ] = True,
    kubeconfig: Kubeconfig = None,
    timeout: PodTimeout = 120.0,
) -> None:
    """Open the WebUI in the browser.

    By `kubectl port-forward`, until Ctrl-C: no Ingress and no DNS are needed. A pod that is replaced is connected again.
    """
    from airis.deploy.open_webui import open_webui

    raise typer.Exit(open_webui(stack, kubeconfig=kubeconfig, port=port, browser=browser, timeout_seconds=timeout))


@app.command(epilog="Example:  `airis refresh -s gpu`, then `airis up -s gpu` undoes what others have changed")
def refresh(
    stack: Stack,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Write without asking.")] = False,
) -> None:
    """Show what others changed, and keep it in the state.

    Changes nothing in the cluster.
    """
    from airis.deploy import up as commands

    raise typer.Exit(commands.refresh(stack, yes=yes))


@app.command(epilog="Example:  `airis destroy -s gpu`")
def destroy(
    stack: Stack,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Destroy without asking.")] = False,
) -> None:
    """Take the stack away, but for its data.

    By `pulumi destroy`. Claims, namespace and session key stay, and it says so.
    """
    from airis.deploy import destroy as command

    raise typer.Exit(command.destroy(stack, yes=yes))


@app.command(epilog="Examples:  `airis adopt -s prod --namespace open-webui`  ·  `airis adopt -s prod --yes`")
def adopt(
    stack: Stack,
    *,
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Where Open WebUI and Ollama run now; airis if left out.")
    ] = None,
    kubeconfig: Kubeconfig = None,
    context: Annotated[str | None, typer.Option("--context", help="The context in it, if not the current one.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Where the stack file exists, write Pulumi.STACK-adopted.yaml beside it.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Prepare the cluster for the first up without asking.")
    ] = False,
) -> None:
    """Take over what Kustomize or Helm deployed.

    Writes the stack file of what runs, and says what its first up changes. Nothing is deployed. After asking, the cluster is
    prepared for that up.
    """
    from airis.adopt import adopt as command

    def ask(question: str) -> bool:
        return yes or (sys.stdin.isatty() and typer.confirm(question))

    command(stack, namespace=namespace, kubeconfig=kubeconfig, context=context, force=force, ask=ask)
