"""Finds the project and its stacks. Light to import: shell completion needs nothing else."""

import re
from pathlib import Path

from airis.terminal.errors import AirisError

PROJECT_FILE = "Pulumi.yaml"
_STACK_FILE = re.compile(r"Pulumi\.(?P<name>[^/]+)\.yaml")


def project_root(start: Path | None = None) -> Path:
    """The folder with Pulumi.yaml: this one, or the nearest parent. Raises AirisError if there is none."""
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if (folder / PROJECT_FILE).is_file():
            return folder
    raise AirisError(
        f"{start}: no {PROJECT_FILE} here or in a parent folder", "run airis in the folder of the airis program"
    )


def stack_names(root: Path) -> list[str]:
    """The names of the stacks that have a stack file, sorted."""
    return sorted(match["name"] for path in root.iterdir() if (match := _STACK_FILE.fullmatch(path.name)))
