"""The command line. Heavy modules are imported by the commands that need them: `airis --help` stays quick."""

import gc
import os
import sys
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from airis.errors import AirisError, ExitCode

_EXIT_CODES = """
Exit codes: 0 all is well; 1 a stack, file or setting is wrong and nothing was touched; 2 the command line is wrong;
3 it ran and something did not come up, or broke off; 4 this machine lacks something (tool, network, cluster); 130 interrupted.
"""

app = typer.Typer(
    name="airis",
    help="Open WebUI and Ollama on Kubernetes: render, rehearse and deploy a stack.",
    epilog=_EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
sandbox_app = typer.Typer(
    help="The local control plane for rehearsals: real Kubernetes, simulated nodes, on loopback only.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
app.add_typer(sandbox_app, name="sandbox")

Stack = Annotated[str, typer.Option("--stack", "-s", help="The stack: `gpu` reads Pulumi.gpu.yaml.")]
Nodes = Annotated[
    Path | None,
    typer.Option(
        "--nodes",
        help="A file that describes other nodes: short form, or `kubectl get nodes -o yaml` of your own cluster.",
    ),
]
Timeout = Annotated[float, typer.Option("--timeout", help="Seconds until the rehearsal gives up.", min=1)]
ForceConflicts = Annotated[
    bool, typer.Option("--force-conflicts", help="Take back the fields that somebody else has changed.")
]


class OutputFormat(StrEnum):
    """How a verdict is printed."""

    TABLE = "table"
    JSON = "json"


Format = Annotated[OutputFormat, typer.Option("--format", help="A table to read, or JSON for other programs.")]


@app.command(
    epilog="Examples:  `airis render -s cpu > cpu.yaml`  ·  `airis render -s gpu | kubectl diff -f -`  ·  "
    "`airis render -s gpu --show-secrets | kubectl apply -f -` (once: it makes a new session key)"
)
def render(
    stack: Stack,
    show_secrets: Annotated[
        bool, typer.Option("--show-secrets", help="Print secret values instead of [secret].")
    ] = False,
) -> None:
    """Print the stack as Kubernetes YAML, sorted for kubectl. Needs neither cluster nor engine."""
    from airis import manifest, program
    from airis.stacks import read_stack

    stack_file = read_stack(stack)
    if show_secrets and stack_file.secret_keys:
        raise AirisError(
            f"{stack_file.path.name}: {', '.join(sorted(stack_file.secret_keys))} is encrypted, and only Pulumi can decrypt it",
            f"`pulumi config --show-secrets --stack {stack}` shows it",
        )
    objects = program.run(stack_file, generate_secrets=show_secrets).objects
    sys.stdout.write(manifest.to_yaml(objects, show_secrets=show_secrets))
    if redacted := [str(each) for each in objects if each.kind == "Secret" and not show_secrets]:
        print(
            f"note: {', '.join(redacted)} reads {manifest.REDACTED} here. Applied as it is, that would be the session key, "
            "which then everybody knows: apply it with values of your own (airis:webui.sessionKeyFrom, or --show-secrets once)",
            file=sys.stderr,
        )


@app.command(epilog="Example:  `airis check -s gpu`")
def check(stack: Stack) -> None:
    """Hold the stack against the rules of the policy pack: limits, probes, security context, credentials, images, data.

    Needs neither cluster nor engine. Ends with 1 if a mandatory rule is broken.
    """
    from airis.check import check_stack, print_report

    report = check_stack(stack)
    print_report(report)
    raise typer.Exit(report.exit_code)


@app.command(
    epilog="Examples:  `airis rehearse -s gpu`  ·  `airis rehearse -s gpu --nodes my-nodes.yaml`  ·  "
    "`kubectl get nodes -o yaml > my-nodes.yaml`"
)
def rehearse(
    stack: Stack,
    *,
    nodes: Nodes = None,
    timeout: Timeout = 60.0,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the objects and the sandbox for a look with kubectl.")
    ] = False,
    engine: Annotated[
        bool, typer.Option("--engine", help="Have Pulumi deploy it, if it is there, and not only apply its objects.")
    ] = False,
    output: Format = OutputFormat.TABLE,
) -> None:
    """Apply the stack to a real control plane with simulated nodes, and say what comes up.

    Ends with 0 only if everything came up.
    """
    from airis.rehearsal import rehearse_stack
    from airis.verdict import exit_code, print_verdict

    verdict = rehearse_stack(stack, nodes, timeout_seconds=timeout, keep=keep, engine=engine)
    print_verdict(verdict, as_json=output is OutputFormat.JSON)
    raise typer.Exit(exit_code(verdict))


@app.command(epilog="Examples:  `airis up -s gpu`  ·  `airis up -s gpu --yes`")
def up(
    stack: Stack,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Deploy without asking.")] = False,
    force_conflicts: ForceConflicts = False,
) -> None:
    """Deploy the stack with Pulumi; where no cluster is configured, rehearse it instead and say so.

    Shows cluster and changes, and asks. Says within seconds why a pod does not start. A run that was cut off is put right
    first.
    """
    from airis.up import deploy_or_rehearse

    raise typer.Exit(deploy_or_rehearse(stack, yes=yes, force_conflicts=force_conflicts))


@app.command(epilog="Examples:  `airis preview -s gpu --diff`  ·  `airis preview -s gpu --expect-no-changes`")
def preview(
    stack: Stack,
    diff: Annotated[bool, typer.Option("--diff", help="Show every field, and not only the objects.")] = False,
    expect_no_changes: Annotated[
        bool, typer.Option("--expect-no-changes", help="End with 3 if there is anything to change.")
    ] = False,
    force_conflicts: ForceConflicts = False,
) -> None:
    """Show what `up` would change in the cluster. Touches nothing."""
    from airis import up as commands

    raise typer.Exit(
        commands.preview(stack, expect_no_changes=expect_no_changes, diff=diff, force_conflicts=force_conflicts)
    )


@app.command(epilog="Example:  `airis refresh -s gpu`, then `airis up -s gpu` undoes what others have changed")
def refresh(
    stack: Stack,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Write without asking.")] = False,
) -> None:
    """Read the cluster into the stack's state, and show what others have changed. Changes nothing in the cluster."""
    from airis import up as commands

    raise typer.Exit(commands.refresh(stack, yes=yes))


Kubeconfig = Annotated[
    Path | None,
    typer.Option("--kubeconfig", help="The cluster, if it is another than the one `pulumi up` would deploy to."),
]
PodTimeout = Annotated[float, typer.Option("--timeout", help="Seconds for a pod to start or to end.", min=1)]


@app.command(
    epilog="Examples:  `airis backup -s gpu`  ·  `airis backup -s gpu --output /backups/monday.tar.gz`  ·  "
    "`airis backup -s gpu --stop`"
)
def backup(
    stack: Stack,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The archive; airis-STACK-TIME.tar.gz if left out.")
    ] = None,
    stop: Annotated[
        bool, typer.Option("--stop", help="Stop Open WebUI meanwhile. Also works where it does not run.")
    ] = False,
    kubeconfig: Kubeconfig = None,
    timeout: PodTimeout = 300.0,
) -> None:
    """Back up Open WebUI's data (chats, users, uploads) into one checked archive. Open WebUI goes on serving."""
    from airis.backup import backup_stack

    made = backup_stack(stack, output, stop=stop, kubeconfig=kubeconfig, timeout_seconds=timeout)
    print(f"{made.path}: {len(made.manifest['files'])} files, {made.bytes / 2**20:.1f} MiB, checked.")
    print("It holds chats and password hashes. It does not hold the session key: see docs/backup.md.")


