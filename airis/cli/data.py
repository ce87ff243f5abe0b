"""Commands on Open WebUI's data: `backup` and `restore`."""

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
        Path | None, typer.Option("--output", "-o", help="The archive to write. Default: airis-STACK-TIME.tar.gz.")
    ] = None,
    stop: Annotated[
        bool, typer.Option("--stop", help="Stop Open WebUI during the backup. Works even if it is not running.")
    ] = False,
    kubeconfig: Kubeconfig = None,
    timeout: PodTimeout = 300.0,
) -> None:
    """Back up Open WebUI's data to a verified archive.

    The archive holds chats, users and uploads. Open WebUI keeps running.
    """
    from airis.backup import backup_stack

    made = backup_stack(stack, output, stop=stop, kubeconfig=kubeconfig, timeout_seconds=timeout)
    print(f"{made.path}: {len(made.manifest['files'])} files, {made.bytes / 2**20:.1f} MiB, verified.")
    print("It contains chats and password hashes, but not the session key: see docs/backup.md.")


@app.command(epilog="Example:  `airis restore -s gpu monday.tar.gz --overwrite`")
def restore(
    stack: Stack,
    file: Annotated[Path, typer.Argument(help="The archive. Its checksum FILE.sha256 must be in the same folder.")],
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Replace the data on the volume. The old data is kept in another folder there."
        ),
    ] = False,
    kubeconfig: Kubeconfig = None,
    timeout: PodTimeout = 300.0,
) -> None:
    """Replace Open WebUI's data with a backup.

    Open WebUI is stopped during the restore.
    """
    from airis.backup import restore_stack

    done, aside = restore_stack(stack, file, overwrite=overwrite, kubeconfig=kubeconfig, timeout_seconds=timeout)
    print(f"{done.path}: {len(done.manifest['files'])} files of stack {done.manifest.get('stack')} restored.")
    if aside is not None:
        print(f"The old data is kept on the volume, in {aside}: delete it when you no longer need it.")
