"""Commands on stack files: create, render and check them. They need neither a cluster nor the Pulumi engine."""

import sys
from typing import Annotated

import typer

from airis.cli.options import Stacks
from airis.terminal.errors import ExitCode

app = typer.Typer()


@app.command(
    epilog="Examples:  `airis init`  ·  `airis init --stack mine --platform k3s --gpu 1 --yes`  ·  "
    "`airis init -s prod --platform gke --gpu 1 --host chat.example.org --tls-issuer letsencrypt --model llama3.2:1b --yes`"
)
def init(
    *,
    stack: Annotated[
        str | None, typer.Option("--stack", "-s", help="The name of the new stack: `mine` writes Pulumi.mine.yaml.")
    ] = None,
    platform: Annotated[
        str | None, typer.Option(help="minikube, kind, k3s, gke, eks, eks-auto, aks or other.", metavar="KIND")
    ] = None,
    gpu: Annotated[int | None, typer.Option(help="GPUs of the Ollama pod; 0 for none.", min=0)] = None,
    vendor: Annotated[str | None, typer.Option(help="GPU vendor: nvidia, amd or intel.")] = None,
    accelerator: Annotated[str | None, typer.Option(help="GPU model, as in the node labels.")] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="A model to pull. Repeat it for several; `none` for none.")
    ] = None,
    no_model: Annotated[bool, typer.Option("--no-model", help="The same as `--model none`.")] = False,
    ollama_storage: Annotated[str | None, typer.Option(help="Size of the volume for models.", metavar="SIZE")] = None,
    webui_storage: Annotated[str | None, typer.Option(help="Size of the volume for chats.", metavar="SIZE")] = None,
    storage_class: Annotated[
        str | None, typer.Option(help="StorageClass of both volumes; `none` for the default.", metavar="NAME")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Host name of the Ingress; `none` for no Ingress.")] = None,
    controller: Annotated[
        str | None, typer.Option(help="Ingress controller: nginx, traefik, haproxy, or `none` for another.")
    ] = None,
    ingress_class: Annotated[
        str | None, typer.Option(help="IngressClass; `none` for the default.", metavar="NAME")
    ] = None,
    tls_issuer: Annotated[
        str | None, typer.Option(help="cert-manager's ClusterIssuer; `none` for plain HTTP.", metavar="NAME")
    ] = None,
    webui_image: Annotated[str | None, typer.Option(help="Image of Open WebUI.", metavar="IMAGE")] = None,
    ollama_image: Annotated[str | None, typer.Option(help="Image of Ollama.", metavar="IMAGE")] = None,
    sign_up: Annotated[bool | None, typer.Option("--sign-up/--no-sign-up", help="Allow users to sign up.")] = None,
    admin_email: Annotated[
        str | None,
        typer.Option(help="E-mail of the first administrator; `none`: the first sign-up.", metavar="ADDRESS"),
    ] = None,
    admin_secret: Annotated[
        str | None, typer.Option(help="Secret and key of the administrator's initial password.", metavar="NAME/KEY")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Use the defaults instead of asking.")] = False,
) -> None:
    """Ask a few questions, and write a stack file.

    The file has comments. An existing file is never overwritten.
    """
    from airis.stack_file.init import init as command

    models = [*(model or ()), *(["none"] if no_model else [])]
    given = {
        "stack": stack,
        "platform": platform,
        "gpu": None if gpu is None else str(gpu),
        "vendor": vendor,
        "accelerator": accelerator,
        "model": ",".join(models) if models else None,
        "ollama-storage": ollama_storage,
        "webui-storage": webui_storage,
        "storage-class": storage_class,
        "host": host,
        "controller": controller,
        "ingress-class": ingress_class,
        "tls-issuer": tls_issuer,
        "webui-image": webui_image,
        "ollama-image": ollama_image,
        "sign-up": None if sign_up is None else "yes" if sign_up else "no",
        "admin-email": admin_email,
        "admin-secret": admin_secret,
    }

    def ask(question: str, default: str) -> str:
        try:
            return str(typer.prompt(question, default=default))
        except typer.Abort:
            print("\nNothing was written.", file=sys.stderr)
            raise typer.Exit(ExitCode.INTERRUPTED) from None

    command(given, ask if sys.stdin.isatty() else None, defaults=yes)


@app.command(epilog="Example:  `airis schema > stack.schema.json`")
def schema() -> None:
    """Print the JSON Schema of a stack file.

    Editors use it to complete and validate stack files. A copy is in schema/.
    """
    from airis.stack_file.schema import schema_text

    sys.stdout.write(schema_text())


@app.command(
    epilog="Examples:  `airis render -s cpu > cpu.yaml`  ·  `airis render -s gpu | kubectl diff -f -`  ·  "
    "`airis render -s gpu --show-secrets | kubectl apply -f -` (only once: each run generates a new session key)"
)
def render(
    stack: Stacks,
    show_secrets: Annotated[
        bool, typer.Option("--show-secrets", help="Print secret values instead of [secret].")
    ] = False,
) -> None:
    """Print the stack as Kubernetes YAML, sorted for kubectl.

    Needs neither a cluster nor the Pulumi engine.
    """
    from functools import partial

    from airis.render import manifest
    from airis.render.many import for_each
    from airis.render.objects import rendered
    from airis.stack_file.stacks import read_stacks

    stacks = read_stacks(stack)
    texts = for_each(stacks, partial(rendered, show_secrets=show_secrets), f"Rendering {len(stacks)} stacks")
    sys.stdout.writelines(each.yaml for each in texts)
    if redacted := dict.fromkeys(name for each in texts for name in each.redacted):
        print(
            f"note: the values of {', '.join(redacted)} are redacted as {manifest.REDACTED}. Do not apply them: the session "
            "key would be this public placeholder. Set airis:webui.sessionKeyFrom, or use --show-secrets once",
            file=sys.stderr,
        )


@app.command(epilog="Examples:  `airis check -s gpu`  ·  `airis check -s 'dept-*'`")
def check(stack: Stacks) -> None:
    """Check the stack against the rules of the policy pack.

    The rules cover limits, probes, security context, credentials, images and data. Needs neither a cluster nor the Pulumi
    engine. Exit code 1: a mandatory rule is violated.
    """
    from airis.render.check import check_stack, print_report
    from airis.render.many import for_each
    from airis.stack_file.stacks import read_stacks

    stacks = read_stacks(stack)
    reports = for_each(stacks, check_stack, f"Checking {len(stacks)} stacks")
    for report in reports:
        print_report(report)
    raise typer.Exit(max(report.exit_code for report in reports))
