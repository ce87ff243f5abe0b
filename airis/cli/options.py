"""Options that several commands share."""

from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from airis.stack_file.project import project_root, stack_names
from airis.terminal.errors import AirisError


def complete_stack(incomplete: str) -> list[str]:
    """The stack names that start with `incomplete`, for shell completion."""
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
        help="The stack: `gpu` reads Pulumi.gpu.yaml. Repeat it, or use a pattern: `-s 'dept-*'`.",
        autocompletion=complete_stack,
    ),
]

Nodes = Annotated[
    Path | None,
    typer.Option(
        "--nodes",
        help="A file with the nodes to simulate: the short form, or `kubectl get nodes -o yaml` from your cluster.",
    ),
]

ClusterSnapshot = Annotated[
    Path | None,
    typer.Option("--cluster", help="A snapshot of your cluster, from `airis snapshot`."),
]

Timeout = Annotated[float, typer.Option("--timeout", help="Seconds to wait for the pods of a rehearsal.", min=1)]

PodTimeout = Annotated[
    float, typer.Option("--timeout", help="Seconds to wait for a pod to start or to terminate.", min=1)
]

ForceConflicts = Annotated[
    bool, typer.Option("--force-conflicts", help="Overwrite fields that another field manager owns.")
]

Kubeconfig = Annotated[
    Path | None,
    typer.Option("--kubeconfig", help="The kubeconfig file. Default: the cluster that `pulumi up` would deploy to."),
]


class OutputFormat(StrEnum):
    """The output format of a report."""

    TABLE = "table"
    JSON = "json"


Format = Annotated[OutputFormat, typer.Option("--format", help="A table, or JSON for other programs.")]
