"""Asks the registries by their own clients, as they are configured on this machine: uv, go and git.

Every function raises EnvironmentProblem, with the client's own words, where its registry cannot be asked.
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
"""Any Go that is not too old for the module proxy's answers will do."""
_SECONDS = 120
_TAG = re.compile(r"refs/tags/(v\d+\.\d+\.\d+)$", re.MULTILINE)


def newest_python(names: Iterable[str]) -> Mapping[str, str]:
    """The newest version of each package that runs on the oldest Python that airis is for."""
    given = "\n".join(names)
    if not given:
        return {}
    uv = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-deps", "--no-header", "--no-annotate"]
    told = _run([*uv, "--python-version", "3.11", "-"], given=given)
    return dict(line.split("==", 1) for line in told.splitlines() if "==" in line)


def newest_go(modules: Iterable[str]) -> Mapping[str, str]:
    """What the module proxy calls the latest version of each module. A module that it does not know is left out."""
    return {found["Path"]: found["Version"] for found in _listed([f"{each}@latest" for each in modules])}


def existing_go(module: str, versions: Sequence[str]) -> list[str]:
    """Those of the versions that the module proxy has. It has some that it does not call the latest, nor lists."""
    return [found["Version"] for found in _listed([f"{module}@{each}" for each in versions])]


def go_module(module: str, version: str) -> Path:
    """The archive of a module, held against Go's checksum database."""
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
    """A version's numbers, which compare as versions do."""
    return tuple(int(each) for each in re.findall(r"\d+", version))


def _listed(queries: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """What `go list` finds. What there is not is left out; that nothing could be asked is an error."""
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
    # The proxy says 404 or 410 of what there is not, and some proxies 403
    if unreached := [
        each for each in errors if not re.search(r"40[34]|410|no matching versions|unknown revision", each)
    ]:
        raise EnvironmentProblem(" ".join(unreached[0].split()))
    yield from found


def _go() -> str:
    return str(toolchain.find_go(_GO, cache_root()))


def _run(command: Sequence[str], *, given: str = "", check: bool = True) -> str:
    """What the client prints; run outside of every module, so that no go.mod has a say."""
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
            raise EnvironmentProblem(f"{command[0]} had no answer for {_SECONDS} s") from None
    if check and done.returncode:
        said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise EnvironmentProblem(f"{Path(command[0]).name}: {said[:300]}")
    return done.stdout
