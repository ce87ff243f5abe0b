"""Runs the YAML parsers of the Pulumi engine and of kubectl, built with Go.

`python -m tests.yaml_readers.asking` writes the table of plain scalars, with which tests/unit/test_yaml_scalars.py checks the
reader without Go.
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
"""The key of the stack file that contains the values."""


class Refused(Exception):
    """The program refuses the input."""


def ask(stacks: Sequence[str] = (), manifests: Sequence[str] = ()) -> tuple[list[Any], list[Any]]:
    """The engine's value of `airis:a` for each stack file, and kubectl's object for each manifest.

    An input that is refused has a Refused instead. Raises EnvironmentProblem if the program cannot be built.
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
    """The values of the engine and of kubectl for each plain scalar, without those that they refuse."""
    stacks, manifests = ask([f"config:\n  {KEY}:\n  - {each}\n" for each in PLAIN], [f"a: {each}" for each in PLAIN])
    return {
        "engine": {text: read[0] for text, read in zip(PLAIN, stacks, strict=True) if not isinstance(read, Refused)},
        "kubectl": {
            text: read["a"] for text, read in zip(PLAIN, manifests, strict=True) if not isinstance(read, Refused)
        },
    }


def table_text() -> str:
    """The table as text."""
    return json.dumps(table(), indent=1) + "\n"


if __name__ == "__main__":
    TABLE.write_text(table_text(), encoding="utf-8")
