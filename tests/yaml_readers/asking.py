"""Asks the programs that read airis's YAML what they read: the Pulumi engine's and kubectl's own code, built with Go.

`python -m tests.yaml_readers.asking` writes the table of plain scalars, which tests/unit/test_yaml_scalars.py holds the reader
against where there is no Go.
"""

import json
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tests import pinned
from tests.yaml_texts import PLAIN

HERE = Path(__file__).parent
TABLE = HERE.parent / "fixtures" / "yaml_scalars.json"

KEY = "airis:a"
"""The key of the stack file below which values stand."""


class Refused(Exception):
    """The program does not read that."""


def ask(stacks: Sequence[str] = (), manifests: Sequence[str] = ()) -> tuple[list[Any], list[Any]]:
    """What the engine hands to the program as `airis:a`, for each stack file; and kubectl's object, for each manifest.

    A Refused stands in the place of what is not read. Raises EnvironmentProblem where the program cannot be built.
    """
    asked = json.dumps({"stacks": stacks, "manifests": manifests})
    result = subprocess.run([_program()], input=asked, capture_output=True, text=True, timeout=60, check=True)
    told = json.loads(result.stdout)
    return [_config(each) for each in told["stacks"] or ()], [_object(each) for each in told["manifests"] or ()]


def _config(told: Mapping[str, Any]) -> Any:
    return Refused(told["error"]) if "error" in told else json.loads(told["config"][KEY])


def _object(told: Mapping[str, Any]) -> Any:
    return Refused(told["error"]) if "error" in told else told["object"]


@cache
def _program() -> Path:
    return pinned.go_program("yaml", ".", HERE)


def table() -> dict[str, dict[str, Any]]:
    """What the engine and kubectl read in the place of each plain scalar; those that they refuse are left out."""
    stacks, manifests = ask([f"config:\n  {KEY}:\n  - {each}\n" for each in PLAIN], [f"a: {each}" for each in PLAIN])
    return {
        "engine": {text: read[0] for text, read in zip(PLAIN, stacks, strict=True) if not isinstance(read, Refused)},
        "kubectl": {
            text: read["a"] for text, read in zip(PLAIN, manifests, strict=True) if not isinstance(read, Refused)
        },
    }


def table_text() -> str:
    """The table as its file has it."""
    return json.dumps(table(), indent=1) + "\n"


if __name__ == "__main__":
    TABLE.write_text(table_text(), encoding="utf-8")
