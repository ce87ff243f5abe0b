"""The entry point of the command line. Each command imports the heavy modules that it needs, to keep `airis --help` fast."""

import gc

# Imported objects live as long as the process, above all the million objects of the typed Kubernetes modules. Collecting
# garbage after every 700 allocations, the default, costs a fifth of the time of a command, and a tenth of `--help`
gc.set_threshold(200_000, 20, 20)

import os
import sys
from contextlib import suppress
from typing import Annotated

import typer

from airis.cli import data, deploy, review, sandbox, stack_file
from airis.cli.completion import use_own_script
from airis.terminal.errors import AirisError, ExitCode
from airis.terminal.warnings import TOLD

_EXIT_CODES = """
Exit codes: 0 success; 1 invalid stack, file or setting, nothing was changed; 2 invalid command line;
3 something failed to start or was aborted; 4 this machine lacks something (tool, network, cluster);
5 a claim with data is affected; 130 interrupted.
"""

use_own_script()
app = typer.Typer(
    name="airis",
    help="Open WebUI and Ollama on Kubernetes: render, rehearse and deploy a stack.",
    epilog=_EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # Rich takes as long to import as all the rest
)
for commands in (stack_file, review, deploy, data):
    app.add_typer(commands.app)
app.add_typer(sandbox.app, name="sandbox")


def _print_versions(wanted: bool) -> None:
    if wanted:
        from airis.cli.versions import versions

        typer.echo(versions())
        raise typer.Exit


@app.callback()
def _general(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            is_eager=True,
            callback=_print_versions,
            help="Print the versions of airis and of what it deploys.",
        ),
    ] = False,
) -> None:
    """Options of the program itself."""


def main() -> None:
    """Runs the command. Errors that the user can fix are shown without a traceback."""
    code = _run()
    with suppress(BrokenPipeError):  # `airis render | head`
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)  # for the same reason as above: freeing those objects one by one takes as long as rendering


def _run() -> int:
    TOLD.clear()
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
