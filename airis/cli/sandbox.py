"""The local control plane for rehearsals."""

import typer

app = typer.Typer(
    help="The control plane for rehearsals, on this machine's loopback.", no_args_is_help=True, rich_markup_mode=None
)


@app.command("build")
def sandbox_build() -> None:
    """Download or build the sandbox's programs ahead of time. A build takes about six minutes, once."""
    from airis.rehearse.sandbox import ensure

    ensure()


@app.command("up", epilog="Example:  `export KUBECONFIG=$(airis sandbox up)`")
def sandbox_up() -> None:
    """Start the sandbox, and print the KUBECONFIG to use kubectl with it."""
    from airis.rehearse.sandbox import Sandbox

    sandbox = Sandbox()
    sandbox.up()
    print(sandbox.kubeconfig)


@app.command("down")
def sandbox_down() -> None:
    """Stop the sandbox and forget everything in it."""
    from airis.rehearse.sandbox import Sandbox

    Sandbox().down()


@app.command("status")
def sandbox_status() -> None:
    """Say whether the sandbox runs, with which nodes, and what it costs."""
    from airis.rehearse.sandbox import Sandbox
    from airis.rehearse.sandbox.status import print_status

    print_status(Sandbox().status())
