"""Runs a script in Open WebUI's environment, with the rendered variables of a stack, and reads its result."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.app.environment import Environment
from tests.app.webui import IMAGE_ENV, OFFLINE_ENV, PACKAGE_ENV


def ask(environment: Environment, folder: Path, script: str, given: Mapping[str, str]) -> Any:
    """The result of the script, without a network or a database.

    `sys.argv` contains the names of the variables, as JSON, and the file for the result, also JSON.
    """
    (folder / "data").mkdir(parents=True)
    answer = folder / "answer.json"
    places = {"DATA_DIR": str(folder / "data"), "STATIC_DIR": str(folder / "static"), "HOME": str(folder)}
    around = {"PATH": os.environ["PATH"], "ENABLE_DB_MIGRATIONS": "False"}
    done = subprocess.run(
        ["unshare", "--net", str(environment.python), "-c", script, json.dumps(sorted(given)), str(answer)],
        env={**around, **IMAGE_ENV, **PACKAGE_ENV, **OFFLINE_ENV, **given, **places},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(answer.read_text(encoding="utf-8"))
