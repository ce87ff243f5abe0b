"""Commands on the sandbox, the local control plane for rehearsals."""

import typer

app = typer.Typer(
    help="Manage the sandbox: the local control plane for rehearsals.", no_args_is_help=True, rich_markup_mode=None
)


@app.command("build")
def sandbox_build() -> None:
    """Download or build the sandbox's programs in advance. The first build takes about six minutes."""
    from airis.rehearse.sandbox import ensure

    ensure()


@app.command("up", epilog="Example:  `export KUBECONFIG=$(airis sandbox up)`")
def sandbox_up() -> None:
    """Start the sandbox, and print the path of its kubeconfig."""
    from airis.rehearse.sandbox import Sandbox

    sandbox = Sandbox()
    sandbox.up()
    print(sandbox.kubeconfig)


@app.command("down")
def sandbox_down() -> None:
    """Stop the sandbox, and delete everything in it."""
    from airis.rehearse.sandbox import Sandbox

    Sandbox().down()


@app.command("status")
def sandbox_status() -> None:
    """Show whether the sandbox is running, its nodes, and its resource usage."""
    from airis.rehearse.sandbox import Sandbox
    from airis.rehearse.sandbox.status import print_status

    print_status(Sandbox().status())
