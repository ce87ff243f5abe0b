"""Commands on a cluster: diagnose it, deploy with Pulumi, and adopt an existing deployment."""

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
            help="Also check what this stack needs. Without it, only the machine and the cluster are checked.",
            autocompletion=complete_stack,
        ),
    ] = None,
    kubeconfig: Kubeconfig = None,
    probe: Annotated[
        bool,
        typer.Option(
            "--probe",
            help="With --stack: also run short-lived pods that test the stack's connections and NetworkPolicies.",
        ),
    ] = False,
    output: Format = OutputFormat.TABLE,
) -> None:
    """Find problems that would make a deployment fail.

    Checks this machine, the cluster, what a stack needs from the cluster, and the running workloads. Read-only, except for
    --probe, which creates pods and deletes them. Exit code 3: a problem was found. Exit code 4: the cluster is not
    configured or unreachable.
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
            help="The stack whose cluster and namespace to read. Repeat it, or use a pattern: `-s 'dept-*'`.",
            autocompletion=complete_stack,
        ),
    ] = None,
    namespace: Annotated[
        str | None,
        typer.Option("--namespace", "-n", help="Without --stack: the namespace. Default: the context's namespace."),
    ] = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Print a snapshot of a cluster, for rehearsals.

    Contains nodes, classes, CRDs, quotas, claims, admission policies, and the names and keys of Secrets and ConfigMaps, but
    never their values. Read-only. Resources that you may not list are left out and reported on stderr.
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
    diff: Annotated[bool, typer.Option("--diff", help="Show every changed field, not only the objects.")] = False,
    expect_no_changes: Annotated[
        bool, typer.Option("--expect-no-changes", help="Exit with code 3 if there are changes.")
    ] = False,
    force_conflicts: ForceConflicts = False,
) -> None:
    """Show what `up` would change in the cluster.

    Changes nothing.
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
            help="If no cluster is configured, rehearse the stack instead. Not for production stacks or pinned stacks.",
        ),
    ] = False,
) -> None:
    """Deploy the stack to the configured cluster.

    Uses Pulumi. Shows the cluster and the changes, then asks for confirmation. Reports within seconds why a pod does not
    start. Recovers the state first if an earlier run was interrupted. Exit code 4: no cluster is configured.
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
            "--port", "-p", help="The local port. Default: 8080, or a free port if it is taken.", min=1, max=65535
        ),
    ] = None,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the browser, or only print the URL.")
    ] = True,
    kubeconfig: Kubeconfig = None,
    timeout: PodTimeout = 120.0,
) -> None:
    """Open the WebUI in the browser.

    Uses `kubectl port-forward` until Ctrl-C: needs neither Ingress nor DNS. Reconnects when the pod is replaced.
    """
    from airis.deploy.open_webui import open_webui

    raise typer.Exit(open_webui(stack, kubeconfig=kubeconfig, port=port, browser=browser, timeout_seconds=timeout))


@app.command(epilog="Example:  `airis refresh -s gpu`, then `airis up -s gpu` reverts the drift")
def refresh(
    stack: Stack,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Write the state without asking.")] = False,
) -> None:
    """Show drift, and write it to the state.

    Drift is what differs between the cluster and the state. Asks before it writes. Changes nothing in the cluster.
    """
    from airis.deploy import up as commands

    raise typer.Exit(commands.refresh(stack, yes=yes))


@app.command(epilog="Example:  `airis destroy -s gpu`")
def destroy(
    stack: Stack,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Destroy without asking.")] = False,
) -> None:
    """Delete the stack from the cluster, but keep its data.

    Uses `pulumi destroy`. Keeps and lists the claims, the namespace and the session key.
    """
    from airis.deploy import destroy as command

    raise typer.Exit(command.destroy(stack, yes=yes))


@app.command(epilog="Examples:  `airis adopt -s prod --namespace open-webui`  ·  `airis adopt -s prod --yes`")
def adopt(
    stack: Stack,
    *,
    namespace: Annotated[
        str | None,
        typer.Option("--namespace", "-n", help="The namespace that Open WebUI and Ollama run in. Default: airis."),
    ] = None,
    kubeconfig: Kubeconfig = None,
    context: Annotated[
        str | None, typer.Option("--context", help="The kubeconfig context. Default: the current one.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="If the stack file exists, write Pulumi.STACK-adopted.yaml instead.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Prepare the cluster for the first up without asking.")
    ] = False,
) -> None:
    """Take over a deployment made with Kustomize or Helm.

    Writes a stack file for the running deployment, and shows what the first `up` would change. Deploys nothing. Asks before
    it prepares the cluster for that `up`.
    """
    from airis.adopt import adopt as command

    def ask(question: str) -> bool:
        return yes or (sys.stdin.isatty() and typer.confirm(question))

    command(stack, namespace=namespace, kubeconfig=kubeconfig, context=context, force=force, ask=ask)
