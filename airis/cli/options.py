"""Options that several commands share."""

from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from airis.stack_file.project import project_root, stack_names
from airis.terminal.errors import AirisError


def complete_stack(incomplete: str) -> list[str]:
    """The stacks that a shell may complete to."""
    with suppress(AirisError, OSError):
        return [each for each in stack_names(project_root()) if each.startswith(incomplete)]
    return []


Stack = Annotated[
    str,
    typer.Option("--stack", "-s", help="The stack: `gpu` reads Pulumi.gpu.yaml.", autocompletion=complete_stack),
]

Stacks = Annotated[
    list[str],
    typer.Option(
        "--stack",
        "-s",
        help="The stack: `gpu` reads Pulumi.gpu.yaml. Several, or a pattern: `-s 'dept-*'`.",
        autocompletion=complete_stack,
    ),
]

Nodes = Annotated[
    Path | None,
    typer.Option(
        "--nodes",
        help="A file that describes other nodes: short form, or `kubectl get nodes -o yaml` of your own cluster.",
    ),
]

ClusterSnapshot = Annotated[
    Path | None,
    typer.Option("--cluster", help="A snapshot of your own cluster, as `airis snapshot` writes it."),
]

Timeout = Annotated[float, typer.Option("--timeout", help="Seconds until the rehearsal gives up.", min=1)]

PodTimeout = Annotated[float, typer.Option("--timeout", help="Seconds for a pod to start or to end.", min=1)]

ForceConflicts = Annotated[
    bool, typer.Option("--force-conflicts", help="Take back the fields that somebody else has changed.")
]

Kubeconfig = Annotated[
    Path | None,
    typer.Option("--kubeconfig", help="The cluster, if it is another than the one `pulumi up` would deploy to."),
]


class OutputFormat(StrEnum):
    """How a verdict is printed."""

    TABLE = "table"
    JSON = "json"


Format = Annotated[OutputFormat, typer.Option("--format", help="A table to read, or JSON for other programs.")]
