"""Queries the registries through their own clients, as configured on this machine: uv, go and git.

Every function raises EnvironmentProblem with the client's message if its registry cannot be reached.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from airis.cluster.programs import toolchain
from airis.cluster.programs.cache import cache_root
from airis.terminal.errors import EnvironmentProblem

_GO = "1.24"
"""The oldest Go that understands the module proxy's responses."""
_SECONDS = 120
_TAG = re.compile(r"refs/tags/(v\d+\.\d+\.\d+)$", re.MULTILINE)


def newest_python(names: Iterable[str]) -> Mapping[str, str]:
    """The newest version of each package that runs on the oldest Python that airis supports."""
    given = "\n".join(names)
    if not given:
        return {}
    uv = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-deps", "--no-header", "--no-annotate"]
    told = _run([*uv, "--python-version", "3.11", "-"], given=given)
    return dict(line.split("==", 1) for line in told.splitlines() if "==" in line)


def newest_go(modules: Iterable[str]) -> Mapping[str, str]:
    """The latest version of each module according to the module proxy. Unknown modules are omitted."""
    return {found["Path"]: found["Version"] for found in _listed([f"{each}@latest" for each in modules])}


def existing_go(module: str, versions: Sequence[str]) -> list[str]:
    """The versions that exist on the module proxy. It serves some that it neither lists nor reports as the latest."""
    return [found["Version"] for found in _listed([f"{module}@{each}" for each in versions])]


def go_module(module: str, version: str) -> Path:
    """The archive of a module, verified with Go's checksum database."""
    told = _run([_go(), "mod", "download", "-json", f"{module}@{version}"], check=False)
    found = json.loads(told or "{}")
    if "Sum" not in found:
        raise EnvironmentProblem(str(found.get("Error", "go printed nothing")), f"is {version} a version of {module}?")
    return Path(found["Zip"])


def newest_action(repository: str) -> str:
    """The newest release among the tags of a GitHub action, such as `actions/checkout`."""
    told = _run(["git", "ls-remote", "--tags", "--refs", f"https://github.com/{repository}"])
    tags = sorted(_TAG.findall(told), key=numbers)
    if not tags:
        raise EnvironmentProblem(f"{repository} has no tag such as v1.2.3")
    return str(tags[-1])


def numbers(version: str) -> tuple[int, ...]:
    """The numbers of a version, for comparison."""
    return tuple(int(each) for each in re.findall(r"\d+", version))


def _listed(queries: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """The results of `go list`. Nonexistent versions are omitted; a failed query is an error."""
    if not queries:
        return
    rest = _run([_go(), "list", "-m", "-e", "-json", *queries]).strip()
    found, errors, decoder = [], [], json.JSONDecoder()
    while rest:
        each, end = decoder.raw_decode(rest)
        rest = rest[end:].strip()
        if "Error" in each:
            errors.append(str(each["Error"]["Err"]))
        else:
            found.append(each)
    # The proxy returns 404 or 410 for nonexistent versions, and some proxies 403
    if unreached := [
        each for each in errors if not re.search(r"40[34]|410|no matching versions|unknown revision", each)
    ]:
        raise EnvironmentProblem(" ".join(unreached[0].split()))
    yield from found


def _go() -> str:
    return str(toolchain.find_go(_GO, cache_root()))


def _run(command: Sequence[str], *, given: str = "", check: bool = True) -> str:
    """The output of the client, run outside of every module, so that no go.mod has an effect."""
    environment = {**toolchain.environment(), "GOFLAGS": "", "GIT_TERMINAL_PROMPT": "0"}
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run(
                command,
                input=given,
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=_SECONDS,
            )
        except FileNotFoundError:
            raise EnvironmentProblem(f"{command[0]} is not installed") from None
        except subprocess.TimeoutExpired:
            raise EnvironmentProblem(f"{command[0]} did not finish within {_SECONDS} s") from None
    if check and done.returncode:
        said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise EnvironmentProblem(f"{Path(command[0]).name}: {said[:300]}")
    return done.stdout
