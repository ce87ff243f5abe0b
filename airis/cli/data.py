"""Archives of Open WebUI's data."""

from pathlib import Path
from typing import Annotated

import typer

from airis.cli.options import Kubeconfig, PodTimeout, Stack

app = typer.Typer()


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
    """Back up Open WebUI's data into one checked archive.

    Chats, users, uploads. Open WebUI goes on serving.
    """
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
    """Put a backup in the place of Open WebUI's data.

    Open WebUI is stopped meanwhile.
    """
    from airis.backup import restore_stack

    done, aside = restore_stack(stack, file, overwrite=overwrite, kubeconfig=kubeconfig, timeout_seconds=timeout)
    print(f"{done.path}: {len(done.manifest['files'])} files of stack {done.manifest.get('stack')} are restored.")
    if aside is not None:
        print(f"The old data is kept on the volume, in {aside}: delete it when you no longer want it.")