@app.command(epilog="Example:  `airis restore -s gpu monday.tar.gz --overwrite`")
def restore(
    stack: Stack,
    file: Annotated[Path, typer.Argument(help="The archive; its checksum FILE.sha256 must lie beside it.")],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the data on the volume; the old data is kept aside there.")
    ] = False,
    kubeconfig: Kubeconfig = None,
    timeout: PodTimeout = 300.0,
) -> None:
    """Put a backup in the place of Open WebUI's data. Open WebUI is stopped meanwhile."""
    from airis.backup import restore_stack

    done, aside = restore_stack(stack, file, overwrite=overwrite, kubeconfig=kubeconfig, timeout_seconds=timeout)
    print(f"{done.path}: {len(done.manifest['files'])} files of stack {done.manifest.get('stack')} are restored.")
    if aside is not None:
        print(f"The old data is kept on the volume, in {aside}: delete it when you no longer want it.")


@app.command(epilog="Example:  `airis destroy -s gpu`")
def destroy(
    stack: Stack,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Destroy without asking.")] = False,
) -> None:
    """Take the stack away with `pulumi destroy`; claims, namespace and session key stay, and it says so."""
    from airis import destroy as command

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
    """Write the stack file that takes over an Open WebUI from Kustomize or Helm, and say what its first up changes.

    Nothing is deployed. After asking, the cluster is prepared for that up.
    """
    from airis.adopt import adopt as command

    def ask(question: str) -> bool:
        return yes or (sys.stdin.isatty() and typer.confirm(question))

    command(stack, namespace=namespace, kubeconfig=kubeconfig, context=context, force=force, ask=ask)


@sandbox_app.command("build")
def sandbox_build() -> None:
    """Download or build the sandbox's programs ahead of time. A build takes about six minutes, once."""
    from airis.sandbox import ensure

    ensure()


@sandbox_app.command("up", epilog="Example:  `export KUBECONFIG=$(airis sandbox up)`")
def sandbox_up() -> None:
    """Start the sandbox, and print the KUBECONFIG to use kubectl with it."""
    from airis.sandbox import Sandbox

    sandbox = Sandbox()
    sandbox.up()
    print(sandbox.kubeconfig)


@sandbox_app.command("down")
def sandbox_down() -> None:
    """Stop the sandbox and forget everything in it."""
    from airis.sandbox import Sandbox

    Sandbox().down()


@sandbox_app.command("status")
def sandbox_status() -> None:
    """Say whether the sandbox runs, with which nodes, and what it costs."""
    from airis.sandbox import Sandbox
    from airis.verdict import print_status

    print_status(Sandbox().status())


def main() -> None:
    """Runs the command; what the person can mend is shown without a traceback."""
    # The typed Kubernetes modules allocate a million objects that live as long as the process: collecting garbage
    # after every 700th, as is the default, costs a fifth of the whole command
    gc.set_threshold(200_000, 20, 20)
    code = _run()
    with suppress(BrokenPipeError):  # `airis render | head`
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)  # for the same reason: taking those objects apart one by one takes as long as rendering


def _run() -> int:
    try:
        app()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except AirisError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        return ExitCode.OK
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return ExitCode.INTERRUPTED
    return ExitCode.OK


if __name__ == "__main__":
    main()
